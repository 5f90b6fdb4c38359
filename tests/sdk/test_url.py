"""A session by URL falls back to HTTP+SSE, takes no endpoint elsewhere, and ends when its stream does."""

import asyncio
import json
from typing import Any

import pytest
from peers import BOUND_S, Ears, Json, call

from douane.protocol.outcome import Complete, Failed, Outcome
from douane.protocol.versions import HANDSHAKE, Era
from douane.sdk.connect import CannotConnect
from douane.sdk.session import LineSession
from douane.sdk.url import open_url
from douane.transports.http_client import HttpClient
from douane.transports.link import LinkClosed

from .sse_server import Scripted, scripted


async def connect(server: Scripted, http: HttpClient, notes: list[str] | None = None, **options: Any) -> LineSession:
    heard = notes if notes is not None else []
    opened = await open_url(
        http,
        server.url,
        headers=[(b"authorization", b"Bearer t")],
        client={"name": "test", "version": "1"},
        noted=lambda method, _: heard.append(method),
        **options,
    )
    assert isinstance(opened, LineSession)
    return opened


async def put(opened: LineSession, **members: Any) -> Outcome:
    asked = call(**members)
    return await opened(asked, Ears(asked).emit)


@pytest.mark.parametrize("revision", HANDSHAKE)
async def test_a_server_that_takes_no_post_is_spoken_to_on_its_stream_in_every_revision(revision: str) -> None:
    async with scripted(revision) as (server, http):
        opened = await connect(server, http)
        assert (opened.welcome.era, opened.welcome.revision) == (Era.HANDSHAKE, revision)
        assert isinstance(await put(opened), Complete)
        assert set(server.posted_to) == {b"/messages?s=1"}
        assert [m["method"] for m in server.heard] == ["initialize", "notifications/initialized", "tools/call"]
        assert not opened.ended.done()
        await opened.aclose()
        await asyncio.wait_for(server.gone.wait(), BOUND_S)


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        (
            b"event: endpoint\ndata: http://evil.example/x\n\n",
            "its endpoint is of another origin, http://evil.example; refused",
        ),
        (b"event: endpoint\ndata: //evil.example/x\n\n", "of another origin"),
        (b"event: endpoint\ndata: https://127.0.0.1/x\n\n", "of another origin"),
        (b"event: endpoint\ndata: http://127.0.0.1:1/x\n\n", "of another origin"),
        (b"event: endpoint\ndata: http://a@127.0.0.1/x\n\n", "cannot be used"),
        (b"event: endpoint\ndata: file:///etc/passwd\n\n", "cannot be used"),
        (b"event: endpoint\ndata: /a b\n\n", "is no URL"),
        (b"event: endpoint\ndata: /a\ndata: /b\n\n", "is no URL"),
        ("event: endpoint\ndata: /é\n\n".encode(), "is no URL"),
        (b'event: message\ndata: {"jsonrpc":"2.0"}\n\n', "its stream begins with 'message', not with its endpoint"),
        (b"event: " + b"x" * 5_000_000, "more than 4194304 bytes"),
    ],
)
async def test_a_stream_that_begins_otherwise_than_with_an_endpoint_here_is_refused(
    opening: bytes, reason: str
) -> None:
    async with scripted() as (server, http):
        server.opening = opening
        with pytest.raises(CannotConnect, match=reason) as refused:
            await connect(server, http)
        assert "neither Streamable HTTP (POST is answered with status 405)" in str(refused.value)
        assert server.posted_to == []
        await asyncio.wait_for(server.gone.wait(), BOUND_S)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ((404, []), "GET is answered with status 404"),
        ((401, []), "GET is answered with status 401"),
        ((302, [(b"location", b"/elsewhere")]), "GET is answered with status 302"),
        ((200, [(b"content-type", b"text/html")]), "something else than an event stream"),
    ],
)
async def test_what_is_no_stream_is_no_server_of_ours(head: Any, reason: str) -> None:
    async with scripted() as (server, http):
        server.head = head
        with pytest.raises(CannotConnect, match=reason):
            await connect(server, http)


async def test_a_stream_without_an_endpoint_is_given_up_in_time() -> None:
    async with scripted() as (server, http):
        server.opening = b": nothing yet\n\n"
        with pytest.raises(CannotConnect, match="names no endpoint in time"):
            await connect(server, http, start_timeout_s=0.3)
        await asyncio.wait_for(server.gone.wait(), BOUND_S)


