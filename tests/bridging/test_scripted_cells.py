"""The cells that need a server which does as it is told: pages, sessions, headers, cancelled calls, lost streams, batches.

Clients of both eras over HTTP, and a scripted server of either behind the gateway.
"""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from gateway_clients import (
    MODERN,
    OLDER,
    HttpClient,
    Message,
    Wire,
    enveloped,
    head,
    http,
    post,
    request,
    text_of,
    until_ready,
    wire,
)
from gateway_clients import tool as called
from gateway_world import Gateway, gateway
from http_upstream import Heard, HttpUpstream, http_upstream
from peers import Speaks, tool
from raw_http import Said, events

ERAS: dict[str, Speaks] = {"handshake": "handshake", "newest": "stateless"}
REGION = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
BROKEN = {"type": "object", "properties": {"region": {"type": "array", "x-mcp-header": "Region"}}}
LISTEN = {"accept": "text/event-stream"}


class Cell(NamedTuple):
    client: HttpClient
    running: Gateway
    upstream: HttpUpstream
    front: str
    back: str

    @property
    def newest(self) -> bool:
        """Whether the client is of the newest era."""
        return self.front == "newest"

    async def until(self, method: str, count: int = 1) -> Heard:
        return await self.upstream.until(method, count)


def typed(heard: Heard, result: Message) -> Message:
    """A result as the era of the server wants it."""
    hints = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    return result if heard.server.speaks == "handshake" else {**result, **hints}


PAGES: dict[str | None, tuple[int, int, str | None]] = {
    None: (0, 600, ""),
    "": (600, 1_000, "more"),
    "more": (1_000, 1_100, None),
}
"""By cursor: which tools are on it, and the cursor of the next. The empty one is a cursor like any other."""


def paged(heard: Heard) -> None:
    first, end, following = PAGES[heard.params.get("cursor")]
    page: Message = {"tools": [tool(f"t{number}") for number in range(first, end)]}
    heard.answer(typed(heard, page if following is None else {**page, "nextCursor": following}))


def marked(heard: Heard) -> None:
    heard.answer(typed(heard, {"tools": [tool("sell", inputSchema=REGION), tool("broken", inputSchema=BROKEN)]}))


def held(heard: Heard) -> None:
    """A call that is answered when the test wants it."""
    heard.listen()


HOOKS: dict[str, dict[str, Callable[[Heard], None]]] = {
    "test_pages": {"tools__list": paged},
    "test_arguments": {"tools__list": marked},
    "test_a_call": {"tools__call": held},
    "test_a_stream": {"tools__call": held},
}
"""What the server does, by how the name of a test begins."""


@pytest_asyncio.fixture(params=[f"{front}-{back}" for back in ERAS for front in ERAS])
async def cell(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cell]:
    front, back = request.param.split("-")
    name = request.node.originalname
    on = next((hooks for beginning, hooks in HOOKS.items() if name.startswith(beginning)), {})
    async with (
        http_upstream(ERAS[back], **on) as upstream,
        gateway(tmp_path, {"u": upstream.config}) as running,
        http(running) as client,
    ):
        await until_ready(running)
        assert f"upstream u is up ({OLDER if back == 'handshake' else MODERN})" in "\n".join(running.log)
        if front == "handshake":
            await client.greet("2025-03-26" if "batch" in name else OLDER)
        yield Cell(client, running, upstream, front, back)


# --- pages ---


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


# --- sessions ---


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


async def listed(cell: Cell) -> Any:
    message = request("tools/list", enveloped())
    return await post(cell.running, message, head(cell.running.token, message))


# --- arguments mirrored into headers ---


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


async def test_arguments_that_are_marked_wrongly_take_away_a_tool_of_the_newest_era_only(cell: Cell) -> None:
    tools = {one["name"]: one for one in (await cell.client.ask("tools/list"))["result"]["tools"]}
    if cell.back == "newest":
        assert set(tools) == {"u_sell"}
        return
    # In the handshake era the mark means nothing. It is not passed on: clients of the newest leave out such a tool.
    assert tools["u_broken"]["inputSchema"] == {"type": "object", "properties": {"region": {"type": "array"}}}
    assert tools["u_sell"]["inputSchema"] == REGION
    assert "result" in await cell.client.call("u_broken", region=["eu"])


# --- a call that is cancelled ---


