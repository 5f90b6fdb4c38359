"""A session over HTTP, against a server that answers with event streams."""

import asyncio
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from http_upstream import Heard, http_upstream
from peers import BOUND_S, Ears, call

from douane.protocol.call import Event
from douane.protocol.outcome import Complete, Failed
from douane.protocol.versions import HANDSHAKE, Era
from douane.sdk.http_session import HttpSession, open_http
from douane.sdk.respondent import Respondent
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient
from douane.transports.http_server import Endpoint, Guard, Reply, Request, serve
from douane.wire import rpc

OK = {"content": [{"type": "text", "text": "done"}]}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
STREAM = [(b"content-type", b"text/event-stream")]


def answering(revision: str, *, batched: bool = False) -> Endpoint:
    """Of the handshake era; a call makes progress and changes the tools before it is answered."""

    def endpoint(request: Request, reply: Reply) -> None:
        if request.method != b"POST":
            reply.send(405, [])
            return
        answer(json.loads(request.body), reply, revision, batched=batched)

    return endpoint


def answer(frame: Any, reply: Reply, revision: str, *, batched: bool) -> None:
    match frame["method"]:
        case "server/discover":
            reply.send(400, [], b"")
        case "initialize":
            reply.send(200, STREAM, event({"id": frame["id"], "result": {**HELLO, "protocolVersion": revision}}))
        case "tools/call":
            token = frame["params"]["_meta"]["progressToken"]
            progress = {"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}
            changed = {"method": "notifications/tools/list_changed"}
            end = {"id": frame["id"], "result": OK}
            told = event(progress, changed, end) if batched else event(progress) + event(changed) + event(end)
            reply.send(200, STREAM, told)
        case _:
            reply.send(202, [], b"")


def event(*messages: dict[str, object]) -> bytes:
    """One message, or several as a batch."""
    whole = [{"jsonrpc": "2.0", **message} for message in messages]
    return b"event: message\ndata: " + json.dumps(whole if len(whole) > 1 else whole[0]).encode() + b"\n\n"


PRIMED = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}


def polled(
    *after: int | bytes | None, retry_ms: int = 20, primed: bytes = b"id: e1\ndata: \n\n", holds: bool = False
) -> Endpoint:
    """A call's stream is closed before its answer. Each GET that follows is answered with one of `after`: a status, what
    is said with the answer ($ID is the call's id), or nothing at all. `holds`: its stream is left open then."""
    said = list(after)
    ids: list[bytes] = []

    def endpoint(request: Request, reply: Reply) -> None:
        if request.method == b"GET":
            last = request.headers.get(b"last-event-id")
            if last is None:
                reply.send(405, [])
                return
            gets.append(last)
            what = said.pop(0)
            if isinstance(what, int):
                reply.send(what, [])
            elif what is None:
                reply.send(200, STREAM, b"")
            elif holds:
                reply.open(200, STREAM)
                reply.write(what.replace(b"$ID", ids[0]))
            else:
                reply.send(200, STREAM, what.replace(b"$ID", ids[0]))
            return
        frame = json.loads(request.body) if request.body else {}
        match frame.get("method"):
            case "initialize":
                reply.send(200, STREAM, event({"id": frame["id"], "result": PRIMED}))
            case "server/discover":
                reply.send(400, [], b"")
            case "tools/call":
                ids.append(str(frame["id"]).encode())
                retry = b"retry: %d\n" % retry_ms if retry_ms else b""
                reply.send(200, STREAM, retry + primed)
            case _:
                reply.send(202, [], b"")

    gets: list[bytes] = []
    endpoint.gets = gets  # type: ignore[attr-defined]
    return endpoint


ANSWER = b'id: e9\ndata: {"jsonrpc":"2.0","id":$ID,"result":{"content":[]}}\n\n'


async def polling(endpoint: Endpoint, within_s: float = 5.0) -> tuple[Any, list[bytes], float]:
    """How a call ends, from which events its stream was taken up again, and how long that took."""
    async with session([], endpoint) as opened:
        asked = call(params={"name": "t", "arguments": {}}, within_s=within_s)
        began_s = asyncio.get_running_loop().time()
        outcome = await opened(asked, Ears(asked).emit)
        return outcome, endpoint.gets, asyncio.get_running_loop().time() - began_s  # type: ignore[attr-defined]


