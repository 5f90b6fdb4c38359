"""Servers of the handshake era at a URL, on the official SDKs: what they tell on their own stream is heard."""

import json
from pathlib import Path

import pytest
from gateway_clients import http, names_of, session, text_of, tool, until_ready, wire
from gateway_world import gateway, until

from .commands import everything_http_server, free_port, listening, server_py1

pytestmark = pytest.mark.counterpart
ALL = {"tools": ["*"], "resources": ["*"], "prompts": ["*"]}
LISTEN = {"accept": "text/event-stream"}
LEVEL = "io.modelcontextprotocol/logLevel"


def at(port: int) -> dict[str, object]:
    """Its lists are read again when it tells of a change, and not for a day otherwise."""
    return {"url": f"http://127.0.0.1:{port}/mcp", "reads": ALL, "refresh_s": 86_400}


async def test_a_tool_that_grew_is_listed_and_clients_are_told(tmp_path: Path) -> None:
    port = free_port()
    async with (
        listening(server_py1(), port),
        gateway(tmp_path, {"py": at(port)}) as running,
        http(running) as client,
        session(running) as older,
        wire(running) as ear,
    ):
        await until_ready(running)
        await ear.send("GET", older.headers() | LISTEN)
        _, said = await ear.status()
        assert text_of(await client.ask("tools/call", tool("py_grow", {"name": "twig"}))) == "grown"
        chunks = ear.chunks(said)
        # A stream begins with an event that says nothing.
        assert (await anext(chunks)).endswith(b"data: \n\n")
        assert b"notifications/tools/list_changed" in await anext(chunks)
        assert "py_twig" in names_of(await older.ask("tools/list"))
        assert text_of(await client.call("py_twig")) == "twig"


async def test_the_log_level_of_a_caller_reaches_the_server_before_the_call(tmp_path: Path) -> None:
    port = free_port()
    async with (
        listening(server_py1(), port),
        gateway(tmp_path, {"py": at(port)}) as running,
        http(running) as client,
        session(running) as older,
    ):
        assert text_of(await client.call("py_level")) == "none"
        assert text_of(await client.ask("tools/call", tool("py_level"), **{LEVEL: "warning"})) == "warning"
        await older.ask("logging/setLevel", {"level": "debug"})
        assert text_of(await older.call("py_level")) == "debug"
        assert text_of(await client.ask("tools/call", tool("py_level"), **{LEVEL: "error"})) == "debug"


async def test_the_server_of_everything_is_heard_and_found_again_after_it_was_restarted(tmp_path: Path) -> None:
    port = free_port()
    said = tmp_path / "said"
    async with gateway(tmp_path / "home", {"ts": at(port)}) as running, http(running) as client:
        for time in (1, 2):
            async with listening(everything_http_server(), port, said=said):
                # The second is found because its stream ended, and no session is known there: nobody called.
                assert await until(lambda n=time: sum("upstream ts is up" in line for line in running.log) == n)
                assert await until(lambda n=time: said.read_text().count("Establishing new SSE stream") >= n)
                answer = await client.ask("tools/call", tool("ts_echo", {"message": "hi"}), **{LEVEL: "debug"})
                assert text_of(answer) == "Echo: hi", json.dumps(answer)