async def test_a_stream_that_dies_in_mid_call_ends_the_session_and_the_call_once() -> None:
    async with scripted() as (server, http):
        opened = await connect(server, http)
        server.on["tools/call"] = lambda _: server.end()
        outcome = await put(opened)
        assert isinstance(outcome, Failed)
        assert outcome.sent == "unknown"
        assert await asyncio.wait_for(opened.ended, BOUND_S) == "the server has ended its stream"
        later = await put(opened)
        assert isinstance(later, Failed)
        assert later.sent == "no"
        assert len([m for m in server.heard if m["method"] == "tools/call"]) == 1
        await opened.aclose()


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (("endpoint", b"/elsewhere"), "its stream names a second endpoint"),
        (("message", b"x" * 5_000_000), "upstream: an event of more than 4194304 bytes"),
    ],
)
async def test_a_stream_that_breaks_the_rules_is_left(event: tuple[str, bytes], reason: str) -> None:
    async with scripted() as (server, http):
        opened = await connect(server, http)
        server.on["tools/call"] = lambda _: server.event(*event)
        outcome = await put(opened)
        assert isinstance(outcome, Failed)
        assert await asyncio.wait_for(opened.ended, BOUND_S) == reason
        await opened.aclose()


async def test_noise_on_the_stream_costs_nothing() -> None:
    def noisy(message: Json) -> None:
        server.event("ping", b"2026-01-01")
        server.event("message", b"Welcome!")
        server.event("message", b"")
        server.say({"id": 999, "result": {}})
        server.say({"id": message["id"], "result": {"content": []}})

    async with scripted() as (server, http):
        opened = await connect(server, http)
        server.on["tools/call"] = noisy
        assert isinstance(await put(opened), Complete)
        assert opened.strays == 2
        await opened.aclose()


@pytest.mark.parametrize("status", [404, 401, 500, 302])
async def test_a_refused_message_ends_the_session(status: int) -> None:
    async with scripted() as (server, http):
        opened = await connect(server, http)
        await server.until("notifications/initialized")
        server.status = status
        outcome = await put(opened)
        assert isinstance(outcome, Failed)
        assert outcome.sent == "unknown"
        reason = await asyncio.wait_for(opened.ended, BOUND_S)
        assert reason == f"the server refused a message with status {status}"
        with pytest.raises(LinkClosed):
            await opened.ask("ping", {}, asyncio.get_running_loop().time() + 1)
        await opened.aclose()


async def test_messages_arrive_in_the_order_in_which_they_were_sent() -> None:
    async with scripted() as (server, http):
        opened = await connect(server, http)
        await asyncio.gather(*(put(opened, params={"name": "echo", "arguments": {"n": n}}) for n in range(50)))
        calls = [m["params"]["arguments"]["n"] for m in server.heard if m["method"] == "tools/call"]
        assert calls == list(range(50))
        await opened.aclose()


async def test_a_call_that_is_given_up_is_cancelled_at_the_server() -> None:
    async with scripted() as (server, http):
        opened = await connect(server, http)
        server.on["tools/call"] = lambda _: None
        open_call = asyncio.create_task(put(opened))
        asked = await server.until("tools/call")
        open_call.cancel()
        cancelled = await server.until("notifications/cancelled")
        assert cancelled["params"]["requestId"] == asked["id"]
        await opened.aclose()


async def test_a_server_of_2025_03_26_may_send_batches_and_is_answered_in_one() -> None:
    replies: list[Any] = []
    notes: list[str] = []

    def batch(message: Json) -> None:
        server.say(
            {"method": "notifications/tools/list_changed"},
            {"id": "a", "method": "ping"},
            {"id": message["id"], "result": {"content": []}},
            {"id": "b", "method": "roots/list"},
        )

    async with scripted("2025-03-26") as (server, http):
        opened = await connect(server, http, notes)
        server.on["tools/call"] = batch
        server.on["ping"] = lambda message: server.say({"id": message["id"], "result": {}})
        server.take_batch = replies.append
        assert isinstance(await put(opened), Complete)
        assert notes == ["notifications/tools/list_changed"]
        # Behind the answer to the batch.
        await opened.ask("ping", {}, asyncio.get_running_loop().time() + BOUND_S)
        (reply,) = replies
        assert [(one["id"], "result" in one) for one in reply] == [("a", True), ("b", False)]
        await opened.aclose()


@pytest.mark.parametrize("revision", [revision for revision in HANDSHAKE if revision != "2025-03-26"])
async def test_a_batch_of_any_other_server_belongs_to_nothing(revision: str) -> None:
    def both(message: Json) -> None:
        server.say({"id": message["id"], "result": {"wrong": 1}}, {"method": "notifications/x"})
        server.say({"id": message["id"], "result": {"content": []}})

    async with scripted(revision) as (server, http):
        opened = await connect(server, http)
        server.on["tools/call"] = both
        outcome = await put(opened)
        assert isinstance(outcome, Complete)
        assert json.loads(outcome.encoded or b"") == {"content": []}
        assert opened.strays == 1
        await opened.aclose()
