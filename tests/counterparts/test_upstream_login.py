"""The official client before an upstream that its user has to log in at: it shows the page, and its call goes on."""

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from gateway_clients import until_ready
from gateway_world import BIN, gateway
from http_upstream import http_upstream
from mcp import Client as OfficialClient
from mcp import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.types import ElicitResult, TextContent
from token_endpoint import token_endpoint

pytestmark = pytest.mark.counterpart


@pytest.mark.parametrize("door", ["http", "stdio"])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("user", ["allow", "deny"])
async def test_the_official_client_shows_the_page_and_its_call_goes_on_as_its_user_says(
    tmp_path: Path, door: str, mode: str, user: str
) -> None:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(http_upstream("stateless"))
        issuer = await stack.enter_async_context(token_endpoint())
        upstream.issuer, upstream.good = issuer.issuer, {"at-gateway-1", "at-user-2"}
        own = {"token_endpoint": issuer.url, "id": "us", "secret": "s3cret"}
        far = {"url": upstream.url, "reads": {"tools": ["*"]}, "auth": {"client": own, "user": {}}}
        running = await stack.enter_async_context(gateway(tmp_path, {"far": far}))
        await until_ready(running)
        shown: list[str] = []

        async def elicit(context: Any, params: Any) -> ElicitResult:
            """Shows the page in a browser, where the user does the rest before the client answers."""
            shown.append(params.url)
            browser = Browser()
            who = await browser.get(params.url)
            consent = await browser.send(who, credential=running.token)
            await browser.send(consent, answer=user)
            return ElicitResult(action="accept")

        if door == "http":
            headers = {"Authorization": f"Bearer {running.token}"}
            http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
            target: Any = streamable_http_client(f"http://127.0.0.1:{running.port}/mcp", http_client=http)
        else:
            line = ["stdio", "--config", str(running.world.config)]
            target = StdioServerParameters(command=str(BIN / "douane"), args=line, env=running.world.env)
        client = await stack.enter_async_context(OfficialClient(target, mode=mode, elicitation_callback=elicit))
        if user == "allow":
            result = await client.call_tool("far_echo", {"a": 1})
            (said,) = result.content
            assert isinstance(said, TextContent)
            assert json.loads(said.text) == {"a": 1}
        else:
            with pytest.raises(Exception, match="declined"):
                await client.call_tool("far_echo", {"a": 1})
        assert len(shown) == 1
        calls = [heard.token for heard in upstream.heard if heard.method == "tools/call"]
        assert calls == (["at-user-2"] if user == "allow" else [])
