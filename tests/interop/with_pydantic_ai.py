"""Pydantic AI."""

from ask import PROMPT, RESOURCE, Ask, answer
from fastmcp.client.transports import StdioTransport
from pydantic_ai.mcp import MCPToolset


def over_http(url: str, token: str) -> MCPToolset:
    return MCPToolset(url, headers={"Authorization": f"Bearer {token}"})


def over_stdio(command: str, *arguments: str) -> MCPToolset:
    return MCPToolset(StdioTransport(command, list(arguments)))


async def talk(ask: Ask) -> None:
    async with (over_http if ask.door == "http" else over_stdio)(*ask.to) as toolset:
        ask.tools(tool.name for tool in await toolset.list_tools())
        await ask.calls(toolset.direct_call_tool)
        await ask("resource", toolset.read_resource(RESOURCE))
        await ask("prompt", toolset.get_prompt(*PROMPT))


answer(talk)
