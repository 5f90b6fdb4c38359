"""A server on a line in memory, and a client that says what it is told to say, of either era."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from peers import BOUND_S, CAPABILITIES, MODERN, OLDER, VERSION, Json

from douane.protocol.call import Principal
from douane.sdk import Server
from douane.sdk.line_door import LineDoor
from douane.sdk.serving import LOCAL
from douane.transports.link import LinkClosed
from douane.transports.memory import pair
from douane.wire.rpc import Limits

EVERYTHING: Json = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}


class Line:
    """One client. What it hears is in order; `ask` skips nothing."""

    def __init__(self, server: Server, principal: Principal, capabilities: Json) -> None:
        self.capabilities = capabilities
        self.frames: asyncio.Queue[Json] = asyncio.Queue()
        self.link, theirs = pair()
        self.link.start(lambda data: self.frames.put_nowait(json.loads(data)), lambda _: None)
        self.door = LineDoor(theirs, server.listener, principal, Limits())
        self._ids = count(1)

    def send(self, **message: Any) -> None:
        try:
            self.link.send(json.dumps({"jsonrpc": "2.0", **message}).encode())
        except LinkClosed:
            return

    async def hear(self) -> Json:
        return await asyncio.wait_for(self.frames.get(), BOUND_S)

    async def modern(
        self,
        tool: str,
        arguments: Json | None = None,
        *,
        method: str = "tools/call",
        answers: Json | None = None,
        state: str | None = None,
    ) -> Json:
        """The answer to a call of the newest revision; `answers` and `state` make it a retry."""
        envelope = {VERSION: MODERN, CAPABILITIES: self.capabilities}
        target = {"uri": tool} if method == "resources/read" else {"name": tool, "arguments": arguments or {}}
        params: Json = {**target, "_meta": envelope}
        if answers is not None:
            params["inputResponses"] = answers
        if state is not None:
            params["requestState"] = state
        self.send(id=next(self._ids), method=method, params=params)
        return await self.hear()

    def params(self, tool: str, meta: Json) -> Json:
        """Of a call of the newest revision."""
        return {"name": tool, "arguments": {}, "_meta": {VERSION: MODERN, CAPABILITIES: self.capabilities, **meta}}

    async def greet(self, revision: str = OLDER) -> None:
        hello = {"protocolVersion": revision, "capabilities": self.capabilities, "clientInfo": {"name": "c"}}
        self.send(id="hello", method="initialize", params=hello)
        assert (await self.hear())["result"]["protocolVersion"] == revision

    async def older(self, tool: str, **arguments: Any) -> Json:
        """The first thing heard after a call in the session."""
        self.send(id="call", method="tools/call", params={"name": tool, "arguments": arguments})
        return await self.hear()

    async def tell(self, question: Json, answer: Json) -> Json:
        """Answer a question; the next thing heard."""
        self.send(id=question["id"], result=answer)
        return await self.hear()


@asynccontextmanager
async def line(server: Server, *, principal: Principal = LOCAL, capabilities: Json = EVERYTHING) -> AsyncIterator[Line]:
    """While it lasts the server is ready; at its end nobody is parked there."""
    async with server.ready():
        client = Line(server, principal, capabilities)
        try:
            yield client
        finally:
            await client.door.aclose()
    assert len(server.toolbox.parking) == 0


def accepted(**content: Any) -> Json:
    return {"action": "accept", "content": content}


def asks_of(answer: Json) -> Json:
    """The questions in an answer that is one."""
    assert answer["result"]["resultType"] == "input_required", answer
    return answer["result"]["inputRequests"]


def state_of(answer: Json) -> str:
    return answer["result"]["requestState"]


def text_of(answer: Json) -> str:
    return answer["result"]["content"][0]["text"]
