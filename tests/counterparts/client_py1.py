"""A client on the official Python SDK, first major version: the initialize handshake only. `--mode` names the revision
it asks for in place of its newest."""

import argparse
import os
from contextlib import AbstractAsyncContextManager
from typing import Any

from asked import answer, answering, everything, plain
from mcp import ClientSession, StdioServerParameters, stdio_client, types
from mcp.client.sse import sse_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.types import PaginatedRequestParams, PromptReference, ResourceTemplateReference

RESULTS: dict[str, Any] = {
    "elicitation/create": types.ElicitResult,
    "sampling/createMessage": types.CreateMessageResult,
    "roots/list": types.ListRootsResult,
}


def refer(ref: dict[str, Any]) -> PromptReference | ResourceTemplateReference:
    return PromptReference(**ref) if ref["type"] == "ref/prompt" else ResourceTemplateReference(**ref)


async def talk(line: argparse.Namespace, said: dict[str, Any]) -> None:
    if line.command:
        server = StdioServerParameters(command=line.command[0], args=line.command[1:], env=dict(os.environ))
        await _talk(stdio_client(server), line, said)
        return
    headers = {"Authorization": f"Bearer {line.token}"} if line.token else {}
    if line.url.endswith("/sse"):
        await _talk(sse_client(line.url, headers=headers), line, said)
        return
    async with create_mcp_http_client(headers=headers) as http:
        await _talk(streamable_http_client(line.url, http_client=http), line, said)


async def _talk(transport: AbstractAsyncContextManager[Any], line: argparse.Namespace, said: dict[str, Any]) -> None:
    if line.mode != "auto":
        # The SDK asks for the newest revision it knows and accepts any; there is no other way to make it older.
        types.LATEST_PROTOCOL_VERSION = line.mode
    callbacks = answering(line, said, RESULTS)
    async with transport as (read, write, *_), ClientSession(read, write, **callbacks) as session:
        greeting = plain(await session.initialize())
        said.update({key: greeting.get(key) for key in ("protocolVersion", "serverInfo", "instructions")})
        said["capabilities"] = greeting["capabilities"]
        await everything(
            session, line.calls, said, lambda cursor: {"params": PaginatedRequestParams(cursor=cursor)}, refer
        )


answer("mcp 1", talk)
