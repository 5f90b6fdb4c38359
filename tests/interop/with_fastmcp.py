"""The client of FastMCP."""

from ask import PROMPT, RESOURCE, Ask, answer
from fastmcp import Client
from fastmcp.client.transports import StdioTransport


def over_http(url: str, token: str) -> Client:
    return Client(url, auth=token)


def over_stdio(command: str, *arguments: str) -> Client:
    return Client(StdioTransport(command, list(arguments)))


async def talk(ask: Ask) -> None:
    async with (over_http if ask.door == "http" else over_stdio)(*ask.to) as client:
        ask.tools(tool.name for tool in await client.list_tools())
        await ask.calls(client.call_tool)
        await ask("resource", client.read_resource(RESOURCE))
        await ask("prompt", client.get_prompt(*PROMPT))


answer(talk)
