"""Clients by command and by URL, and many side by side; the servers are programs, and nothing of them is left."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from gateway_world import until
from peers import ENVELOPE

from douane.protocol.versions import Era
from douane.sdk import CannotConnect, Client, Host, Reaching, Server, ServerError
from douane.sdk.testing import asking

BOUND_S = 10.0
PROGRAM = """
import os, sys, time
from douane.sdk import Context, Server, ToolError

server = Server("program")

@server.tool()
def pid() -> int:
    return os.getpid()

@server.tool()
def variable(name: str) -> str | None:
    return os.environ.get(name)

@server.tool()
def die() -> None:
    os._exit(3)

@server.tool()
def count(context: Context, to: int) -> str:
    for n in range(to):
        context.progress(n + 1, to, f"at {n + 1}")
        context.info(n)
    print("a stray line on standard output")
    return "counted"

@server.tool()
def hang() -> None:
    time.sleep(3600)

server.run(*sys.argv[1:], port=0, token=os.environ.get("TOKEN"))
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    (tmp_path / "program.py").write_text(PROGRAM)
    return [sys.executable, str(tmp_path / "program.py")]


@pytest_asyncio.fixture(autouse=True)
async def no_child_left() -> AsyncGenerator[None]:
    before = children()
    yield
    assert await until(lambda: children() <= before, BOUND_S)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@asynccontextmanager
async def at_a_port(program: list[str], **env: str) -> AsyncGenerator[str]:
    process = await asyncio.create_subprocess_exec(
        *program, "http", env={**os.environ, **env}, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        said = (await asyncio.wait_for(process.stderr.readline(), BOUND_S)).decode()
        found = re.search(r"http://\S+", said)
        assert found is not None, said
        yield found[0]
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), BOUND_S) == 0
        await process.stderr.read()


async def test_a_command_is_started_spoken_to_and_ended(program: list[str]) -> None:
    async with Client(program) as client:
        assert (client.server["name"], client.era) == ("program", Era.STATELESS)
        pid = (await client.call("pid")).structured["result"]
        assert psutil.pid_exists(pid)
    assert await until(lambda: not psutil.pid_exists(pid), BOUND_S)


async def test_a_command_may_be_one_line_and_gets_only_the_environment_it_is_given(
    program: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "secret")
    async with Client(" ".join(program), how=Reaching(env={"GIVEN": "this"})) as client:
        assert [(await client.call("variable", {"name": name})).text for name in ("GIVEN", "API_TOKEN")] == [
            "this",
            "null",
        ]


async def test_what_happens_during_a_call_is_heard_over_every_way(program: list[str]) -> None:
    heard: list[object] = []
    async with at_a_port(program) as url:
        for target in (program, url):
            heard.clear()
            async with Client(target, how=Reaching(on_stderr=lambda line: None)) as client:
                answer = await client.call(
                    "count",
                    {"to": 2},
                    on_progress=lambda *said: heard.append(said),
                    on_log=lambda *said: heard.append(said),
                )
            assert answer.text == "counted"
            assert heard == [(1, 2, "at 1"), ("info", 0), (2, 2, "at 2"), ("info", 1)]


async def test_a_server_whose_tool_never_returns_ends_with_its_client(program: list[str]) -> None:
    async with Client(program) as client:
        with pytest.raises(ServerError, match="no answer within"):
            await client.call("hang", deadline_s=0.3)


async def test_a_server_that_dies_fails_the_call_it_was_at_and_all_after_it(program: list[str]) -> None:
    async with Client(program) as client:
        with pytest.raises(ServerError, match="ended before it answered"):
            await client.call("die")
        assert not client.is_open
        with pytest.raises(ServerError, match="its line is closed"):
            await client.call("pid")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/no/such/program", "cannot start '/no/such/program'"),
        ("", "the command is empty"),
        (f"{sys.executable} -c exit(4)", "exited with status 4"),
        ("http://127.0.0.1:1/mcp", "the upstream cannot be reached"),
        ("http://127.0.0.1:bad/mcp", "cannot be used"),
    ],
)
async def test_what_cannot_be_opened_says_why(target: str, said: str) -> None:
    with pytest.raises(CannotConnect, match=re.escape(said)):
        async with Client(target):
            pass


