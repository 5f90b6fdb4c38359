"""A scripted MCP server over Streamable HTTP, in this process, for gateways and sessions to call.

Of the handshake era, with a session and a GET stream, or of the stateless one. `heard` is everything it was sent, in
order; `until` waits for what it heard, never for time. A method without a hook in `on` is served well.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gateway_world import BOUND_S
from peers import MODERN, OLDER, Json, Speaks, tool

from douane.transports.http_server import Guard, Limits, Reply, Request, serve

JSON = [(b"content-type", b"application/json")]
STREAM = [(b"content-type", b"text/event-stream")]


class Heard:
    """One request, and how it is answered."""

    def __init__(self, server: "HttpUpstream", request: Request, reply: Reply) -> None:
        self.server, self.request, self.reply = server, request, reply
        self.http = request.method.decode()
        self.token = request.headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        self.session = request.headers.get(b"mcp-session-id", b"").decode()
        self.last_event_id = request.headers.get(b"last-event-id")
        self.message: Json = json.loads(request.body) if request.body else {}
        self.id, self.method = self.message.get("id"), self.message.get("method", self.http)
        self.params: Json = self.message.get("params", {})
        self.open = False
        """It is a stream that can still be told something."""

    def answer(self, result: Json, **headers: str) -> None:
        more = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        body = json.dumps({"jsonrpc": "2.0", "id": self.id, "result": result}).encode()
        self.reply.send(200, [*JSON, *more], body)

    def error(self, code: int, message: str) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": self.id, "error": {"code": code, "message": message}}).encode()
        self.reply.send(400, JSON, body)

    def listen(self) -> None:
        self.reply.open(200, STREAM)
        self.reply.gone, self.open = self._gone, True

    def tell(self, method: str, params: Json | None = None) -> None:
        said = json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}).encode()
        self.say(b"data: " + said + b"\n\n")

    def say(self, data: bytes) -> None:
        self.reply.write(data)

    def end(self) -> None:
        self.open = False
        self.reply.end()

    def _gone(self) -> None:
        self.open = False
        self.server.news.set()


Hook = Callable[[Heard], None]


class HttpUpstream:
    def __init__(self, speaks: Speaks = "handshake", **on: Hook) -> None:
        self.speaks, self.tools = speaks, [tool("echo")]
        self.capabilities: Json = {"tools": {"listChanged": True}, "logging": {}}
        self.on: dict[str, Hook] = {name.replace("__", "/"): hook for name, hook in on.items()}
        self.good: set[str] | None = None
        """The bearer tokens that it lets in; None: it asks for none."""
        self.issuer: str | None = None
        """Who gives those, as its metadata say."""
        self.challenge = 'Bearer error="invalid_token"'
        self.heard: list[Heard] = []
        self.sessions = 0
        self.port = 0
        self.news = asyncio.Event()
        self.broken: list[Exception] = []
        """What its hooks have raised."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def config(self) -> Json:
        """As an upstream of a gateway."""
        return {"url": self.url, "reads": {"tools": ["*"]}}

    @property
    def ears(self) -> list[Heard]:
        """The GET streams that are open."""
        return [heard for heard in self.heard if heard.open]

    @property
    def answers(self) -> list[Json]:
        """What it was answered."""
        return [heard.message for heard in self.heard if "result" in heard.message or "error" in heard.message]

    def methods(self) -> list[str]:
        return [heard.method for heard in self.heard]

    async def until(self, method: str, count: int = 1) -> Heard:
        """The `count`-th time it hears `method` (of HTTP, where there is no message)."""
        await self.when(lambda: self.methods().count(method) >= count)
        return [heard for heard in self.heard if heard.method == method][count - 1]

    async def when(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(BOUND_S):
            while not true():
                self.raise_broken()
                self.news.clear()
                await self.news.wait()

    def raise_broken(self) -> None:
        if self.broken:
            raise AssertionError("a hook of the test is wrong") from self.broken[0]

    def __call__(self, request: Request, reply: Reply) -> None:
        heard = Heard(self, request, reply)
        if request.path.startswith(b"/.well-known/"):
            said = {"resource": self.url, "authorization_servers": [self.issuer]}
            reply.send(200 if self.issuer else 404, JSON, json.dumps(said).encode())
            return
        self.heard.append(heard)
        self.news.set()
        if self.good is not None and heard.token not in self.good:
            reply.send(401, [(b"www-authenticate", self.challenge.encode())])
            return
        hook = self.on.get(heard.method)
        if hook is not None:
            self._hooked(hook, heard)
        elif heard.http == "GET" and self.speaks == "handshake":
            heard.listen()
        elif heard.http != "POST":
            reply.send(200 if heard.http == "DELETE" else 405, [])
        elif heard.id is None or "method" not in heard.message:
            reply.send(202, [])
        else:
            self._serve(heard)

    def _hooked(self, hook: Hook, heard: Heard) -> None:
        try:
            hook(heard)
        except Exception as exc:
            # What waits fails at once, and the block at its end: a wrong test does not wait for its bound.
            self.broken.append(exc)
            self.news.set()
            if heard.reply.begun:
                heard.end()
            else:
                heard.reply.send(500, [])

    def _serve(self, heard: Heard) -> None:
        older = self.speaks == "handshake"
        match heard.method:
            case "initialize" if older:
                self.sessions += 1
                hello = {
                    "protocolVersion": OLDER,
                    "capabilities": self.capabilities,
                    "serverInfo": {"name": "scripted"},
                }
                heard.answer(hello, mcp_session_id=f"s{self.sessions}")
            case "server/discover" if not older:
                heard.answer(self._typed({"supportedVersions": [MODERN], "capabilities": self.capabilities}))
            case "tools/list":
                heard.answer(self._typed({"tools": self.tools}))
            case "tools/call":
                text = json.dumps(heard.params.get("arguments", {}))
                heard.answer(self._typed({"content": [{"type": "text", "text": text}]}))
            case "ping" | "logging/setLevel":
                heard.answer({})
            case _:
                heard.error(-32601, "method not found")

    def _typed(self, result: Json) -> Json:
        hints: dict[str, Any] = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        return result if self.speaks == "handshake" else {**result, **hints}


@asynccontextmanager
async def http_upstream(
    speaks: Speaks = "handshake",
    *,
    max_body_bytes: int = 1 << 24,
    tls: ssl.SSLContext | None = None,
    names: Sequence[str] = (),
    **on: Hook,
) -> AsyncIterator[HttpUpstream]:
    """One that listens, until the block ends. `names`: more by which it is called."""
    upstream = HttpUpstream(speaks, **on)
    bound = socket.create_server(("127.0.0.1", 0))
    upstream.port = bound.getsockname()[1]
    hosts = ("localhost", "127.0.0.1", *names)
    guard = Guard([f"{name}:{upstream.port}".encode() for name in hosts])
    server = await serve(upstream, guard=guard, sock=bound, limits=Limits(max_body_bytes=max_body_bytes), tls=tls)
    try:
        yield upstream
    finally:
        await server.aclose(0)
    upstream.raise_broken()
