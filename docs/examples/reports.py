"""A server whose reports take a while: they run as tasks, for clients that can look after one."""

import asyncio
import sys
from dataclasses import dataclass

from douane.sdk import Context, Server, TaskSettings

PAUSE_S = 0.05

server = Server("reports", tasks=TaskSettings(ttl_s=86_400, poll_s=0.1))


@dataclass
class Scope:
    regions: int = 4


@server.tool(task="optional", reads=True)
async def yearly(context: Context, year: int) -> str:
    """The report of a year."""
    for quarter in range(1, 5):
        await asyncio.sleep(PAUSE_S)
        context.progress(quarter, 4, f"quarter {quarter} of {year} is in")
    return f"{year} was a good year."


@server.tool(task="required", asks_first=True)
async def survey(context: Context) -> str:
    """A survey of the regions. How many is asked before it begins."""
    answer = await context.elicit("How many regions?", Scope, key="scope")
    if answer.content is None:
        return "No survey, then."
    await context.defer()
    await asyncio.sleep(PAUSE_S)
    return f"All {answer.content.regions} regions were asked."


if __name__ == "__main__":
    server.run(*sys.argv[1:])
