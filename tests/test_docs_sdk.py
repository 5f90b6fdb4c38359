"""The pages about the SDK: what they show is part of a program, and the programs do what they say."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from oauth_world import world
from test_docs import example
from weather_api import WeatherApi, weather_api

from douane.sdk import Client, ServerError

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLES = DOCS / "examples"
PAGES = (
    *("asking", "tasks", "first-server", "first-client", "changes", "testing", "from-the-official-sdk"),
    *("logging-in",),
)
BOUND_S = 30.0


@pytest.fixture
def api() -> Iterator[WeatherApi]:
    with weather_api() as api:
        api.temperature = -3.5
        yield api


async def run(*line: str, **env: str) -> tuple[int, str]:
    """Exit code, and what a program says, in an environment of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *line),
        cwd=EXAMPLES,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **env},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), BOUND_S)
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_stands_in_the_program_it_links_to(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text()
    programs = [(DOCS / link).read_text() for link in re.findall(r"\((examples/\w+\.py)\)", text)]
    shown = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert shown
    for block in shown:
        assert any(block.rstrip() in program for program in programs), block


async def test_the_first_client_asks_the_weather_server_by_its_command(api: WeatherApi) -> None:
    code, said = await run("first_client.py", f"{sys.executable} weather.py", WEATHER_API=api.url)
    assert said.splitlines() == [
        "get_weather - The weather in a city, right now.",
        "{'city': 'Oslo', 'temperature': -3.5, 'sky': 'clear'}",
        "-32602 client: there is no tool 'get_wether' here; tools/list has them all",
    ]
    assert code == 0


BROWSER = """
import sys
from urllib.request import urlopen
urlopen(sys.argv[1], timeout=10).read()
"""


async def test_the_client_of_the_docs_logs_in_once_and_lists_the_tools(tmp_path: Path) -> None:
    (tmp_path / "browser.py").write_text(BROWSER)
    env = {"HOME": str(tmp_path), "BROWSER": f"{sys.executable} {tmp_path / 'browser.py'} %s"}
    async with world() as servers:
        code, said = await run("logging_in.py", servers.url, **env)
        assert (code, said.splitlines()[1:]) == (0, ["echo"])
        assert said.startswith(f"log in at {servers.origin}/authorize?")
        assert await run("logging_in.py", servers.url, **env) == (0, "echo\n")
        assert servers.forms("/register")[0]["client_name"] == "The docs"


async def test_the_client_of_the_docs_logs_in_without_a_user_at_its_issuer_only() -> None:
    env = {"CLIENT_ID": "robot", "CLIENT_SECRET": "secret"}
    async with world() as servers:
        servers.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        assert await run("logging_in.py", servers.url, ISSUER=servers.origin, **env) == (0, "echo\n")
        code, said = await run("logging_in.py", servers.url, ISSUER="https://login.example", **env)
        assert (code, "its client id was given by 'https://login.example'" in said) == (1, True)
        assert len(servers.forms()) == 1


async def test_the_answering_client_serves_the_cafe_with_what_its_guest_types() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "answering_client.py", f"{sys.executable} cafe.py stdio"),
        cwd=EXAMPLES,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(b"Anna\n\noat\n\nyes\n"), BOUND_S)
    assert process.returncode == 0
    said = out.decode()
    assert "Anna: s tea, milk oat, sugar 0" in said
    assert "Pay your bill: https://cafe.example/pay/4711" in said
    assert "Thank you, the page knows the rest." in said


async def test_many_servers_are_listed_and_the_dead_one_is_named() -> None:
    code, said = await run(
        "many_servers.py", f"{sys.executable} weather.py", f"{sys.executable} library.py", "/no/such"
    )
    lines = said.splitlines()
    assert lines[:2] == [
        "server0 has get_weather",
        "server1 has find_books, add_book, take_stock, cover, borrow",
    ]
    assert lines[2].startswith("server2 is down: cannot start '/no/such'")
    assert code == 0


