"""What one end of a link hears, and a question put to the server behind it."""

import asyncio
import json
from typing import Any

from douane.transports.link import Link

BOUND_S = 10.0


class Ear:
    """Started on a link, it keeps the frames and the reason of the end."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.ends: list[str] = []
        self._ended = asyncio.Event()
        link.start(self.frames.put_nowait, self._on_close)

    def _on_close(self, why: str) -> None:
        self.ends.append(why)
        self._ended.set()

    async def frame(self) -> bytes:
        async with asyncio.timeout(BOUND_S):
            return await self.frames.get()

    async def end(self) -> str:
        async with asyncio.timeout(BOUND_S):
            await self._ended.wait()
        return self.ends[0]

    async def ask(self, method: str, params: dict[str, Any] | None = None, number: int = 1) -> Any:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
        self.link.send(json.dumps(message).encode())
        return json.loads(await self.frame())

    async def call(self, tool: str, number: int = 1, **arguments: Any) -> Any:
        return await self.ask("tools/call", {"name": tool, "arguments": arguments}, number)
