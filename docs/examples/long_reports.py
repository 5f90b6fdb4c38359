"""Calls a tool that runs as a task: waiting for it, and not."""

import asyncio
import sys

from douane.sdk import Client


async def main(server: str) -> None:
    async with Client(server) as client:
        print((await client.call("yearly", {"year": 2025})).text)

        task = await client.start("yearly", {"year": 2026})
        print("begun" if task.id else "answered at once")
        print((await client.task(task.id).result(deadline_s=10)).text)

        other = await client.start("yearly", {"year": 2027})
        await other.cancel()
        standing = await other.look()
        print(standing.status if standing else "answered at once")


asyncio.run(main(sys.argv[1]))