async def test_the_client_that_watches_is_told_of_the_notice_it_posts() -> None:
    code, said = await run("watching.py", f"{sys.executable} noticeboard.py")
    assert (code, said) == (0, "board://notices/0 is now The lift is out of order.\n")


async def test_the_tool_that_closes_its_stream_is_answered_nevertheless() -> None:
    async with Client(example("noticeboard").server) as client:
        await client.call("post", {"text": "a"})
        assert (await client.call("tidy")).text == "1 notices are in order."


async def test_the_tests_of_the_docs_pass() -> None:
    code, said = await run(
        "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir=.", "-p", "no:cacheprovider", "test_weather.py"
    )
    assert code == 0, said
    assert "4 passed" in said


async def test_the_contacts_are_kept_by_their_schema_and_counted_by_region() -> None:
    async with Client(example("contacts").server) as client:
        keep, count = await client.tools()
        assert keep["inputSchema"]["anyOf"] == [{"required": ["phone"]}, {"required": ["email"]}]
        assert count["inputSchema"]["properties"]["region"]["x-mcp-header"] == "Region"
        assert (await client.call("keep", {"name": "Ann", "phone": "1"})).text == "Ann is kept."
        assert (await client.call("keep", {"name": "Ann"})).is_error
        assert (await client.call("count", {"region": "eu"})).structured == {"result": 3}


async def test_the_library_does_what_its_page_says() -> None:
    progress: list[object] = []
    logs: list[object] = []
    async with Client(example("library").server) as client:
        assert client.instructions == "Search before you add."
        limit = (await client.tools())[0]["inputSchema"]["properties"]["limit"]
        assert limit == {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "default": 10,
            "description": "How many at most.",
        }
        found = await client.call("find_books", {"word": "mm"})
        assert found.structured == {"result": [{"title": "Emma", "year": 1815}]}
        assert (await client.call("find_books", {"word": "mm", "limit": 0})).is_error

        new = {"book": {"title": "Persuasion", "year": 1817}}
        assert (await client.call("add_book", new)).text == "Persuasion was added."
        assert (await client.call("add_book", new)).text == "Persuasion is there already."
        early = await client.call("add_book", {"book": {"title": "Beowulf", "year": 1000}})
        assert early.text == "client: argument 'book.year': expected int >= 1450"

        stock = await client.call(
            "take_stock", on_progress=lambda *said: progress.append(said), on_log=lambda *said: logs.append(said)
        )
        assert stock.structured == {"result": 2}
        assert progress == [(n, 3, f"shelf {n}") for n in (1, 2, 3)]
        assert logs == [("info", "stock was taken")]

        assert [part["type"] for part in (await client.call("cover", {"title": "Emma"})).content] == ["text", "image"]
        loan = await client.call("borrow", {"title": "Emma"})
        assert (loan.is_error, loan.structured, loan.text) == (True, {"back_in_days": 3}, "Emma is out on loan.")
        assert (await client.read("library://books/Emma"))[0]["text"] == "Emma, 1815"
        assert await client.complete("library://books/{title}", "title", "P") == ["Persuasion"]
        assert [message["role"] for message in await client.prompt("review", {"title": "Emma"})] == [
            "user",
            "assistant",
        ]


async def test_the_cafe_asks_as_its_page_says() -> None:
    async with Client(example("cafe").server) as client:
        tools = {tool["name"]: tool for tool in await client.tools()}
        assert tools["close"]["outputSchema"]["properties"] == {"result": {"type": "string"}}
        assert (await client.call("poem")).text == "Roses are red."


async def test_the_reports_run_as_tasks_as_their_page_says() -> None:
    code, said = await run("long_reports.py", f"{sys.executable} reports.py")
    assert said.splitlines() == ["2025 was a good year.", "begun", "2026 was a good year.", "cancelled"]
    assert code == 0


async def test_the_survey_asks_before_it_is_a_task() -> None:
    async with Client(example("reports").server) as client:
        with pytest.raises(ServerError, match="declared") as told:
            await client.call("survey")
        assert told.value.code == -32021
