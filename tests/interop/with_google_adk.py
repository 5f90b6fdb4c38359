"""Google's Agent Development Kit."""

from ask import RESOURCE_NAME, Ask, answer
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams, StreamableHTTPConnectionParams
from mcp import StdioServerParameters


def over_http(url: str, token: str) -> McpToolset:
    headers = {"Authorization": f"Bearer {token}"}
    return McpToolset(connection_params=StreamableHTTPConnectionParams(url=url, headers=headers))


def over_stdio(command: str, *arguments: str) -> McpToolset:
    server = StdioServerParameters(command=command, args=list(arguments))
    return McpToolset(connection_params=StdioConnectionParams(server_params=server))


async def talk(ask: Ask) -> None:
    toolset = (over_http if ask.door == "http" else over_stdio)(*ask.to)
    tools = {tool.name: tool for tool in await toolset.get_tools()}
    ask.tools(tools)

    async def call(name, arguments):
        return await tools[name].run_async(args=arguments, tool_context=None)

    await ask.calls(call)
    await ask("resource", toolset.read_resource(RESOURCE_NAME))
    await toolset.close()


answer(talk)
