"""LangChain, by `langchain-mcp-adapters`."""

from ask import PROMPT, RESOURCE, Ask, answer
from langchain_core.tools import BaseTool
from langchain_mcp_adapters.client import MultiServerMCPClient


def over_http(url: str, token: str) -> MultiServerMCPClient:
    headers = {"Authorization": f"Bearer {token}"}
    return MultiServerMCPClient({"douane": {"transport": "streamable_http", "url": url, "headers": headers}})


def over_stdio(command: str, *arguments: str) -> MultiServerMCPClient:
    return MultiServerMCPClient({"douane": {"transport": "stdio", "command": command, "args": list(arguments)}})


async def tools(client: MultiServerMCPClient) -> list[BaseTool]:
    return await client.get_tools()


async def talk(ask: Ask) -> None:
    client = (over_http if ask.door == "http" else over_stdio)(*ask.to)
    by_name = {tool.name: tool for tool in await tools(client)}
    ask.tools(by_name)

    async def call(name, arguments):
        return await by_name[name].ainvoke({"type": "tool_call", "id": "1", "name": name, "args": arguments})

    await ask.calls(call)
    await ask("resource", client.get_resources("douane", uris=RESOURCE))
    await ask("prompt", client.get_prompt("douane", PROMPT[0], arguments=PROMPT[1]))


answer(talk)
