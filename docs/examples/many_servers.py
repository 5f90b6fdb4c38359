"""Many servers side by side: `python many_servers.py COMMAND...`. One that is down costs nothing but its own tools."""

import asyncio
import sys

from douane.sdk import Host


async def main(commands: list[str]) -> None:
    async with Host({f"server{number}": command for number, command in enumerate(commands)}) as host:
        for name, tools in (await host.tools()).items():
            print(name, "has", ", ".join(tool["name"] for tool in tools))
        for name, reason in host.down.items():
            print(name, "is down:", reason)


asyncio.run(main(sys.argv[1:]))
