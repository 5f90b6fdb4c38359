"""The cells that need a server which does as it is told: pages, errors and odd results, sessions, headers, batches."""

import json
from typing import Any

from gateway_clients import Answer, enveloped, head, http, post, request, text_of
from gateway_clients import tool as called
from http_upstream import JSON, Heard
from peers import tool

from .scripted import Cell, four, typed

REGION = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
BROKEN = {"type": "object", "properties": {"region": {"type": "array", "x-mcp-header": "Region"}}}
NUMBERS = {"type": "array", "items": {"type": "integer"}}


# --- lists ---


PAGES: dict[str | None, tuple[int, int, str | None]] = {
    None: (0, 600, ""),
    "": (600, 1_000, "more"),
    "more": (1_000, 1_100, None),
}
"""By cursor: which tools are on it, and the cursor of the next. The empty one is a cursor like any other."""


def paged(heard: Heard) -> None:
    first, end, following = PAGES[heard.params.get("cursor")]
    page = typed(heard, {"tools": [tool(f"t{number}") for number in range(first, end)]})
    heard.answer(page if following is None else {**page, "nextCursor": following})


@four(tools__list=paged)
async def test_pages_are_read_to_the_last_behind_and_cut_anew_in_front(cell: Cell) -> None:
    asked = [heard.params.get("cursor") for heard in cell.upstream.heard if heard.method == "tools/list"]
    assert asked == [None, "", "more"]
    first = (await cell.client.ask("tools/list"))["result"]
    second = (await cell.client.ask("tools/list", {"cursor": first["nextCursor"]}))["result"]
    assert (len(first["tools"]), len(second["tools"]), "nextCursor" in second) == (1_000, 100, False)
    names = [one["name"] for one in (*first["tools"], *second["tools"])]
    assert sorted(names) == sorted(f"u_t{number}" for number in range(1_100))
    # Cursors are the gateway's own: what the server calls its pages is nothing to the client.
    for cursor in ("", "more", first["nextCursor"] + "A"):
        assert (await cell.client.ask("tools/list", {"cursor": cursor}))["error"]["code"] == -32602, cursor
    assert "result" in await cell.client.call(second["tools"][-1]["name"])


# --- errors and results ---


@four()
async def test_an_error_of_the_server_is_told_as_it_said_it_unless_it_is_of_its_own_hop(cell: Cell) -> None:
    for said, told in ((-31999, -31999), (-32603, -32603), (-32020, -32603)):
        cell.upstream.on["tools/call"] = lambda heard, said=said: heard.error(said, "out of tea")
        error = (await cell.client.call("u_echo"))["error"]
        assert (error["code"], "out of tea" in error["message"]) == (told, True), said
    cell.upstream.on["tools/call"] = lambda heard: heard.error(-32021, "cannot ask")
    assert (await cell.client.call("u_echo"))["error"]["code"] == (-32021 if cell.newest else -32603)


PAGE = {"mode": "url", "url": "https://x.example/", "message": "agree", "elicitationId": "e"}


def needs(heard: Heard) -> None:
    error = {"code": -32042, "message": "first", "data": {"elicitations": [PAGE]}}
    heard.reply.send(200, JSON, json.dumps({"jsonrpc": "2.0", "id": heard.id, "error": error}).encode())


@four(tools__call=needs)
async def test_a_page_that_a_call_needs_is_a_question_where_the_era_of_the_server_has_that_error(cell: Cell) -> None:
    async with http(cell.running) as client:
        if cell.newest:
            declared: Any = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}}}
            await client.begin("tools/call", called("u_echo"), **declared)
        else:
            await client.greet(capabilities={"elicitation": {"url": {}}})
            await client.begin("tools/call", called("u_echo"))
        said = await anext(client.messages())
    if cell.back == "newest":
        # The newest era has no such error: it is the server's own, and told as it said it.
        assert (said["error"]["code"], said["error"]["data"]) == (-32042, {"elicitations": [PAGE]})
        return
    question = said["result"]["inputRequests"]["page-1"] if cell.newest else said
    assert (question["method"], question["params"]["url"]) == ("elicitation/create", PAGE["url"])


def counting(heard: Heard) -> None:
    heard.answer(typed(heard, {"tools": [tool("count", outputSchema=NUMBERS)]}))


