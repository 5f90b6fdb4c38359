"""A client on the official Python SDK, of either major version, that logs in: `login_py.py URL TOOL… [--document URL]`.

One JSON object a line. It says {"authorize": URL} and is told the address its browser came back to; it says {"before": TOOL}
and is told to go on; it says what each call gave, and at the end how often it was given tokens and of which scopes.
"""

import argparse
import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

from asked import fault, plain
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

try:
    from mcp.client.auth import AuthorizationCodeResult
except ImportError:
    AuthorizationCodeResult = None


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


async def told() -> str:
    return (await asyncio.to_thread(sys.stdin.readline)).strip()


class Kept(TokenStorage):
    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None
        self.scopes: list[str | None] = []

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens
        self.scopes.append(tokens.scope)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def redirect(url: str) -> None:
    say({"authorize": url})


async def callback() -> Any:
    query = {name: values[0] for name, values in parse_qs(urlsplit(await told()).query).items()}
    if AuthorizationCodeResult is None:
        return query["code"], query.get("state")
    return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))


async def main(url: str, tools: list[str], document: str | None) -> None:
    kept = Kept()
    metadata = OAuthClientMetadata(client_name="Python counterpart", redirect_uris=["http://127.0.0.1:7777/callback"])
    provider = OAuthClientProvider(url, metadata, kept, redirect, callback, client_metadata_url=document)
    async with (
        create_mcp_http_client(auth=provider) as http,
        streamable_http_client(url, http_client=http) as (read, write, *_),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        for tool in tools:
            say({"before": tool})
            await told()
            try:
                say({"result": plain(await session.call_tool(tool, {}))})
            except Exception as exc:
                say({"error": fault(exc)})
    say({"scopes": kept.scopes, "client": kept.client and str(kept.client.client_id)})


parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("tools", nargs="*")
parser.add_argument("--document")
line = parser.parse_args()
asyncio.run(main(line.url, line.tools, line.document))