async def test_a_stream_that_ends_before_the_answer_is_taken_up_again_after_its_last_event() -> None:
    more = b'id: e2\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'
    outcome, gets, _ = await polling(polled(more, 503, ANSWER))
    assert isinstance(outcome, Complete)
    assert gets == [b"e1", b"e2", b"e2"]


async def test_nobody_waits_for_the_end_of_a_stream_that_has_brought_the_answer() -> None:
    outcome, gets, took_s = await polling(polled(ANSWER, holds=True))
    assert isinstance(outcome, Complete)
    assert gets == [b"e1"]
    assert took_s < 4.0


async def test_the_server_says_how_long_to_stay_away() -> None:
    outcome, gets, took_s = await polling(polled(ANSWER, retry_ms=300))
    assert isinstance(outcome, Complete)
    assert gets == [b"e1"]
    assert took_s >= 0.3


async def test_a_server_that_wants_us_to_stay_away_for_longer_than_the_call_may_take_has_not_answered_in_time() -> None:
    outcome, gets, _ = await polling(polled(retry_ms=60_000), within_s=0.2)
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.sent, gets) == (1504, "yes", [])


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_stream_that_is_not_taken_up_again_fails_its_call_which_may_have_run(status: int) -> None:
    outcome, _, _ = await polling(polled(status))
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.sent) == (1502, "yes")
    assert f"not taken up again ({status})" in outcome.message


async def test_a_stream_that_tells_nothing_more_is_given_up() -> None:
    outcome, gets, _ = await polling(polled(*[None] * 3), within_s=60.0)
    assert isinstance(outcome, Failed)
    assert len(gets) == 3


@pytest.mark.parametrize("primed", [b"", b"data: \n\n", b"id: \n\ndata: \n\n", "id: ☂\ndata: \n\n".encode()])
async def test_a_stream_whose_events_have_no_ids_is_not_taken_up_again(primed: bytes) -> None:
    outcome, gets, _ = await polling(polled(primed=primed))
    assert isinstance(outcome, Failed)
    assert gets == []


@asynccontextmanager
async def session(noted: list[str], answer: Endpoint) -> AsyncIterator[HttpSession]:
    bound = socket.create_server(("127.0.0.1", 0))
    server = await serve(answer, guard=Guard.loopback(bound.getsockname()[1]), sock=bound)
    http = HttpClient(reach=Reach.LOOPBACK)
    try:
        opened = await open_http(
            http,
            f"http://127.0.0.1:{server.port}/mcp",
            headers=(),
            client={"name": "test", "version": "1"},
            noted=lambda method, params: noted.append(method),
        )
        yield opened
        await opened.aclose()
    finally:
        await http.aclose()
        await server.aclose(0)


@pytest.mark.parametrize(
    ("revision", "batched"), [*((revision, False) for revision in HANDSHAKE), ("2025-03-26", True)]
)
async def test_a_stream_is_heard_by_its_call_and_its_other_notes_by_the_session(revision: str, batched: bool) -> None:
    noted: list[str] = []
    async with session(noted, answering(revision, batched=batched)) as opened:
        assert opened.welcome.revision == revision
        asked = call(params={"name": "t", "arguments": {}}, wants_progress=True)
        ears = Ears(asked)
        outcome = await opened(asked, ears.emit)
    assert isinstance(outcome, Complete)
    assert outcome.result == OK
    assert ears.events == [Event("notifications/progress", {"progress": 1})]
    assert noted == ["notifications/tools/list_changed"]


@pytest.mark.parametrize("revision", [revision for revision in HANDSHAKE if revision != "2025-03-26"])
async def test_a_batch_of_a_revision_without_them_fails_its_call(revision: str) -> None:
    async with session([], answering(revision, batched=True)) as opened:
        asked = call(params={"name": "t", "arguments": {}}, wants_progress=True)
        outcome = await opened(asked, Ears(asked).emit)
    assert isinstance(outcome, Failed)
    assert "a batch is not accepted" in outcome.message


def told_and(then: Callable[[Reply], None]) -> Endpoint:
    """A call's answer is told on its stream, and with that `then` is done."""

    def endpoint(request: Request, reply: Reply) -> None:
        frame = json.loads(request.body) if request.method == b"POST" else {}
        if frame.get("method") in ("tools/call", "resources/list"):
            reply.open(200, STREAM)
            reply.write(event({"id": frame["id"], "result": OK}))
            then(reply)
        else:
            answering("2025-11-25")(request, reply)

    return endpoint


