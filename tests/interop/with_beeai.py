"""BeeAI."""

from ask import Ask, answer
from beeai_framework.tools.mcp import MCPClient, MCPTool
from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamablehttp_client


def over_http(url: str, token: str) -> MCPClient:
    return streamablehttp_client(url, headers={"Authorization": f"Bearer {token}"})


def over_stdio(command: str, *arguments: str) -> MCPClient:
    return stdio_client(StdioServerParameters(command=command, args=list(arguments)))


async def tools(client: MCPClient) -> list[MCPTool]:
    return await MCPTool.from_client(client)


async def talk(ask: Ask) -> None:
    client = (over_http if ask.door == "http" else over_stdio)(*ask.to)
    by_name = {tool.name: tool for tool in await tools(client)}
    ask.tools(by_name)

    async def call(name, arguments):
        return (await by_name[name].run(arguments)).result

    await ask.calls(call)


answer(talk)
