"""Smolagents, which goes by `mcpadapt`."""

import asyncio

from ask import Ask, answer
from mcp import StdioServerParameters
from smolagents import MCPClient


def over_http(url: str, token: str) -> MCPClient:
    headers = {"Authorization": f"Bearer {token}"}
    return MCPClient({"url": url, "transport": "streamable-http", "headers": headers}, structured_output=True)


def over_stdio(command: str, *arguments: str) -> MCPClient:
    return MCPClient(StdioServerParameters(command=command, args=list(arguments)), structured_output=True)


async def talk(ask: Ask) -> None:
    with (over_http if ask.door == "http" else over_stdio)(*ask.to) as found:
        tools = {tool.name: tool for tool in found}
        ask.tools(tools)

        async def call(name, arguments):
            return await asyncio.to_thread(tools[name], **arguments)

        await ask.calls(call)


answer(talk)
