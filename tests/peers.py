"""A scripted MCP server behind an in-memory line, of either era, and what tests put to it.

`Server.open` makes a new line each time, as starting a process would. What it does with a method is the hook in
`Server.on`; a method without a hook is served well. `until` waits for what it heard, never for time.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Literal

import pytest_asyncio

from douane.flow.chain import Emit, Trail
from douane.protocol.call import Call, Event, Principal
from douane.transports.link import Link, LinkClosed
from douane.transports.memory import pair

BOUND_S = 5.0
MODERN = "2026-07-28"
OLDER = "2025-11-25"
VERSION, CAPABILITIES = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"
ENVELOPE = {VERSION: MODERN, CAPABILITIES: {}}
ANNA = Principal("anna")

Json = dict[str, Any]
Speaks = Literal["stateless", "handshake"]


class Asked:
    """One request or notification the server has heard, and everything it can do about it."""

    def __init__(self, server: "Server", link: Link, message: Json) -> None:
        self.server, self.link, self.message = server, link, message
        self.id, self.method = message.get("id"), message["method"]
        self.params: Json = message.get("params", {})

    def answer(self, result: Json) -> None:
        self.say({"id": self.id, "result": result})

    def error(self, code: int, message: str, data: Any = None) -> None:
        self.say({"id": self.id, "error": {"code": code, "message": message, "data": data}})

    def progress(self, done: float, token: Any = None) -> None:
        self.note("notifications/progress", {"progressToken": self.id if token is None else token, "progress": done})

    def log(self, level: str, data: Any) -> None:
        self.note("notifications/message", {"level": level, "data": data})

    def note(self, method: str, params: Json) -> None:
        self.say({"method": method, "params": params})

    def say(self, message: Json) -> None:
        self.garbage(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def garbage(self, data: bytes) -> None:
        try:
            self.link.send(data)
        except LinkClosed:
            return

    def die(self) -> None:
        self.server.drop(self.link)


Hook = Callable[[Asked], None]


def silence(asked: Asked) -> None:
    """The hook that never answers."""


def die(asked: Asked) -> None:
    asked.die()


def answers(result: Json) -> Hook:
    return lambda asked: asked.answer(result)


def errors(code: int, message: str = "no", data: Any = None) -> Hook:
    return lambda asked: asked.error(code, message, data)


def garbage(data: bytes) -> Hook:
    return lambda asked: asked.garbage(data)


def tool(name: str, **members: Any) -> Json:
    return {"name": name, "inputSchema": {"type": "object"}, **members}


class Server:
    """Serves every line it opens. `heard` is everything, in order, over all lines; `lines` counts them."""

    def __init__(self, speaks: Speaks = "handshake", tools: Sequence[Json] = (), **on: Hook) -> None:
        self.speaks, self.tools = speaks, list(tools) or [tool("echo")]
        self.capabilities: Json = {"tools": {"listChanged": True}, "logging": {}}
        self.on: dict[str, Hook] = {name.replace("__", "/"): hook for name, hook in on.items()}
        self.heard: list[Asked] = []
        self.replies: list[Json] = []
        self.lines = 0
        self._open: set[Link] = set()
        self._dropping: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *exc: object) -> None:
        for link in tuple(self._open):
            self.drop(link)
        if self._dropping:
            await asyncio.wait(self._dropping, timeout=BOUND_S)

    async def open(self) -> Link:
        """A new line to this server: the client's end."""
        ours, theirs = pair()
        self.take(ours)
        return theirs

    def take(self, ours: Link) -> None:
        """Serve this line, whoever opened it."""
        self.lines += 1
        self._open.add(ours)
        ours.start(lambda data: self._on_frame(ours, data), lambda _: self._on_close(ours))

    @property
    def open_lines(self) -> int:
        return len(self._open)

    def drop(self, link: Link | None = None) -> None:
        """Die: this line, or every line, ends."""
        for victim in tuple(self._open) if link is None else (link,):
            task = asyncio.get_running_loop().create_task(victim.aclose())
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)

    async def lose_lines(self) -> None:
        """Die at once: the other ends cannot send any more, and have not been told yet."""
        for link in tuple(self._open):
            await link.aclose()

    def tell(self, method: str, params: Json | None = None) -> None:
        """A notification that belongs to no call, on every line."""
        for link in self._open:
            link.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}).encode())

    def methods(self) -> list[str]:
        return [asked.method for asked in self.heard]

    async def until(self, method: str, count: int = 1) -> Asked:
        """The `count`-th time it hears `method`."""
        await self.when(lambda: self.methods().count(method) >= count)
        return [asked for asked in self.heard if asked.method == method][count - 1]

    async def when(self, true: Callable[[], bool]) -> None:
        """Until a claim about what it heard, or which lines are open, is true."""
        async with asyncio.timeout(BOUND_S):
            while not true():
                self._news.clear()
                await self._news.wait()

    def _on_close(self, link: Link) -> None:
        self._open.discard(link)
        self._news.set()

    def _on_frame(self, link: Link, data: bytes) -> None:
        message = json.loads(data)
        self._news.set()
        if "method" not in message:
            self.replies.append(message)
            return
        asked = Asked(self, link, message)
        self.heard.append(asked)
        hook = self.on.get(asked.method)
        if hook is not None:
            hook(asked)
        elif asked.id is not None:
            self._serve(asked)

    def _serve(self, asked: Asked) -> None:
        match asked.method:
            case "server/discover" if self.speaks == "stateless":
                asked.answer(self.discovery())
            case "initialize" if self.speaks == "handshake":
                asked.answer(
                    {"protocolVersion": OLDER, "capabilities": self.capabilities, "serverInfo": {"name": "scripted"}}
                )
            case "initialize":
                asked.error(-32022, "unsupported", {"supported": [MODERN], "requested": OLDER})
            case "ping" | "logging/setLevel":
                asked.answer({})
            case "tools/list":
                asked.answer(self._typed({"tools": self.tools}))
            case "tools/call":
                text = json.dumps(asked.params.get("arguments", {}))
                asked.answer(self._typed({"content": [{"type": "text", "text": text}]}))
            case _:
                asked.error(-32601, "method not found")

    def discovery(self, *supported: str) -> Json:
        return {
            "resultType": "complete",
            "supportedVersions": list(supported) or [MODERN],
            "capabilities": self.capabilities,
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "scripted"}},
        }

    def _typed(self, result: Json) -> Json:
        return {"resultType": "complete", **result} if self.speaks == "stateless" else result


def call(method: str = "tools/call", params: Json | None = None, *, within_s: float = BOUND_S, **members: Any) -> Call:
    """A call of Anna's, with a deadline `within_s` from now when a loop runs."""
    given = {"name": "echo", "arguments": {}} if params is None else params
    try:
        members.setdefault("deadline_s", asyncio.get_running_loop().time() + within_s)
    except RuntimeError:
        pass
    members.setdefault("name", given.get("name"))
    return Call(id="c1", root="c1", method=method, params=given, principal=ANNA, target=given.get("name"), **members)


class Ears:
    """What a caller hears while its call runs."""

    def __init__(self, of: Call) -> None:
        self.events: list[Event] = []
        self.trail = Trail(of)
        self.emit = Emit(self.events.append, self.trail)


@pytest_asyncio.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """No test of a directory that imports this leaves a task behind."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=1.0)
    assert not left
