"""Updates and lost streams with the official SDKs: their clients of our server and gateway, and their servers of our own.

Of the clients of the second major version, `auto` speaks the newest revision and `legacy` the one before.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_world import gateway
from mcp import Client as Official
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.types import ResourceUpdatedNotification, ToolListChangedNotification
from raw_http import served

from douane.sdk import Client, Context, Reaching, Server
from douane.sdk.changes import Change

from .commands import CLIENTS, asked, asking, everything_http_server, everything_server, free_port, hears_ts, listening

pytestmark = [
    pytest.mark.counterpart,
    # The newer SDK warns of everything that the newest revision has no more.
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]

BOUND_S = 20.0
UPDATES = Path(__file__).parent / "updates_py2.py"
MODES = ("auto", "legacy")


class Ears:
    """An official client that hears of resources and tools, in either era."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self._heard: asyncio.Queue[Any] = asyncio.Queue()

    @asynccontextmanager
    async def open(self, url: str, token: str | None, uri: str) -> AsyncGenerator[Official]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            create_mcp_http_client(headers=headers) as http,
            Official(
                streamable_http_client(url, http_client=http), mode=self.mode, message_handler=self._on_message
            ) as client,
        ):
            if self.mode == "legacy":
                await client.subscribe_resource(uri)  # pyright: ignore[reportDeprecated]
                yield client
                return
            async with client.listen(tools_list_changed=True, resource_subscriptions=[uri]) as found:
                assert found.honored is not None
                assert found.honored.resource_subscriptions == [uri]
                listening = asyncio.create_task(self._listen(found))
                yield client
                listening.cancel()
                await asyncio.wait({listening})

    async def _listen(self, found: AsyncIterator[Any]) -> None:
        async for event in found:
            self._heard.put_nowait(getattr(event, "uri", "tools"))

    async def _on_message(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self._heard.put_nowait(str(message.params.uri))
        elif isinstance(message, ToolListChangedNotification):
            self._heard.put_nowait("tools")

    async def until(self, what: str) -> None:
        async with asyncio.timeout(BOUND_S):
            while await self._heard.get() != what:
                pass


@pytest.mark.parametrize("mode", MODES)
async def test_an_official_client_hears_of_our_server(mode: str) -> None:
    server = Server("ours")
    server.resource("note://one")(lambda: "one")
    server.tool("more")(lambda: "more")
    ears = Ears(mode)
    async with served(server) as at, ears.open(f"http://127.0.0.1:{at.port}/mcp", None, "note://one") as client:
        # A client of the older era opens its stream beside its calls: what it subscribed to waits for that.
        server.updated("note://one")
        await ears.until("note://one")
        assert client.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
        server.remove("tools", "more")
        await ears.until("tools")


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("upstream", ["everything", "updates", "updates over http"])
async def test_an_official_client_hears_of_an_official_server_through_the_gateway(
    tmp_path: Path, mode: str, upstream: str
) -> None:
    port = free_port()
    own: dict[str, Any] = {"command": [sys.executable, str(UPDATES), "stdio"]}
    if upstream == "everything":
        own = {"command": everything_server()}
    elif upstream != "updates":
        own = {"url": f"http://127.0.0.1:{port}/mcp"}
    own["reads"] = {"tools": ["*"], "resources": ["*"]}
    uri = "demo://resource/static/document/features.md" if upstream == "everything" else "note://one"
    touch = "u_toggle-subscriber-updates" if upstream == "everything" else "u_touch"
    ears = Ears(mode)
    async with (
        listening([sys.executable, str(UPDATES), "streamable-http"], port),
        gateway(tmp_path, {"u": own}) as running,
        ears.open(f"http://127.0.0.1:{running.port}/mcp", running.token, uri) as client,
    ):
        await client.call_tool(touch, {})
        await ears.until(uri)
        if upstream != "everything":
            await client.call_tool("u_grow", {})
            await ears.until("tools")
            assert "u_more" in {tool.name for tool in (await client.list_tools()).tools}


@pytest.mark.slow
@pytest.mark.parametrize(("sdk", "mode"), [("ts1", "legacy"), ("ts2", "legacy"), ("ts2", "auto")])
async def test_a_client_in_typescript_hears_of_it_directly_and_through_the_gateway(
    tmp_path: Path, sdk: str, mode: str
) -> None:
    server = Server("ours")
    server.resource("note://one")(lambda: "one")
    server.tool("touch")(lambda: server.updated("note://one"))
    upstream = {"command": [sys.executable, str(UPDATES), "stdio"], "reads": {"tools": ["*"], "resources": ["*"]}}
    async with served(server) as at, gateway(tmp_path, {"u": upstream}) as running:
        for port, token, tool in ((at.port, "", "touch"), (running.port, running.token, "u_touch")):
            said = await asked(hears_ts(sdk, mode, f"http://127.0.0.1:{port}/mcp", token, "note://one", tool))
            assert said["heard"] == "note://one"


@pytest.mark.parametrize("where", ["updates", "updates over http", "everything", "everything over http"])
async def test_our_client_hears_of_an_official_server(where: str) -> None:
    port = free_port()
    of_all = where.startswith("everything")
    by_http = everything_http_server() if of_all else [sys.executable, str(UPDATES), "streamable-http"]
    by_line = everything_server() if of_all else [sys.executable, str(UPDATES), "stdio"]
    uri = "demo://resource/static/document/features.md" if of_all else "note://one"
    async with listening(by_http, port):
        target: Any = f"http://127.0.0.1:{port}/mcp" if where.endswith("http") else by_line
        async with Client(target, how=Reaching(reach="loopback") if where.endswith("http") else None) as client:
            await client.subscribe(uri)
            changes = client.changes()
            await client.call("toggle-subscriber-updates" if of_all else "touch")
            async with asyncio.timeout(BOUND_S):
                async for change in changes:
                    if change == Change("resource", uri):
                        break


# --- a stream that the server closes ---


@asynccontextmanager
async def closing() -> AsyncGenerator[str]:
    """A server whose tool closes the stream it is answered on; where it is."""
    server = Server("closing")

    @server.tool()
    async def long(ctx: Context) -> str:
        """Take long."""
        for step in (1, 2, 3):
            ctx.progress(step)
            ctx.close_stream(0.05)
            await asyncio.sleep(0.1)
        return "done"

    async with served(server) as at:
        yield f"http://127.0.0.1:{at.port}/mcp"


@pytest.mark.parametrize(
    ("name", "mode"),
    [("ts1", None), ("ts2", "legacy"), ("ts2", "auto"), ("py1", None), ("py2", "legacy"), ("py2", "auto")],
)
async def test_an_official_client_comes_back_for_the_rest_of_a_closed_stream(name: str, mode: str | None) -> None:
    async with closing() as url:
        call = {"name": "long", "arguments": {}, "progress": True}
        said = await asked(asking(CLIENTS[name](), url=url, calls=[call], mode=mode))
        assert said["calls"][0]["result"]["content"] == [{"type": "text", "text": "done"}]
