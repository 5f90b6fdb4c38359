"""A client on the official Python SDK, second major version. It asks the server which era it speaks, unless `--mode`
says `legacy` or names a revision. A named revision is taken without asking: no capability is known then, so no list is
asked for."""

import argparse
import os
from contextlib import AsyncExitStack
from typing import Any

from asked import answer, answering, everything, plain
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, PromptReference, ResourceTemplateReference

RESULTS: dict[str, Any] = {
    "elicitation/create": ElicitResult,
    "sampling/createMessage": CreateMessageResult,
    "roots/list": ListRootsResult,
}


def refer(ref: dict[str, Any]) -> PromptReference | ResourceTemplateReference:
    return PromptReference(**ref) if ref["type"] == "ref/prompt" else ResourceTemplateReference(**ref)


async def talk(line: argparse.Namespace, said: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        if line.command:
            server: Any = StdioServerParameters(command=line.command[0], args=line.command[1:], env=dict(os.environ))
        else:
            headers = {"Authorization": f"Bearer {line.token}"} if line.token else {}
            if line.url.endswith("/sse"):
                server = sse_client(line.url, headers=headers)
            else:
                http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
                server = streamable_http_client(line.url, http_client=http)
        client = await stack.enter_async_context(Client(server, mode=line.mode, **answering(line, said, RESULTS)))
        said["protocolVersion"] = client.protocol_version
        said["serverInfo"] = client.server_info and plain(client.server_info)
        said["instructions"] = client.instructions
        said["capabilities"] = plain(client.server_capabilities)
        await everything(client, line.calls, said, lambda cursor: {"cursor": cursor}, refer)


answer("mcp 2", talk)