def left_open(reply: Reply) -> None:
    return


def lost(reply: Reply) -> None:
    # As a server that dies: no public way to be one.
    reply._connection._transport.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("then", [lost, left_open])
async def test_an_answer_that_was_told_counts_whatever_becomes_of_its_stream(then: Callable[[Reply], None]) -> None:
    async with session([], told_and(then)) as opened:
        began_s = asyncio.get_running_loop().time()
        asked = call(params={"name": "t", "arguments": {}}, within_s=30.0)
        outcome = await opened(asked, Ears(asked).emit)
        assert isinstance(outcome, Complete), outcome
        answer = await opened.ask("resources/list", {}, began_s + 30.0)
        assert isinstance(answer, rpc.Response)
        assert asyncio.get_running_loop().time() - began_s < 8.0


async def test_who_gives_up_the_opening_of_a_session_leaves_nothing_of_it() -> None:
    def never(heard: Heard) -> None:
        return

    async with http_upstream(GET=never) as upstream:
        http = HttpClient(reach=Reach.LOOPBACK)
        opening = asyncio.create_task(
            open_http(
                http,
                upstream.url,
                headers=(),
                client={"name": "test", "version": "1"},
                noted=lambda method, params: None,
                respondent=Respondent({"roots": {}}),
            )
        )
        await upstream.until("GET")
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert upstream.methods()[-1] == "DELETE"
        await http.aclose()


async def test_names_that_callers_make_up_take_no_memory_when_they_are_long() -> None:
    def refused(heard: Heard) -> None:
        heard.answer({"resultType": "complete", "contents": []})

    async with http_upstream("stateless", resources__read=refused) as upstream:
        http = HttpClient(reach=Reach.LOOPBACK)
        opened = await open_http(
            http, upstream.url, headers=(), client={"name": "t", "version": "1"}, noted=lambda method, params: None
        )
        tracemalloc.start()
        for number in range(32):
            uri = f"made:{number}/" + "x" * 1_000_000
            asked = call("resources/read", {"uri": uri}, name=uri)
            await opened(asked, Ears(asked).emit)
            upstream.heard.clear()
        del uri, asked
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 8_000_000
        await opened.aclose()
        await http.aclose()


async def test_a_discovery_may_be_answered_on_a_stream() -> None:
    def endpoint(request: Request, reply: Reply) -> None:
        frame = json.loads(request.body)
        found = {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {}}
        reply.send(200, STREAM, event({"id": frame["id"], "result": found}))

    async with session([], endpoint) as opened:
        assert opened.welcome.era is Era.STATELESS


async def test_an_answer_is_sent_while_every_connection_is_held_by_a_call_that_waits_for_one() -> None:
    waiting: list[Heard] = []

    def called(heard: Heard) -> None:
        heard.listen()
        waiting.append(heard)
        if len(waiting) == 3:
            for one in waiting:
                one.say(event({"id": f"q{one.id}", "method": "roots/list"}))

    def answered(heard: Heard) -> None:
        heard.reply.send(202, [])
        (asked,) = [one for one in waiting if heard.id == f"q{one.id}"]
        asked.say(event({"id": asked.id, "result": OK}))
        asked.end()

    async def roots(method: str, params: Any) -> Any:
        return {"roots": []}

    async with http_upstream(tools__call=called, POST=answered) as upstream:
        # One for the stream it listens on, and the others for its calls.
        http = HttpClient(reach=Reach.LOOPBACK, max_per_origin=4)
        opened = await open_http(
            http,
            upstream.url,
            headers=(),
            client={"name": "t", "version": "1"},
            noted=lambda method, params: None,
            respondent=Respondent({"roots": {}}, roots),
        )
        asked = call(params={"name": "t", "arguments": {}}, within_s=30.0)
        async with asyncio.timeout(BOUND_S):
            outcomes = await asyncio.gather(*(opened(asked, Ears(asked).emit) for _ in range(3)))
        assert all(isinstance(outcome, Complete) for outcome in outcomes)
        await opened.aclose()
        await http.aclose()