async def test_a_call_is_cancelled_by_each_side_in_its_own_way(cell: Cell) -> None:
    async with wire(cell.running) as line:
        id = await begun(cell, line)
        heard = await cell.until("tools/call")
        if not cell.newest:
            note = await cell.client.note("notifications/cancelled", {"requestId": id})
            assert note.status == 202
    # In the newest era the closed connection says it, on either side.
    if cell.back == "newest":
        await cell.upstream.when(lambda: not heard.open)
        assert "notifications/cancelled" not in cell.upstream.methods()
    else:
        cancelled = await cell.until("notifications/cancelled")
        assert cancelled.params["requestId"] == heard.id


async def begun(cell: Cell, line: Wire) -> int:
    """A call on a connection of its own, that wants to hear of progress; its id."""
    message = request("tools/call", {**called("u_echo"), "_meta": {"progressToken": "p"}}, 7)
    if cell.newest:
        message["params"] = enveloped(called("u_echo"), progressToken="p")
    await line.send("POST", cell.client.headers(message), json.dumps(message).encode())
    return 7


# --- a stream that is lost ---


def step(heard: Heard, number: int) -> None:
    token = heard.params["_meta"]["progressToken"]
    heard.tell("notifications/progress", {"progressToken": token, "progress": number})


def finish(heard: Heard) -> None:
    result = typed(heard, {"content": [{"type": "text", "text": "done"}]})
    heard.say(b"data: " + json.dumps({"jsonrpc": "2.0", "id": heard.id, "result": result}).encode() + b"\n\n")
    heard.end()


async def test_a_stream_that_is_lost_in_mid_call_is_taken_up_again_or_was_the_call(cell: Cell) -> None:
    async with wire(cell.running) as line:
        await begun(cell, line)
        heard = await cell.until("tools/call")
        step(heard, 1)
        assert (await line.status())[0] == 200
        stream = events(line)
        seen = [await anext(stream)]
        while seen[-1].message is None:
            seen.append(await anext(stream))
    assert progress(seen) == [1]
    after = LISTEN | {"last-event-id": seen[-1].id or "1"}
    if cell.newest:
        await gone_for_good(cell, heard, seen, after)
        return
    step(heard, 2)
    async with wire(cell.running) as line:
        await line.send("GET", cell.client.headers() | after)
        assert (await line.status())[0] == 200
        stream = events(line)
        seen = [await anext(stream)]
        step(heard, 3)
        finish(heard)
        seen += [said async for said in stream]
    assert progress(seen[:-1]) == [2, 3]
    assert seen[-1].message is not None
    assert (seen[-1].message["id"], text_of(seen[-1].message)) == (7, "done")
    assert cell.upstream.methods().count("tools/call") == 1


async def gone_for_good(cell: Cell, heard: Heard, seen: list[Said], after: dict[str, str]) -> None:
    """The events had no ids, nothing is taken up again, and the server knows that nobody waits."""
    assert {said.id for said in seen} == {""}
    async with wire(cell.running) as line:
        await line.send("GET", head(cell.running.token) | {"mcp-protocol-version": MODERN} | after)
        assert (await line.answer()).status == 405
    if cell.back == "newest":
        await cell.upstream.when(lambda: not heard.open)
    else:
        assert (await cell.until("notifications/cancelled")).params["requestId"] == heard.id


def progress(seen: list[Said]) -> list[float]:
    return [said.message["params"]["progress"] for said in seen if said.message is not None]


# --- batches ---


async def test_a_batch_is_taken_of_a_session_of_its_revision_and_none_is_sent(cell: Cell) -> None:
    calls = [request("tools/call", called("u_echo", {"n": n}), n) for n in (1, 2)]
    if cell.newest:
        calls = [{**one, "params": enveloped(one["params"])} for one in calls]
    data = json.dumps(calls).encode()
    answer = await post(cell.running, data, cell.client.headers(calls[0]))
    if cell.newest:
        assert (answer.status, answer.code) == (400, -32600)
        assert "a batch is not accepted" in answer.message["error"]["message"]
        assert "tools/call" not in cell.upstream.methods()
        return
    assert {one["id"]: json.loads(text_of(one)) for one in json.loads(answer.body)} == {1: {"n": 1}, 2: {"n": 2}}
    assert sorted(heard.params["arguments"]["n"] for heard in cell.upstream.heard if heard.method == "tools/call") == [
        *(1, 2)
    ]
