"""A server on the official Python SDK, second major version, that tells of a resource when it is touched.

updates_py2.py stdio | streamable-http        (over HTTP at /mcp of $PORT of 127.0.0.1)
"""

import os
import sys

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("updates")


@server.resource("note://one")
def one() -> str:
    """A note."""
    return "one"


@server.tool()
async def touch(context: Context) -> str:
    """Tell that the note has changed."""
    await context.notify_resource_updated("note://one")
    return "touched"


@server.tool()
async def grow(context: Context) -> str:
    """Offer a tool more."""
    server.add_tool(lambda: "more", name="more", description="More.")
    await context.notify_tools_changed()
    return "grown"


if sys.argv[1] == "stdio":
    server.run()
else:
    server.run("streamable-http", host="127.0.0.1", port=int(os.environ["PORT"]))
