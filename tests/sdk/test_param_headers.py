"""Arguments mirrored into headers, at both ends of Streamable HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from gateway_clients import enveloped, head, request
from http_upstream import Heard, http_upstream
from peers import BOUND_S, tool

from douane.sdk import Client, DefinitionError, Header, Server, ServerError
from douane.sdk.serving import Http, serve_http
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient, Origin

REGION = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}


def weather() -> Server:
    server = Server("weather")

    @server.tool()
    async def forecast(region: Annotated[str, Header("Region"), "Which region"], days: int = 1) -> str:
        """The weather to come."""
        return f"{region}: rain for {days} days"

    return server


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    async with server.ready(), serve_http(server.listener, Http("127.0.0.1", 0)) as port:
        yield f"http://127.0.0.1:{port}/mcp"


async def post(http: HttpClient, url: str, arguments: dict[str, Any], **more: str) -> tuple[int, dict[str, Any]]:
    message = request("tools/call", enveloped({"name": "forecast", "arguments": arguments}))
    headers = [(name.encode(), value.encode()) for name, value in head(None, message, **more).items()]
    origin, target = Origin.parse(url)
    deadline_s = asyncio.get_running_loop().time() + BOUND_S
    answer = await http.request("POST", origin, target, headers, json.dumps(message).encode(), deadline=deadline_s)
    return answer.status, json.loads(answer.body)


async def test_a_server_shows_the_mark_and_holds_every_call_to_it() -> None:
    async with serving(weather()) as url:
        http = HttpClient(reach=Reach.LOOPBACK)
        try:
            async with Client(url) as client:
                (listed,) = await client.tools()
                assert listed["inputSchema"]["properties"]["region"] == {
                    "type": "string",
                    "description": "Which region",
                    "x-mcp-header": "Region",
                }
            for sent in ({"Mcp_Param_Region": "eu"}, {"MCP_PARAM_REGION": "=?base64?ZXU=?="}):
                status, said = await post(http, url, {"region": "eu"}, **sent)
                assert (status, said["result"]["content"][0]["text"]) == (200, "eu: rain for 1 days")
            # The head of the last one again, with another body.
            for region, sent in (("us", {"Mcp_Param_Region": "eu"}), ("eu", {}), ("eu", {"Mcp_Param_Region": "é"})):
                status, said = await post(http, url, {"region": region}, **sent)
                assert (status, said["error"]["code"]) == (400, -32020), said
        finally:
            await http.aclose()


async def test_a_client_mirrors_what_the_list_asks_for() -> None:
    async with serving(weather()) as url, Client(url) as client:
        await client.tools()
        for region in ("eu", "日本", " padded ", "=?base64?x?=", ""):
            assert (await client.call("forecast", {"region": region})).text == f"{region}: rain for 1 days"


async def test_a_client_that_has_not_listed_learns_what_is_mirrored_and_calls_again() -> None:
    notes: list[str] = []
    async with (
        serving(weather()) as url,
        Client(url, on_note=lambda method, params: notes.append(method)) as client,
    ):
        assert (await client.call("forecast", {"region": "eu"})).text == "eu: rain for 1 days"
        assert notes == ["notifications/tools/list_changed"]


async def test_a_server_that_complains_whatever_is_sent_is_asked_twice_and_no_more() -> None:
    def complain(heard: Heard) -> None:
        heard.server.tools = [tool("echo", inputSchema=_other(len(heard.server.heard)))]
        heard.error(-32020, "not this")

    async with http_upstream("stateless", tools__call=complain) as server, Client(server.url) as client:
        with pytest.raises(ServerError, match="not this"):
            await client.call("echo", {"region": "eu"})
        assert server.methods().count("tools/call") == 2


def _other(number: int) -> dict[str, Any]:
    return {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": f"Region-{number}"}}}


async def test_a_tool_whose_mark_nobody_may_follow_is_not_listed_over_http_and_the_others_are() -> None:
    broken = {"type": "object", "properties": {"x": {"type": "object", "x-mcp-header": "X"}}}
    async with http_upstream("stateless") as server:
        server.tools = [tool("bad", inputSchema=broken), tool("good", inputSchema=REGION)]
        async with Client(server.url) as client:
            assert [one["name"] for one in await client.tools()] == ["good"]


async def test_in_the_handshake_era_nothing_is_mirrored_and_nothing_left_out() -> None:
    broken = {"type": "object", "properties": {"x": {"type": "object", "x-mcp-header": "X"}}}
    async with http_upstream("handshake") as server:
        server.tools = [tool("bad", inputSchema=broken), tool("good", inputSchema=REGION)]
        async with Client(server.url) as client:
            assert [one["name"] for one in await client.tools()] == ["bad", "good"]
            await client.call("good", {"region": "eu"})
        assert b"mcp-param-region" not in (await server.until("tools/call")).request.headers


@pytest.mark.parametrize("hint", [Annotated[float, Header("Level")], Annotated[str | None, Header("Level")]])
def test_a_mark_that_cannot_be_followed_is_refused_where_it_is_written(hint: Any) -> None:
    def forecast(level: Any) -> str:
        return ""

    forecast.__annotations__["level"] = hint
    with pytest.raises(DefinitionError, match=r"'level': x-mcp-header is for a string, an integer or a boolean"):
        Server("weather").tool()(forecast)


def test_two_arguments_in_one_header_are_refused_where_they_are_written() -> None:
    def forecast(a: Annotated[str, Header("Region")], b: Annotated[str, Header("region")]) -> str:
        return ""

    with pytest.raises(DefinitionError, match="two arguments have the same x-mcp-header"):
        Server("weather").tool()(forecast)
