"""A client that is told what changes. `python watching.py 'python noticeboard.py'`."""

import asyncio
import sys

from douane.sdk import Client


async def main(server: str) -> None:
    async with Client(server) as client:
        await client.subscribe("board://notices")
        changes = client.changes()
        await client.call("post", {"text": "The lift is out of order."})
        async for change in changes:
            if change.what == "resource" and change.uri is not None:
                print(change.uri, "is now", (await client.read(change.uri))[0]["text"])
                break


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
