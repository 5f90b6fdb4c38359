"""FastMCP's proxy, either way that its documentation shows. For its own environment, not for ours.

python fastmcp_proxy.py connected|default UPSTREAM_PORT PORT

connected: one client, connected beforehand, for every call. default: `create_proxy(url)`, a new client for each.
"""

import asyncio
import sys

from fastmcp import Client
from fastmcp.server import create_proxy


async def main() -> None:
    how, upstream, port = sys.argv[1], f"http://127.0.0.1:{sys.argv[2]}/mcp", int(sys.argv[3])
    serving = {"host": "127.0.0.1", "port": port, "json_response": True, "show_banner": False, "log_level": "error"}
    if how == "default":
        await create_proxy(upstream).run_http_async(**serving)
        return
    # The upstream answers in both eras; the callers use this one.
    async with Client(upstream, mode="legacy") as client:
        await create_proxy(client).run_http_async(**serving)


asyncio.run(main())
