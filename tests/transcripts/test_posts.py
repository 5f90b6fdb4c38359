"""Transcripts of HTTP: each message of the client a POST, and what becomes of streams that end before their answer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from gateway_clients import MODERN, OLDER, enveloped, head, request, tool, wire_to
from peers import Json

from douane.sdk.serving import Http, serve_http

from .server import server
from .tape import Posts, Tape

STREAM = {"accept": "text/event-stream"}
TOKEN = "t" * 32


@asynccontextmanager
async def posts(tape: Tape, **at: Any) -> AsyncGenerator[Posts]:
    async with server.ready(), serve_http(server.listener, Http("127.0.0.1", 0, **at)) as port:
        yield Posts(tape, port, at.get("token"))


class Session:
    """A client that has greeted."""

    def __init__(self, client: Posts, id: str, revision: str) -> None:
        self.client = client
        self.mine = {"mcp-session-id": id, "mcp-protocol-version": revision}
        self.headers = head(None) | self.mine

    async def post(self, message: Any) -> Json:
        """An exchange whose answer is a document or nothing."""
        async with wire_to(self.client.port) as line:
            await self.client.send(line, "POST", self.headers, message)
            return await self.client.whole(line)

    async def told(self, message: Any) -> list[Json]:
        """An exchange whose answer is a stream, to its end."""
        async with wire_to(self.client.port) as line:
            await self.client.send(line, "POST", self.headers, message)
            _, headers = await self.client.head(line)
            return [said async for _, said in self.client.events(line, headers)]


async def greet(client: Posts, revision: str = OLDER, **capabilities: Any) -> Session:
    about = {"name": "raw", "version": "1"}
    hello = {"protocolVersion": revision, "capabilities": capabilities, "clientInfo": about}
    async with wire_to(client.port) as line:
        await client.send(line, "POST", head(None), request("initialize", hello, 0))
        _, headers = await client.head(line)
        body = b"".join([chunk async for chunk in line.chunks(headers)])
        client.read(body)
    session = Session(client, headers["mcp-session-id"], revision)
    await session.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    return session


async def test_http_handshake() -> None:
    tape = Tape(f"A session of {OLDER} over HTTP: a greeting, a call, the end.")
    async with posts(tape) as client:
        session = await greet(client)
        await session.post(request("tools/call", tool("echo", {"text": "hello"})))
        async with wire_to(client.port) as line:
            await client.send(line, "DELETE", session.mine, None)
            await client.whole(line)
        tape.part("The session is gone.")
        await session.post(request("ping", id=2))
    tape.is_as_written("http-handshake")


async def test_http_newest() -> None:
    tape = Tape(f"{MODERN} over HTTP: no session, and headers that mirror the request.")
    async with posts(tape) as client:
        for message in (
            request("server/discover", enveloped()),
            request("tools/call", enveloped(tool("echo", {"text": "hello"})), 2),
        ):
            async with wire_to(client.port) as line:
                await client.send(line, "POST", head(None, message), message)
                await client.whole(line)
    tape.is_as_written("http-newest")


async def test_http_batch() -> None:
    tape = Tape("A batch over HTTP, which 2025-03-26 alone has; the note in it gets no answer.")
    async with posts(tape) as client:
        session = await greet(client, "2025-03-26")
        note = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
        await session.post([request("ping", id=1), note, request("no/such", id=2)])
    tape.is_as_written("http-batch")


async def test_http_resumption() -> None:
    tape = Tape(f"A stream of {OLDER} that ends before its answer is taken up where it was.")
    async with posts(tape) as client:
        session = await greet(client)
        call = request("tools/call", {**tool("walk"), "_meta": {"progressToken": "p"}})
        last = ""
        async with wire_to(client.port) as line:
            await client.send(line, "POST", session.headers, call)
            _, headers = await client.head(line)
            async for fields, _ in client.events(line, headers):
                last = fields.get("id", last)
        tape.part("The rest, behind the last event that was heard.")
        async with wire_to(client.port) as line:
            await client.send(line, "GET", session.mine | STREAM | {"last-event-id": last}, None)
            _, headers = await client.head(line)
            async for _ in client.events(line, headers):
                pass
    tape.is_as_written("http-resumption")


async def test_http_cancellation_handshake() -> None:
    tape = Tape(f"A call of {OLDER} that is cancelled by a notification; its stream ends without an answer.")
    async with posts(tape) as client:
        session = await greet(client)
        call = request("tools/call", {**tool("hold"), "_meta": {"progressToken": "p"}})
        async with wire_to(client.port) as line:
            await client.send(line, "POST", session.headers, call)
            _, headers = await client.head(line)
            async for _, said in client.events(line, headers):
                if said.get("method") == "notifications/progress":
                    tape.part("Meanwhile, on another connection.")
                    cancel = {"requestId": 1, "reason": "enough"}
                    await session.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})
                    tape.part("The stream of the call has ended.")
    tape.is_as_written("http-cancellation-handshake")


async def test_http_cancellation_newest() -> None:
    tape = Tape(f"A call of {MODERN} is cancelled by hanging up; the tool says so to who listens.")
    async with posts(tape) as client, wire_to(client.port) as ear:
        wanted = enveloped({"notifications": {"resourceSubscriptions": ["note://today"]}})
        listen = request("subscriptions/listen", wanted, "listen")
        await client.send(ear, "POST", head(None, listen), listen)
        _, headers = await client.head(ear)
        told = client.events(ear, headers)
        await anext(told)
        tape.part("The call, on another connection.")
        async with wire_to(client.port) as line:
            call = request("tools/call", enveloped(tool("hold"), progressToken="p"))
            await client.send(line, "POST", head(None, call), call)
            _, headers = await client.head(line)
            await anext(client.events(line, headers))
            tape.hangs_up()
        tape.part("The stream that listens.")
        await anext(told)
    tape.is_as_written("http-cancellation-newest")


async def test_sse_handshake() -> None:
    tape = Tape("HTTP+SSE, the transport of 2024-11-05: the stream names where to post, and tells the answers.")
    async with posts(tape, legacy=True, token=TOKEN) as client, wire_to(client.port) as stream:
        await client.send(stream, "GET", STREAM, None, "/sse")
        _, headers = await client.head(stream)
        told = client.events(stream, headers)
        fields, _ = await anext(told)
        endpoint = fields["data"]
        tape.named(endpoint.partition("=")[2], "session")
        hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        for message in (
            request("initialize", hello, 0),
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            request("tools/call", tool("echo", {"text": "hello"})),
        ):
            async with wire_to(client.port) as line:
                await client.send(line, "POST", head(None), message, endpoint)
                await client.head(line)
            if "id" in message:
                await anext(told)
        await told.aclose()
    tape.is_as_written("sse-handshake")
