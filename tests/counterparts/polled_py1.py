"""A server on the official Python SDK, first major version, that closes streams early, over Streamable HTTP at $PORT.

`nap` closes the stream of its call, sleeps, tells of its progress and answers: a client gets the answer that comes back.
"""

import asyncio
import os
from typing import Any

from mcp.server.fastmcp import Context, FastMCP
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore


class Kept(EventStore):
    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self.events.append((stream_id, message))
        return str(len(self.events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        stream = self.events[int(last_event_id) - 1][0]
        for at, (of, message) in enumerate(self.events[int(last_event_id) :], int(last_event_id) + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(at)))
        return stream


server = FastMCP(
    "polled",
    host="127.0.0.1",
    port=int(os.environ["PORT"]),
    log_level="WARNING",
    event_store=Kept(),
    retry_interval=100,
)


@server.tool()
async def nap(ctx: Context[Any, Any, Any], seconds: float) -> str:
    await ctx.report_progress(1, 2, "asleep")
    await ctx.close_sse_stream()
    await asyncio.sleep(seconds)
    await ctx.report_progress(2, 2, "awake")
    return "rested"


server.run("streamable-http")
