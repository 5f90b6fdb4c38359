"""Arguments mirrored into headers, through the gateway: checked in front, written anew behind."""

from pathlib import Path
from typing import Any

from gateway_clients import enveloped, head, post, request, until_ready
from gateway_world import gateway
from http_upstream import http_upstream
from peers import tool

REGION = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
BROKEN = {"type": "object", "properties": {"region": {"type": "array", "x-mcp-header": "Region"}}}


def sale(arguments: dict[str, Any]) -> dict[str, Any]:
    return request("tools/call", enveloped({"name": "shop_sell", "arguments": arguments}))


async def test_what_the_headers_say_is_checked_and_the_upstream_is_sent_its_own(tmp_path: Path) -> None:
    async with http_upstream("stateless") as server:
        server.tools = [tool("sell", inputSchema=REGION), tool("broken", inputSchema=BROKEN)]
        async with gateway(tmp_path, {"shop": server.config}) as running:
            await until_ready(running)
            listing = request("tools/list", enveloped())
            listed = await post(running, listing, head(running.token, listing))
            assert [one["name"] for one in listed.message["result"]["tools"]] == ["shop_sell"]

            good = sale({"region": "日本"})
            answer = await post(running, good, head(running.token, good, Mcp_Param_Region="=?base64?5pel5pys?="))
            assert answer.status == 200
            heard = (await server.until("tools/call")).request.headers
            assert heard[b"mcp-param-region"] == b"=?base64?5pel5pys?="

            for region, sent in (("eu", {}), ("eu", {"Mcp_Param_Region": "us"}), (None, {"Mcp_Param_Region": "eu"})):
                bad = sale({"region": region})
                answer = await post(running, bad, head(running.token, bad, **sent))
                assert (answer.status, answer.code) == (400, -32020), region
            assert server.methods().count("tools/call") == 1
