"""A server that tells who is interested that something has changed. `python noticeboard.py`, or `... noticeboard.py http`."""

import asyncio
import sys

from douane.sdk import Context, Server

server = Server("noticeboard")
notices: list[str] = []


@server.resource("board://notices")
def board() -> list[str]:
    """All notices."""
    return notices


@server.resource("board://notices/{number}")
def notice(number: int) -> str:
    """One notice."""
    return notices[number]


@server.tool()
def post(text: str) -> str:
    """Put up a notice."""
    notices.append(text)
    server.updated(f"board://notices/{len(notices) - 1}")
    return f"Notice {len(notices) - 1} is up."


@server.tool(reads=True)
async def tidy(ctx: Context) -> str:
    """Go through all notices, which takes a while."""
    ctx.progress(0, message="begun")
    ctx.close_stream(retry_s=1)
    await asyncio.sleep(0.5)
    return f"{len(notices)} notices are in order."


if __name__ == "__main__":
    server.run(*sys.argv[1:])
