"""The extension of apps through the gateway: who declares it, which page a tool has, and the page itself."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from apps_fixture import HTML, MIME, UI, URI
from gateway_clients import HttpClient, Message, http, text_of
from gateway_world import HERE, Upstream, gateway, until

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
DECLARED = {"extensions": {UI: {"mimeTypes": [MIME]}}}
CELLS = pytest.mark.parametrize("behind", ["modern", "older"])
FRONTS = pytest.mark.parametrize("front", ["modern", "older"])
POLICY = """
@id("all") permit (principal, action, resource);
@id("no pages") forbid (principal, action == Douane::Action::"read", resource);
"""


def apps(behind: str, **settings: Any) -> Upstream:
    command = [sys.executable, "-S", str(HERE / "apps_fixture.py"), behind]
    return {"command": command, "reads": {"tools": ["*"], "resources": ["*"]}, **settings}


async def ask(client: HttpClient, method: str, params: Message | None = None) -> Message:
    """As a client that shows pages, of whichever era it greeted in."""
    meta = {} if client.session is not None else {CAPABILITIES: DECLARED}
    return await client.ask(method, params, **meta)


async def told(client: HttpClient, front: str) -> Message:
    """The capabilities of the gateway."""
    if front == "older":
        return (await client.greet(capabilities=DECLARED))["capabilities"]
    return (await ask(client, "server/discover"))["result"]["capabilities"]


@FRONTS
@CELLS
async def test_a_tool_and_its_page_reach_a_client_that_shows_pages(tmp_path: Path, front: str, behind: str) -> None:
    async with gateway(tmp_path, {"a": apps(behind)}) as running, http(running) as client:
        assert (await told(client, front))["extensions"] == {UI: {}}
        chart, refresh = (await ask(client, "tools/list"))["result"]["tools"]
        assert chart["_meta"] == {
            "ui": {"resourceUri": URI, "visibility": ["model", "app"]},
            "ui/resourceUri": URI,
        }
        assert refresh["_meta"]["ui"]["visibility"] == ["app"]
        (listed,) = (await ask(client, "resources/list"))["result"]["resources"]
        (page,) = (await ask(client, "resources/read", {"uri": URI}))["result"]["contents"]
        for one in (listed, page):
            assert (one["uri"], one["mimeType"], one["_meta"]["ui"]["prefersBorder"]) == (URI, MIME, True)
        assert page["text"] == HTML
        called = await ask(client, "tools/call", {"name": chart["name"], "arguments": {}})
        assert json.loads(text_of(called)) == DECLARED["extensions"]


async def test_a_call_declares_no_pages_for_who_shows_none(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"a": apps("modern")}) as running, http(running) as client:
        assert json.loads(text_of(await client.call("a_chart"))) == {}
        # Of another kind of page than is known, none is carried.
        meta = {CAPABILITIES: {"extensions": {UI: {"mimeTypes": ["text/x-other"]}}}}
        said = await client.ask("tools/call", {"name": "a_chart", "arguments": {}}, **meta)
        assert json.loads(text_of(said)) == {}


async def test_of_two_upstreams_with_one_page_each_tool_has_its_own(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"a": apps("modern"), "b": apps("older")}) as running, http(running) as client:
        tools = {tool["name"]: tool for tool in (await ask(client, "tools/list"))["result"]["tools"]}
        for name in ("a", "b"):
            meta = tools[f"{name}_chart"]["_meta"]
            uri = f"douane+{name}:{URI}"
            assert (meta["ui"]["resourceUri"], meta["ui/resourceUri"]) == (uri, uri)
            assert tools[f"{name}_refresh"]["_meta"]["ui/resourceUri"] == uri
            assert "text" in (await ask(client, "resources/read", {"uri": uri}))["result"]["contents"][0]


async def test_a_page_is_judged_as_every_resource(tmp_path: Path) -> None:
    policy = tmp_path / "policy.cedar"
    policy.write_text(POLICY)
    config = {"policy": {"files": [str(policy)]}}
    async with gateway(tmp_path / "home", {"a": apps("modern")}, **config) as running, http(running) as client:
        assert (await ask(client, "resources/read", {"uri": URI}))["error"]["code"] == 1403
        assert "result" in await ask(client, "tools/call", {"name": "a_chart", "arguments": {}})


async def test_a_client_that_declares_what_is_not_carried_is_told_of_in_the_log_once(tmp_path: Path) -> None:
    meta = {CAPABILITIES: {"extensions": {"com.example/more": {}, UI: {"mimeTypes": [MIME]}}}}
    async with gateway(tmp_path, {"a": apps("modern")}) as running, http(running) as client:
        for _ in range(2):
            said = await client.ask("tools/call", {"name": "a_chart", "arguments": {}}, **meta)
            assert json.loads(text_of(said)) == DECLARED["extensions"]

        def complaints() -> list[str]:
            return [line for line in running.log if "a client declares the extension" in line]

        assert await until(complaints)
        (complaint,) = complaints()
        assert "'com.example/more'" in complaint
