"""CrewAI, by `crewai-tools`, which goes by `mcpadapt`."""

import asyncio

from ask import Ask, answer
from crewai_tools import MCPServerAdapter
from mcp import StdioServerParameters


def over_http(url: str, token: str) -> MCPServerAdapter:
    headers = {"Authorization": f"Bearer {token}"}
    return MCPServerAdapter({"url": url, "transport": "streamable-http", "headers": headers})


def over_stdio(command: str, *arguments: str) -> MCPServerAdapter:
    return MCPServerAdapter(StdioServerParameters(command=command, args=list(arguments)))


async def talk(ask: Ask) -> None:
    with (over_http if ask.door == "http" else over_stdio)(*ask.to) as found:
        tools = {tool.name: tool for tool in found}
        ask.tools(tools)

        async def call(name, arguments):
            return await asyncio.to_thread(tools[name].run, **arguments)

        await ask.calls(call)


answer(talk)
