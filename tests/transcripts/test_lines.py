"""Transcripts of stdio: the server is a process, and the client writes and reads its lines."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from gateway_clients import enveloped, request, tool
from peers import BOUND_S, MODERN, OLDER, Json

from .tape import HERE, Tape

CALLS_TOOLS: Json = {"sampling": {"tools": {}}}
OPENS_PAGES: Json = {"elicitation": {"url": {}}}
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
USED: Json = {
    "role": "assistant",
    "model": "m",
    "content": [{"type": "tool_use", "id": "u1", "name": "add", "input": {}}],
    "stopReason": "toolUse",
}


class Lines:
    """The client."""

    def __init__(self, tape: Tape, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._tape, self._process = tape, process
        self._in, self._out = process.stdin, process.stdout

    async def say(self, message: Any) -> None:
        line = json.dumps(message)
        self._tape.client(line)
        self._in.write(line.encode() + b"\n")
        await self._in.drain()

    async def hear(self) -> Json:
        line = await asyncio.wait_for(self._out.readline(), BOUND_S)
        message = json.loads(line)
        self._tape.unguessable(message)
        self._tape.server(line.decode().rstrip("\n"))
        return message

    async def ask(self, method: str, params: Json | None = None, id: int | str = 1) -> Json:
        await self.say(request(method, params, id))
        return await self.hear()

    async def note(self, method: str, params: Json | None = None) -> None:
        await self.say({"jsonrpc": "2.0", "method": method, "params": params or {}})

    async def reply(self, question: Json, result: Json) -> Json:
        await self.say({"jsonrpc": "2.0", "id": question["id"], "result": result})
        return await self.hear()

    async def greet(self, revision: str = OLDER, capabilities: Json | None = None) -> None:
        client = {"name": "raw", "version": "1"}
        hello = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": client}
        await self.ask("initialize", hello, 0)
        await self.note("notifications/initialized")

    async def end(self) -> None:
        """The end of the input ends the server, which says nothing more."""
        self._in.close()
        assert await asyncio.wait_for(self._out.read(), BOUND_S) == b""
        assert await asyncio.wait_for(self._process.wait(), BOUND_S) == 0


@asynccontextmanager
async def lines(tape: Tape) -> AsyncGenerator[Lines]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "server.py"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 24,
    )
    try:
        client = Lines(tape, process)
        yield client
        await client.end()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def newest(name: str, capabilities: Json | None = None, **more: Any) -> Json:
    declared: Any = {CAPABILITIES: capabilities or {}}
    return enveloped({**tool(name), **more}, **declared)


async def test_stdio_handshake() -> None:
    tape = Tape(f"A line of {OLDER}: a greeting, a call, the end.")
    async with lines(tape) as client:
        await client.greet()
        await client.ask("tools/call", tool("echo", {"text": "hello"}))
    tape.is_as_written("stdio-handshake")


async def test_stdio_newest() -> None:
    tape = Tape(f"A line of {MODERN}: discovery, a call, the end; nobody greets.")
    async with lines(tape) as client:
        await client.ask("server/discover", enveloped())
        await client.ask("tools/call", enveloped(tool("echo", {"text": "hello"})), 2)
    tape.is_as_written("stdio-newest")


async def test_stdio_batch() -> None:
    tape = Tape("A batch, which 2025-03-26 alone has: answered in one array; the note in it gets no answer.")
    async with lines(tape) as client:
        await client.greet("2025-03-26")
        note = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
        await client.say([request("ping", id=1), note, request("no/such", id=2)])
        await client.hear()
    tape.is_as_written("stdio-batch")


async def test_stdio_batch_refused() -> None:
    tape = Tape(f"A batch in a session of {OLDER}, which has none.")
    async with lines(tape) as client:
        await client.greet()
        await client.say([request("ping", id=1)])
        await client.hear()
    tape.is_as_written("stdio-batch-refused")


async def test_stdio_elicitation_url_handshake() -> None:
    tape = Tape(f"A page to open, asked in mid-call of a client of {OLDER}.")
    async with lines(tape) as client:
        await client.greet(capabilities=OPENS_PAGES)
        question = await client.ask("tools/call", tool("consent"))
        await client.reply(question, {"action": "accept"})
    tape.is_as_written("stdio-elicitation-url-handshake")


async def test_stdio_elicitation_url_newest() -> None:
    tape = Tape(f"A page to open, asked of a client of {MODERN} by a result, and answered by a retry.")
    async with lines(tape) as client:
        asked = await client.ask("tools/call", newest("consent", OPENS_PAGES))
        answers = {"page": {"action": "accept"}}
        again = {"inputResponses": answers, "requestState": asked["result"]["requestState"]}
        await client.ask("tools/call", newest("consent", OPENS_PAGES, **again), 2)
    tape.is_as_written("stdio-elicitation-url-newest")


async def test_stdio_sampling_tools_handshake() -> None:
    tape = Tape(f"Sampling with tools, asked in mid-call of a client of {OLDER}.")
    async with lines(tape) as client:
        await client.greet(capabilities=CALLS_TOOLS)
        question = await client.ask("tools/call", tool("think"))
        await client.reply(question, USED)
    tape.is_as_written("stdio-sampling-tools-handshake")


async def test_stdio_sampling_tools_newest() -> None:
    tape = Tape(f"Sampling with tools, asked of a client of {MODERN} by a result, and answered by a retry.")
    async with lines(tape) as client:
        asked = await client.ask("tools/call", newest("think", CALLS_TOOLS))
        again = {"inputResponses": {"model": USED}, "requestState": asked["result"]["requestState"]}
        await client.ask("tools/call", newest("think", CALLS_TOOLS, **again), 2)
    tape.is_as_written("stdio-sampling-tools-newest")


async def test_stdio_resource_updates_handshake() -> None:
    tape = Tape(f"A resource that changes, subscribed to in {OLDER}.")
    async with lines(tape) as client:
        await client.greet()
        await client.ask("resources/subscribe", {"uri": "note://today"})
        await both(client, tool("change"))
    tape.is_as_written("stdio-resource-updates-handshake")


async def test_stdio_resource_updates_newest() -> None:
    tape = Tape(f"A resource that changes, listened for in {MODERN}; cancelled, nothing more is told.")
    async with lines(tape) as client:
        await client.ask(
            "subscriptions/listen", enveloped({"notifications": {"resourceSubscriptions": ["note://today"]}}), "listen"
        )
        await both(client, newest("change"))
        await client.note("notifications/cancelled", {"requestId": "listen"})
        await client.ask("tools/call", newest("change"), 3)
    tape.is_as_written("stdio-resource-updates-newest")


async def both(client: Lines, call: Json) -> None:
    """The call, its answer and what it tells."""
    await client.ask("tools/call", call, 2)
    await client.hear()


async def test_stdio_cancellation_handshake() -> None:
    tape = Tape(f"A call of {OLDER} that is cancelled on a line: it gets no answer.")
    async with lines(tape) as client:
        await client.greet()
        await client.ask("tools/call", {**tool("hold"), "_meta": {"progressToken": "p"}})
        await client.note("notifications/cancelled", {"requestId": 1, "reason": "enough"})
        await client.ask("ping", id=2)
    tape.is_as_written("stdio-cancellation-handshake")


async def test_stdio_cancellation_newest() -> None:
    tape = Tape(f"A call of {MODERN} that is cancelled on a line: it gets no answer.")
    async with lines(tape) as client:
        await client.ask("tools/call", enveloped(tool("hold"), progressToken="p"))
        await client.note("notifications/cancelled", {"requestId": 1, "reason": "enough"})
        await client.ask("tools/call", enveloped(tool("echo", {"text": "still here"})), 2)
    tape.is_as_written("stdio-cancellation-newest")
