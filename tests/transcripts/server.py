"""The server of the transcripts: it echoes, asks, tells of changes, and holds a call until it is cancelled."""

import asyncio
import sys

from douane.sdk import Context, Server

server = Server("transcripts", version="1")


@server.tool()
def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool()
async def consent(ctx: Context) -> str:
    """Ask for a page to be opened."""
    return await ctx.elicit_url("Sign in", "https://example.com/sign-in", key="page")


@server.tool()
async def think(ctx: Context) -> str:
    """Ask for what the model says, which may call a tool."""
    tools = [{"name": "add", "inputSchema": {"type": "object"}}]
    said = await ctx.sample(["One and one?"], max_tokens=9, tools=tools, tool_choice="required", key="model")
    return said.tool_uses[0]["name"]


@server.tool()
async def hold(ctx: Context) -> str:
    """Answer never, and tell who watches when it is cancelled."""
    ctx.progress(1)
    try:
        await asyncio.Event().wait()
    finally:
        server.updated("note://today")
    return "never"


@server.tool()
async def walk(ctx: Context) -> str:
    """Give the stream up after the first step, and go on."""
    ctx.progress(1)
    ctx.close_stream(0)
    ctx.progress(2)
    return "walked"


@server.resource("note://today")
def today() -> str:
    """What can be watched."""
    return "sun"


@server.tool()
def change() -> str:
    """Tell who watches."""
    server.updated("note://today")
    return "changed"


if __name__ == "__main__":
    server.run(*sys.argv[1:])
