"""LlamaIndex, by `llama-index-tools-mcp`."""

from ask import PROMPT, RESOURCE, Ask, answer
from llama_index.core.tools import FunctionTool
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


def over_http(url: str, token: str) -> BasicMCPClient:
    return BasicMCPClient(url, headers={"Authorization": f"Bearer {token}"})


def over_stdio(command: str, *arguments: str) -> BasicMCPClient:
    return BasicMCPClient(command, args=list(arguments))


async def tools(client: BasicMCPClient) -> list[FunctionTool]:
    return await McpToolSpec(client).to_tool_list_async()


async def talk(ask: Ask) -> None:
    client = (over_http if ask.door == "http" else over_stdio)(*ask.to)
    by_name = {tool.metadata.name: tool for tool in await tools(client)}
    ask.tools(by_name)

    async def call(name, arguments):
        return (await by_name[name].acall(**arguments)).raw_output

    await ask.calls(call)
    await ask("resource", client.read_resource(RESOURCE))
    await ask("prompt", client.get_prompt(*PROMPT))


answer(talk)
