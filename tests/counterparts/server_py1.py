"""A server on the official Python SDK, first major version, over Streamable HTTP at /mcp of the port that $PORT names.

`grow` adds a tool and tells of it on the stream that belongs to no call; `level` answers the log level it was told.
"""

import os
from typing import Any

from mcp.server.fastmcp import Context, FastMCP

server = FastMCP("grown", host="127.0.0.1", port=int(os.environ["PORT"]), log_level="WARNING")
told = ["none"]


@server._mcp_server.set_logging_level()
async def set_level(level: str) -> None:
    told.append(level)


@server.tool()
async def grow(name: str, ctx: Context[Any, Any, Any]) -> str:
    server.add_tool(lambda: name, name=name, description="It has grown.")
    await ctx.session.send_tool_list_changed()
    return "grown"


@server.tool()
def level() -> str:
    return told[-1]


server.run("streamable-http")