async def test_a_server_at_a_port_wants_its_token_and_its_own_name(program: list[str]) -> None:
    async with at_a_port(program, TOKEN="open sesame") as url:
        with pytest.raises(CannotConnect, match=r"refuses our credentials \(401\)"):
            async with Client(url):
                pass
        async with Client(url, how=Reaching(headers={"Authorization": "Bearer open sesame"})) as client:
            assert (await client.call("pid")).structured["result"] > 0


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Host", "evil.example", b"403"),
        ("Origin", "https://evil.example", b"403"),
        ("Origin", "null", b"403"),
        # What this server serves itself may call it: 400, since the body is empty.
        ("Origin", "http://127.0.0.1:{port}", b"400"),
        ("Origin", "http://localhost:{port}", b"400"),
    ],
)
async def test_a_page_of_another_site_is_kept_out_of_a_server_at_a_port(
    program: list[str], name: str, value: str, status: bytes
) -> None:
    async with at_a_port(program) as url:
        port = int(url.split(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        headers = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", "Content-Length": "0"}
        headers[name] = value.format(port=port)
        lines = "".join(f"{key}: {text}\r\n" for key, text in headers.items())
        writer.write(f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode())
        assert (await asyncio.wait_for(reader.readline(), BOUND_S)).split()[1] == status
        writer.close()
        await writer.wait_closed()


def test_what_other_machines_can_reach_is_not_served_without_a_token() -> None:
    with pytest.raises(ValueError, match="give a token="):
        Server("s").run("http", host="0.0.0.0", port=0)
    with pytest.raises(ValueError, match="transport is 'stdio', 'http' or 'sse'"):
        Server("s").run("carrier pigeon")


async def test_a_host_speaks_to_many_and_one_that_is_dead_disturbs_nobody(program: list[str]) -> None:
    inner = Server("inner")

    @inner.tool()
    def hello() -> str:
        return "hello"

    servers = {"one": program, "two": program, "inner": inner, "dead": "/no/such/program"}
    async with Host(servers) as host:
        assert host.down.keys() == {"dead"}
        assert {name: len(tools) for name, tools in (await host.tools()).items()} == {"one": 5, "two": 5, "inner": 1}
        with pytest.raises(ServerError):
            await host.call("one", "die")
        first = (await host.call("two", "pid")).structured["result"]
        assert (await host.call("inner", "hello")).text == "hello"
        # The one that died is opened anew when it is next used; its neighbour is the same as before.
        assert (await host.call("one", "pid")).structured["result"] != first
        assert (await host.call("two", "pid")).structured["result"] == first
        with pytest.raises(CannotConnect, match="dead: cannot start"):
            await host.call("dead", "pid")


def test_plain_tests_ask_without_a_loop_of_their_own() -> None:
    server = Server("s")

    @server.tool()
    async def double(n: int) -> int:
        return 2 * n

    with asking(server) as client:
        assert [client.call("double", {"n": n}).structured["result"] for n in range(3)] == [0, 2, 4]
        assert [tool["name"] for tool in client.tools()] == ["double"]
        assert (client.resources(), client.templates(), client.prompts()) == ([], [], [])


async def piped(program: list[str], *frames: dict[str, object]) -> list[dict[str, object]]:
    """What a server answers to somebody who pipes questions in and closes the pipe at once."""
    process = await asyncio.create_subprocess_exec(
        *program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    asked = "".join(json.dumps({"jsonrpc": "2.0", **frame}) + "\n" for frame in frames)
    out, _ = await asyncio.wait_for(process.communicate(asked.encode()), BOUND_S)
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


async def test_who_pipes_questions_in_gets_all_answers_before_the_server_ends(program: list[str]) -> None:
    call = {"method": "tools/call", "params": {"name": "pid", "_meta": ENVELOPE}}
    said = await piped(program, *({"id": id_, **call} for id_ in range(3)))
    assert sorted(str(answer["id"]) for answer in said) == ["0", "1", "2"]
    assert all("result" in answer for answer in said)


async def test_a_server_at_a_call_that_never_ends_ends_when_its_client_has_gone_and_it_is_told_to(
    program: list[str],
) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hang", "_meta": ENVELOPE}}
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    process.stdin.write((json.dumps(call) + "\n" + json.dumps(ping) + "\n").encode())
    assert b'"id":2' in await asyncio.wait_for(process.stdout.readline(), BOUND_S)
    process.stdin.close()
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 5.0) == 0
