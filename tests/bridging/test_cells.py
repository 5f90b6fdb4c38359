"""What the other tests show in some cells only, in all four: a client of each era, and a real server of each."""

import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from counterparts.commands import library_server
from gateway_clients import HttpClient, http, text_of, until_ready
from gateway_world import Gateway, gateway

pytestmark = [pytest.mark.counterpart, pytest.mark.asyncio(loop_scope="module")]

SHELF = Path(__file__).parent.parent / "counterparts" / "shelf_py2.py"
READS = {"tools": ["*"], "resources": ["*"], "prompts": ["*"]}
BACKS = {
    "handshake": ("2025-11-25", lambda: library_server("stdio")),
    "newest": ("2026-07-28", lambda: [sys.executable, str(SHELF)]),
}
CELLS = [f"{front}-{back}" for back in BACKS for front in BACKS]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gates(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Gateway]]:
    homes = {back: tmp_path_factory.mktemp(back) for back in BACKS}
    async with before(homes["handshake"], "handshake") as old, before(homes["newest"], "newest") as new:
        yield {"handshake": old, "newest": new}


@asynccontextmanager
async def before(home: Path, back: str) -> AsyncGenerator[Gateway]:
    """A gateway that speaks this era with its upstream."""
    revision, command = BACKS[back]
    async with gateway(home, {"s": {"command": command(), "reads": READS}}) as running:
        await until_ready(running)
        assert f"upstream s is up ({revision})" in "\n".join(running.log)
        yield running


@pytest_asyncio.fixture(loop_scope="module", params=CELLS)
async def cell(request: pytest.FixtureRequest, gates: dict[str, Gateway]) -> AsyncIterator[HttpClient]:
    """A client in that cell."""
    front, back = request.param.split("-")
    async with http(gates[back]) as client:
        if front == "handshake":
            await client.greet("2025-11-25")
        yield client


@pytest.fixture
def newest(request: pytest.FixtureRequest) -> bool:
    """Whether the client is of the newest era."""
    return request.node.callspec.params["cell"].startswith("newest")


async def test_a_client_is_told_what_there_is_in_the_way_of_its_era(cell: HttpClient, newest: bool) -> None:
    if newest:
        found = (await cell.ask("server/discover"))["result"]
        assert found["supportedVersions"] == ["2026-07-28"]
    else:
        found = await cell.greet("2025-11-25")
        assert found["protocolVersion"] == "2025-11-25"
    assert {"tools", "prompts", "resources", "completions"} <= set(found["capabilities"])


async def test_every_list_has_what_the_server_has(cell: HttpClient) -> None:
    for method, kind, key, expected in (
        ("tools/list", "tools", "name", "s_shelve"),
        ("prompts/list", "prompts", "name", "s_review"),
        ("resources/list", "resources", "uri", "library://catalog"),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", "book://{book}/text"),
    ):
        assert expected in [item[key] for item in (await cell.ask(method))["result"][kind]]


async def test_a_tool_is_called_and_answers(cell: HttpClient) -> None:
    answer = await cell.call("s_shelve", book="emma")
    assert json.loads(text_of(answer)) == {"book": "emma", "shelf": "A"}


async def test_a_structured_result_comes_back_under_the_schema_that_was_listed(cell: HttpClient) -> None:
    tools = {one["name"]: one for one in (await cell.ask("tools/list"))["result"]["tools"]}
    assert tools["s_shelve"]["outputSchema"]["type"] == "object"
    result = (await cell.call("s_shelve", book="emma"))["result"]
    assert result["structuredContent"] == {"book": "emma", "shelf": "A"}


async def test_a_prompt_is_filled_in(cell: HttpClient) -> None:
    result = (await cell.ask("prompts/get", {"name": "s_review", "arguments": {"book": "emma"}}))["result"]
    assert "emma" in result["messages"][0]["content"]["text"]


async def test_a_resource_is_read_by_its_uri_and_by_that_of_a_template(cell: HttpClient) -> None:
    for uri, expected in (("library://catalog", "emma"), ("book://emma/text", "the text of emma")):
        (content,) = (await cell.ask("resources/read", {"uri": uri}))["result"]["contents"]
        assert content["uri"] == uri
        assert expected in content["text"]


async def test_an_unknown_resource_is_an_error_by_the_code_of_the_clients_era(cell: HttpClient, newest: bool) -> None:
    error = (await cell.ask("resources/read", {"uri": "nothing://here"}))["error"]
    assert error["code"] == (-32602 if newest else -32002)


async def test_an_unknown_tool_is_an_error_of_the_protocol(cell: HttpClient) -> None:
    assert (await cell.call("s_nothing"))["error"]["code"] == -32602


async def test_a_completion_comes_from_the_server(cell: HttpClient) -> None:
    asked: Any = {"ref": {"type": "ref/prompt", "name": "s_review"}, "argument": {"name": "book", "value": "e"}}
    assert (await cell.ask("completion/complete", asked))["result"]["completion"]["values"] == ["emma"]


async def test_hints_for_caches_are_said_to_the_newest_alone(cell: HttpClient, newest: bool) -> None:
    result = (await cell.ask("tools/list"))["result"]
    assert ("ttlMs" in result, "cacheScope" in result) == (newest, newest)


async def test_a_ping_is_answered_where_it_exists(cell: HttpClient, newest: bool) -> None:
    answer = await cell.ask("ping")
    assert (answer["error"]["code"] == -32601) if newest else (answer["result"] == {})
