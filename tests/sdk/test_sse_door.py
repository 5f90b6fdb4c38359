"""The door of HTTP+SSE by itself: streams are bound to who opened them, few, and gone when nobody uses them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway_world import until
from peers import BOUND_S, OLDER, Json

from douane.flow.chain import Emit
from douane.gateway.front import ABOUT
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Complete, Outcome
from douane.registry.catalog import Catalog
from douane.sdk.held import Turned
from douane.sdk.listener import Listener
from douane.sdk.sse_door import SseDoor
from douane.transports.http_server import Guard, HttpServer, Request, serve
from douane.wire.rpc import Limits

HELLO = {"protocolVersion": OLDER, "capabilities": {}, "clientInfo": {"name": "c"}}


class World:
    """The door, and a handler behind it that holds calls of `held`."""

    def __init__(self, door: SseDoor, catalog: Catalog, server: HttpServer) -> None:
        self.door, self.catalog, self.server = door, catalog, server


class Handler:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.cancelled = asyncio.Event()
        self.reached = asyncio.Event()
        self.result: Json = {"content": []}

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        self.calls.append(call)
        self.reached.set()
        if call.target == "held":
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return Complete(self.result)


def by_header(request: Request) -> Principal:
    name = request.headers.get(b"x-name")
    if name is None:
        raise Turned(401, "client: who are you?", [(b"www-authenticate", b"Bearer")])
    return Principal(name.decode())


@asynccontextmanager
async def world(handler: Handler, **options: Any) -> AsyncIterator[World]:
    catalog = Catalog()
    door = SseDoor(Listener(handler, catalog, ABOUT), by_header, Limits(), **options)
    server = await serve(lambda request, reply: door.paths[request.path](request, reply), guard=Guard([b"good"]))
    try:
        yield World(door, catalog, server)
    finally:
        await door.aclose()
        await server.aclose(0)
        assert (len(door), catalog.on_change) == (0, [])


class Stream:
    def __init__(self, at: World, reader: asyncio.StreamReader, name: str) -> None:
        self.at, self._reader, self.name, self.endpoint = at, reader, name, ""

    async def line(self) -> bytes:
        """The next line of the body that says something; none at its end."""
        while True:
            async with asyncio.timeout(BOUND_S):
                line = await self._reader.readline()
            if line in (b"", b"0\r\n"):
                return b""
            if line.startswith((b"data:", b":")):
                return line.strip()

    async def message(self) -> Json:
        while not (line := await self.line()).startswith(b"data:"):
            assert line, "the stream has ended"
        return json.loads(line[5:])

    async def post(self, message: Json, name: str | None = None) -> int:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        status, _ = await said(self.at, "POST", self.endpoint, name or self.name, body)
        return status

    async def greet(self) -> None:
        assert await self.post({"id": 0, "method": "initialize", "params": HELLO}) == 202
        assert (await self.message())["id"] == 0


async def said(at: World, method: str, path: str, name: str | None, body: bytes = b"") -> tuple[int, bytes]:
    """Status and text of an answer on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", at.server.port)
    writer.write(head(method, path, name, body) + body)
    async with asyncio.timeout(BOUND_S):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]


def head(method: str, path: str, name: str | None, body: bytes = b"", last: str = "connection: close\r\n") -> bytes:
    who = f"x-name: {name}\r\n" if name is not None else ""
    kind = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nhost: good\r\n{who}{kind}{last}\r\n".encode()


@asynccontextmanager
async def stream(at: World, name: str = "anna", **options: Any) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", at.server.port, **options)
    writer.write(head("GET", "/sse", name, last=""))
    opened = Stream(at, reader, name)
    opened.endpoint = (await opened.line())[5:].strip().decode()
    try:
        yield opened
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


async def test_a_stream_is_its_openers_and_does_not_exist_for_anybody_else() -> None:
    handler = Handler()
    async with world(handler) as at, stream(at) as anna, stream(at, "boris") as boris:
        call = {"id": 1, "method": "tools/call", "params": {"name": "t"}}
        await anna.greet()
        assert await anna.post(call, "boris") == 404
        assert await anna.post(call) == 202
        assert (await anna.message())["result"] == {"content": []}
        assert [call.principal for call in handler.calls] == [Principal("anna")]
        assert anna.endpoint != boris.endpoint
        status, text = await said(at, "POST", anna.endpoint, None, b"{}")
        assert (status, text) == (401, b"client: who are you?")


async def test_there_are_only_so_many_streams_and_one_that_ends_makes_room() -> None:
    async with world(Handler(), max_streams=2) as at, stream(at):
        async with stream(at):
            status, text = await said(at, "GET", "/sse", "anna")
            assert (status, text) == (503, b"gateway: no stream is free; try again later")
        assert await until(lambda: len(at.door) == 1)
        async with stream(at) as another:
            await another.greet()


async def test_one_caller_has_a_share_of_the_streams_and_leaves_room_for_others() -> None:
    async with world(Handler(), max_per_principal=1) as at, stream(at, "anna"):
        status, text = await said(at, "GET", "/sse", "anna")
        assert (status, text) == (429, b"client: you have 1 streams open; end one")
        async with stream(at, "boris") as another:
            await another.greet()


async def test_a_stream_that_nobody_uses_ends_and_one_with_an_open_call_goes_on() -> None:
    handler = Handler()
    async with world(handler, idle_s=0.5, pulse_s=0.02) as at, stream(at) as busy:
        await busy.greet()
        await busy.post({"id": 1, "method": "tools/call", "params": {"name": "held"}})
        await handler.reached.wait()
        async with stream(at) as unused:
            while line := await unused.line():
                assert line == b":"
            assert await unused.post({"id": 1, "method": "ping"}) == 404
        assert len(at.door) == 1
        assert not handler.cancelled.is_set()


async def test_a_silent_stream_is_kept_awake() -> None:
    async with world(Handler(), pulse_s=0.01) as at, stream(at) as opened:
        assert [await opened.line() for _ in range(3)] == [b":"] * 3


async def test_a_client_that_does_not_read_loses_its_stream_and_its_calls() -> None:
    handler = Handler()
    handler.result = {"content": [{"type": "text", "text": "x" * 1_000_000}]}
    async with world(handler) as at, stream(at, limit=1024) as deaf:
        await deaf.greet()
        await deaf.post({"id": "h", "method": "tools/call", "params": {"name": "held"}})
        for number in range(40):
            if await deaf.post({"id": number + 1, "method": "tools/call", "params": {"name": "t"}}) == 404:
                break
        await asyncio.wait_for(handler.cancelled.wait(), BOUND_S)
        assert len(handler.calls) < 30
        assert await until(lambda: len(at.door) == 0)


async def test_closing_the_door_cancels_what_is_open_and_ends_every_stream() -> None:
    handler = Handler()
    async with world(handler) as at, stream(at) as one, stream(at) as other:
        await one.greet()
        await one.post({"id": 1, "method": "tools/call", "params": {"name": "held"}})
        await handler.reached.wait()
        await at.door.aclose()
        assert handler.cancelled.is_set()
        for opened in (one, other):
            while line := await opened.line():
                assert line == b":"
        assert (await said(at, "GET", "/sse", "anna"))[0] == 503