@four(
    tools__list=counting,
    tools__call=lambda heard: heard.answer(typed(heard, {"content": [], "structuredContent": [1, 2]})),
)
async def test_a_structured_result_that_is_no_object_is_text_to_clients_that_know_objects_only(cell: Cell) -> None:
    (listed,) = (await cell.client.ask("tools/list"))["result"]["tools"]
    result = (await cell.client.call("u_count"))["result"]
    if cell.newest:
        assert (listed["outputSchema"], result["structuredContent"]) == (NUMBERS, [1, 2])
    else:
        assert "outputSchema" not in listed
        assert result == {"content": [{"type": "text", "text": "[1,2]"}]}


# --- sessions ---


@four()
async def test_sessions_are_of_the_handshake_on_each_side_and_never_one_and_the_same(cell: Cell) -> None:
    assert text_of(await cell.client.call("u_echo", a=1)) == '{"a": 1}'
    behind = (await cell.until("tools/call")).session
    assert bool(cell.client.session) is not cell.newest
    assert bool(behind) == (cell.back == "handshake")
    assert behind != cell.client.session
    if cell.newest:
        assert "mcp-session-id" not in (await listed(cell)).headers
        return
    await cell.client.line.send("DELETE", cell.client.headers())
    assert (await cell.client.line.answer()).status == 204
    assert (await post(cell.running, request("tools/list"), cell.client.headers())).status == 404
    # The session behind is the gateway's own, which others call through as well.
    async with http(cell.running) as other:
        assert text_of(await other.call("u_echo", a=2)) == '{"a": 2}'
    assert (await cell.until("tools/call", 2)).session == behind
    assert "DELETE" not in cell.upstream.methods()


async def listed(cell: Cell) -> Answer:
    message = request("tools/list", enveloped())
    return await post(cell.running, message, head(cell.running.token, message))


# --- arguments mirrored into headers ---


def marked(heard: Heard) -> None:
    heard.answer(typed(heard, {"tools": [tool("sell", inputSchema=REGION), tool("broken", inputSchema=BROKEN)]}))


@four(tools__list=marked)
async def test_arguments_are_mirrored_into_headers_by_whoever_is_of_the_newest_era(cell: Cell) -> None:
    message = request("tools/call", called("u_sell", {"region": "日本"}), 9)
    mirror = {"mcp-param-region": "=?base64?5pel5pys?="}
    if cell.newest:
        message["params"] = enveloped(message["params"])
        for wrong in ({}, {"mcp-param-region": "eu"}):
            refused = await post(cell.running, message, cell.client.headers(message) | wrong)
            assert (refused.status, refused.code) == (400, -32020)
        assert "tools/call" not in cell.upstream.methods()
    # Clients of the handshake era know of no such header: what one says there is nothing to anybody.
    said = mirror if cell.newest else {"mcp-param-region": "us"}
    answer = await post(cell.running, message, cell.client.headers(message) | said)
    assert json.loads(text_of(answer.message)) == {"region": "日本"}
    sent = (await cell.until("tools/call")).request.headers.get(b"mcp-param-region")
    assert sent == (b"=?base64?5pel5pys?=" if cell.back == "newest" else None)


@four(tools__list=marked)
async def test_arguments_that_are_marked_wrongly_take_away_a_tool_of_the_newest_era_only(cell: Cell) -> None:
    tools = {one["name"]: one for one in (await cell.client.ask("tools/list"))["result"]["tools"]}
    if cell.back == "newest":
        assert set(tools) == {"u_sell"}
        return
    # In the handshake era the mark means nothing. It is not passed on: clients of the newest leave out such a tool.
    assert tools["u_broken"]["inputSchema"] == {"type": "object", "properties": {"region": {"type": "array"}}}
    assert tools["u_sell"]["inputSchema"] == REGION
    assert "result" in await cell.client.call("u_broken", region=["eu"])


# --- batches ---


@four(revision="2025-03-26")
async def test_a_batch_is_taken_of_a_session_of_its_revision_and_none_is_sent(cell: Cell) -> None:
    calls = [request("tools/call", called("u_echo", {"n": n}), n) for n in (1, 2)]
    if cell.newest:
        calls = [{**one, "params": enveloped(one["params"])} for one in calls]
    answer = await post(cell.running, json.dumps(calls).encode(), cell.client.headers(calls[0]))
    if cell.newest:
        assert (answer.status, answer.code) == (400, -32600)
        assert "a batch is not accepted" in answer.message["error"]["message"]
        assert "tools/call" not in cell.upstream.methods()
        return
    assert {one["id"]: json.loads(text_of(one)) for one in json.loads(answer.body)} == {1: {"n": 1}, 2: {"n": 2}}
    sent = [heard.params["arguments"]["n"] for heard in cell.upstream.heard if heard.method == "tools/call"]
    assert sorted(sent) == [1, 2]
