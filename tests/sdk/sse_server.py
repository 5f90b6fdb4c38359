"""A scripted server of HTTP+SSE: it takes no POST where its stream is, and writes down what is posted to it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from peers import BOUND_S, Json

from douane.transports.address import Reach
from douane.transports.http_client import HttpClient
from douane.transports.http_server import Guard, Reply, Request, serve

STREAM = [(b"content-type", b"text/event-stream")]
PLENTY = 16 * 1024 * 1024
TOOLS: Json = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}


class Scripted:
    """`opening` is what its stream begins with; `on` says how a method is answered, `status` how a POST is."""

    def __init__(self, revision: str = "2024-11-05") -> None:
        self.url = ""
        self.opening = b"event: endpoint\ndata: /messages?s=1\n\n"
        self.head: tuple[int, list[tuple[bytes, bytes]]] = (200, STREAM)
        self.status = 202
        self.posted_to: list[bytes] = []
        self.heard: list[Json] = []
        self.streams: list[Reply] = []
        self.gone = asyncio.Event()
        self.on: dict[str, Callable[[Json], None]] = {}
        self.take_batch: Callable[[Any], None] = self.heard.extend
        self.revision = revision
        self._news = asyncio.Event()

    def __call__(self, request: Request, reply: Reply) -> None:
        if request.method == b"GET":
            self._open(reply)
        elif request.path == b"/sse":
            reply.send(405, [])
        else:
            self.posted_to.append(request.path + b"?" + request.query)
            message: Any = json.loads(request.body)
            reply.send(self.status, [])
            if isinstance(message, list):
                self.take_batch(message)
            elif self.status == 202:
                self._hear(message)

    def _open(self, reply: Reply) -> None:
        status, headers = self.head
        if status != 200:
            reply.send(status, headers)
            return
        reply.open(status, headers)
        reply.gone = self.gone.set
        self.streams.append(reply)
        reply.write(self.opening, max_unsent_bytes=PLENTY)

    def _hear(self, message: Json) -> None:
        self.heard.append(message)
        self._news.set()
        method = message["method"]
        if method in self.on:
            self.on[method](message)
        elif method == "initialize":
            about = {"protocolVersion": self.revision, "capabilities": {"tools": {}}, "serverInfo": {"name": "s"}}
            self.say({"id": message["id"], "result": about})
        elif "id" in message:
            self.say({"id": message["id"], "result": TOOLS if method == "tools/list" else {"content": []}})

    def say(self, *messages: Json) -> None:
        """One message as an event, or several as a batch."""
        whole = [{"jsonrpc": "2.0", **message} for message in messages]
        self.event("message", json.dumps(whole if len(whole) > 1 else whole[0]).encode())

    def event(self, name: str, data: bytes) -> None:
        self.streams[-1].write(b"event: %b\ndata: %b\n\n" % (name.encode(), data), max_unsent_bytes=PLENTY)

    def end(self, data: bytes = b"") -> None:
        self.streams[-1].gone = None
        self.streams[-1].end(data)

    async def until(self, method: str) -> Json:
        """The first time it hears `method`."""
        async with asyncio.timeout(BOUND_S):
            while not (found := [message for message in self.heard if message["method"] == method]):
                self._news.clear()
                await self._news.wait()
        return found[0]


@asynccontextmanager
async def scripted(revision: str = "2024-11-05") -> AsyncIterator[tuple[Scripted, HttpClient]]:
    """The server, and a client of HTTP that reaches it."""
    made = Scripted(revision)
    bound = socket.create_server(("127.0.0.1", 0))
    server = await serve(made, guard=Guard.loopback(bound.getsockname()[1]), sock=bound)
    made.url = f"http://127.0.0.1:{server.port}/sse"
    http = HttpClient(reach=Reach.LOOPBACK)
    try:
        yield made, http
    finally:
        await http.aclose()
        await server.aclose(0)
