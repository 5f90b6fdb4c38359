"""The official Python SDK through the gateway: list what there is, call a tool."""

import asyncio
import os
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

HOME = os.environ.get("DOUANE_HOME")
TOKEN = Path(HOME, "config", "token") if HOME else Path.home() / ".config" / "douane" / "token"
URL = os.environ.get("DOUANE_URL", "http://127.0.0.1:8440/mcp")


async def main() -> None:
    headers = {"Authorization": f"Bearer {TOKEN.read_text().strip()}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(URL, http_client=http)) as client,
    ):
        tools = await client.list_tools()
        print(*(tool.name for tool in tools.tools))
        result = await client.call_tool("time_get_current_time", {"timezone": "UTC"})
        print(result.structured_content)


if __name__ == "__main__":
    asyncio.run(main())
