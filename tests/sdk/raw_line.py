"""A client that says on a line exactly what a test wants it to, to a server object in this process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from peers import BOUND_S, CAPABILITIES, ENVELOPE, Json

from douane.sdk import Server
from douane.transports.link import Link
from douane.transports.memory import pair

TASKS = "io.modelcontextprotocol/tasks"
DECLARED: Json = {"extensions": {TASKS: {}}}


class Refusal(Exception):
    """The error the server answered with."""

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error['code']} {error['message']}")
        self.code, self.message, self.data = error["code"], error["message"], error.get("data")


class Line:
    def __init__(self, link: Link, modern: bool) -> None:
        self._link, self._modern, self._ids = link, modern, count(1)
        self._open: dict[object, asyncio.Future[Json]] = {}
        self.notes: list[Json] = []
        self.asked: asyncio.Queue[Json] = asyncio.Queue()
        self.heard: asyncio.Queue[Json] = asyncio.Queue()
        """The same notes, as they come."""
        link.start(self._on_frame, lambda _: None)

    async def ask(
        self, method: str, params: Json | None = None, capabilities: Json = DECLARED, id: str | None = None
    ) -> Json:
        """The result. Raises Refusal."""
        id_, params = id or next(self._ids), params or {}
        if self._modern:
            params = {**params, "_meta": {**ENVELOPE, CAPABILITIES: capabilities}}
        answer = self._open[id_] = asyncio.get_running_loop().create_future()
        self.say({"id": id_, "method": method, "params": params})
        message = await asyncio.wait_for(answer, BOUND_S)
        if "error" in message:
            raise Refusal(message["error"])
        return message["result"]

    async def call(self, tool: str, arguments: Json | None = None, capabilities: Json = DECLARED, **more: Any) -> Json:
        return await self.ask("tools/call", {"name": tool, "arguments": arguments or {}, **more}, capabilities)

    async def until(self, id: str, status: str) -> Json:
        """The task, once it has that status."""
        async with asyncio.timeout(BOUND_S):
            while True:
                task = await self.ask("tasks/get", {"taskId": id})
                if task["status"] == status:
                    return task

    def say(self, message: Json) -> None:
        self._link.send(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def _on_frame(self, data: bytes) -> None:
        message = json.loads(data)
        if "method" not in message:
            self._open.pop(message["id"]).set_result(message)
        elif "id" in message:
            self.asked.put_nowait(message)
        else:
            self.notes.append(message)
            self.heard.put_nowait(message)


@asynccontextmanager
async def line_to(server: Server, *, revision: str | None = None, **capabilities: Any) -> AsyncIterator[Line]:
    """`revision`: of the handshake era, and shake hands; without it the newest."""
    async with server.ready():
        ours, theirs = pair()
        door = server.serve(theirs)
        line = Line(ours, revision is None)
        try:
            if revision is not None:
                hello = {"protocolVersion": revision, "capabilities": capabilities, "clientInfo": {"name": "raw"}}
                assert (await line.ask("initialize", hello))["protocolVersion"] == revision
                line.say({"method": "notifications/initialized"})
            yield line
        finally:
            await door.aclose()
