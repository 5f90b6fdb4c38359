"""A client of one server over HTTP that shares no code with it, and sees every field of every event."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from gateway_clients import MODERN, OLDER, Answer, Wire, enveloped, head, request

from douane.sdk import Server
from douane.sdk.serving import Http, serve_http

Json = dict[str, Any]


class Said(NamedTuple):
    """One event."""

    id: str
    retry: str
    message: Json | None
    """None: it has no data."""


class Peer:
    """A client at a port: of the newer era until `greet` has opened a session."""

    def __init__(self, port: int, token: str | None = None, path: str = "/mcp") -> None:
        self.port, self.token, self.path = port, token, path
        self.session, self.revision = "", OLDER
        self._ids = itertools.count(1)

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        line = Wire(reader, writer, self.port)
        try:
            yield line
        finally:
            await line.hang_up()

    async def greet(self, revision: str = OLDER, capabilities: Json | None = None) -> Json:
        client = {"name": "t", "version": "1"}
        hello = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": client}
        answer = await self.post("initialize", hello)
        self.session = answer.headers["mcp-session-id"]
        self.revision = answer.message["result"]["protocolVersion"]
        return answer.message["result"]

    def headers(self, message: Json, **more: str) -> dict[str, str]:
        if not self.session:
            newer = "_meta" in message.get("params", {})
            return head(self.token, message if newer else None, **more)
        own = {"mcp-session-id": self.session, "mcp-protocol-version": self.revision}
        return head(self.token, None, **more) | own

    async def begin(self, line: Wire, method: str, params: Json | None = None, id: Any = None) -> None:
        message = request(method, params, next(self._ids) if id is None else id)
        await line.send("POST", self.headers(message), json.dumps(message).encode(), self.path)

    async def post(self, method: str, params: Json | None = None, id: Any = None) -> Answer:
        async with self.wire() as line:
            await self.begin(line, method, params, id)
            return await line.answer()

    async def reply(self, answer: Json) -> int:
        """Answer a question; the status."""
        async with self.wire() as line:
            await line.send("POST", self.headers({}), json.dumps(answer).encode(), self.path)
            return (await line.answer()).status

    async def listen(self, line: Wire, after: str | None = None) -> int:
        """GET; the status."""
        more = {} if after is None else {"last_event_id": after}
        await line.send("GET", self.headers({}, **more) | {"accept": "text/event-stream"})
        return (await line.status())[0]

    async def get(self, after: str) -> Answer:
        async with self.wire() as line:
            own = {"accept": "text/event-stream", "last-event-id": after}
            await line.send("GET", self.headers({}) | own)
            return await line.answer()


def newer(**params: Any) -> Json:
    return enveloped(params)


async def events(line: Wire) -> AsyncIterator[Said]:
    """The events of an answer whose head has been read, until it ends."""
    unread = b""
    async for chunk in line.chunks({"transfer-encoding": "chunked"}):
        unread += chunk
        *whole, unread = unread.split(b"\n\n")
        for event in whole:
            fields = dict(row.split(": ", 1) for row in event.decode().split("\n") if not row.startswith(":"))
            if fields:
                data = fields.get("data", "")
                yield Said(fields.get("id", ""), fields.get("retry", ""), json.loads(data) if data else None)


@asynccontextmanager
async def served(server: Server, **at: Any) -> AsyncIterator[Peer]:
    async with server.ready(), serve_http(server.listener, Http("127.0.0.1", 0, **at)) as port:
        yield Peer(port, at.get("token"))


__all__ = ["MODERN", "OLDER", "Json", "Peer", "Said", "events", "newer", "served"]
