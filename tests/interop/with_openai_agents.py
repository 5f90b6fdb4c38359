"""The OpenAI Agents SDK."""

from agents.mcp import MCPServer, MCPServerStdio, MCPServerStreamableHttp
from ask import PROMPT, RESOURCE, Ask, answer


def over_http(url: str, token: str) -> MCPServer:
    return MCPServerStreamableHttp({"url": url, "headers": {"Authorization": f"Bearer {token}"}})


def over_stdio(command: str, *arguments: str) -> MCPServer:
    return MCPServerStdio({"command": command, "args": list(arguments)})


async def talk(ask: Ask) -> None:
    async with (over_http if ask.door == "http" else over_stdio)(*ask.to) as server:
        ask.tools(tool.name for tool in await server.list_tools())
        await ask.calls(server.call_tool)
        await ask("resource", server.read_resource(RESOURCE))
        await ask("prompt", server.get_prompt(*PROMPT))


answer(talk)
