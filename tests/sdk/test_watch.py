"""A client is told what changes at its server, in either era; what it may have missed counts as changed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from http_upstream import Heard, http_upstream
from peers import BOUND_S, Asked, Json, Server

from douane.protocol.call import JSON
from douane.sdk import Client, ServerError
from douane.sdk import Server as Serving
from douane.sdk.changes import Change, Changes
from douane.sdk.connect import open_line
from douane.sdk.session import LineSession
from douane.sdk.target import Reaching
from douane.sdk.watch import Unwatchable, Watch, watch

from .test_subscriptions import shelf

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
HAS = {"tools": {"listChanged": True}, "resources": {"subscribe": True, "listChanged": True}}
Note = tuple[str, JSON]


class Ear:
    def __init__(self) -> None:
        self.heard: asyncio.Queue[Note] = asyncio.Queue()

    def __call__(self, method: str, params: JSON) -> None:
        self.heard.put_nowait((method, params))

    async def next(self) -> Note:
        return await asyncio.wait_for(self.heard.get(), BOUND_S)


@asynccontextmanager
async def watching(server: Server) -> AsyncGenerator[tuple[Watch, Ear, LineSession]]:
    ear = Ear()
    session = await open_line(server.open, client={"name": "t", "version": "1"}, noted=ear)
    kept = watch(session, ear, first_pause_s=0.0)
    try:
        yield kept, ear, session
    finally:
        await kept.aclose()
        await session.aclose()


def acknowledge(asked: Asked) -> None:
    """Grant everything."""
    grant(asked, asked.params["notifications"])


def grant(asked: Asked, honoured: Json) -> None:
    note(asked, "notifications/subscriptions/acknowledged", {"notifications": honoured})


def note(asked: Asked, method: str, params: Json) -> None:
    asked.note(method, {**params, "_meta": {SUBSCRIPTION: asked.id}})


def listener(hook: object = acknowledge) -> Server:
    server = Server("stateless")
    server.capabilities = HAS
    server.on["subscriptions/listen"] = hook  # type: ignore[assignment]
    return server


# --- the newest revision ---


async def test_what_is_watched_is_asked_for_on_one_stream_after_another() -> None:
    async with listener() as server, watching(server) as (kept, ear, _):
        first = await server.until("subscriptions/listen")
        assert first.params["notifications"] == {"toolsListChanged": True, "resourcesListChanged": True}
        await asyncio.gather(kept.add("x://a"), kept.add("x://b"))
        second = await server.until("subscriptions/listen", 2)
        assert second.params["notifications"]["resourceSubscriptions"] == ["x://a", "x://b"]
        cancelled = await server.until("notifications/cancelled")
        assert cancelled.params["requestId"] == first.id
        # What is left of the one before says nothing any more.
        note(first, "notifications/resources/updated", {"uri": "x://late"})
        note(second, "notifications/resources/updated", {"uri": "x://a/below"})
        assert await ear.next() == ("notifications/resources/updated", {"uri": "x://a/below"})
        kept.drop("x://a")
        third = await server.until("subscriptions/listen", 3)
        assert third.params["notifications"]["resourceSubscriptions"] == ["x://b"]


async def test_a_stream_of_a_line_is_no_open_call() -> None:
    async with listener() as server, watching(server) as (_, ear, session):
        first = await server.until("subscriptions/listen")
        assert session.is_idle
        first.log("info", "of nobody")
        assert (await ear.next())[0] == "notifications/message"


async def test_what_the_server_does_not_honour_is_not_watched() -> None:
    async with (
        listener(lambda asked: grant(asked, {"resourceSubscriptions": ["x://a"]})) as server,
        watching(server) as (kept, _, _),
    ):
        await kept.add("x://a")
        with pytest.raises(Unwatchable, match="x://b"):
            await kept.add("x://b")
        await kept.add("x://a")


async def test_a_refused_stream_leaves_the_one_before() -> None:
    def hook(asked: Asked) -> None:
        if "x://bad" in asked.params["notifications"].get("resourceSubscriptions", ()):
            asked.error(-32602, "no such resource")
        else:
            acknowledge(asked)

    async with listener(hook) as server, watching(server) as (kept, ear, _):
        await kept.add("x://a")
        with pytest.raises(Unwatchable, match="no such resource"):
            await kept.add("x://bad")
        heard = [asked for asked in server.heard if asked.method == "subscriptions/listen"]
        open_ = next(a for a in heard if a.params["notifications"].get("resourceSubscriptions") == ["x://a"])
        note(open_, "notifications/resources/updated", {"uri": "x://a"})
        assert await ear.next() == ("notifications/resources/updated", {"uri": "x://a"})


async def test_a_lost_stream_is_opened_again_and_everything_on_it_counts_as_changed() -> None:
    async with listener() as server, watching(server) as (kept, ear, _):
        await kept.add("x://a")
        opened = server.methods().count("subscriptions/listen")
        (await server.until("subscriptions/listen", opened)).answer({"resultType": "complete"})
        again = await server.until("subscriptions/listen", opened + 1)
        assert again.params["notifications"]["resourceSubscriptions"] == ["x://a"]
        assert {(await ear.next())[0] for _ in range(2)} == {
            "notifications/tools/list_changed",
            "notifications/resources/list_changed",
        }
        assert await ear.next() == ("notifications/resources/updated", {"uri": "x://a"})


async def test_a_server_that_does_not_listen_is_asked_once_and_again_when_something_is_wanted() -> None:
    async with listener(lambda asked: asked.error(-32601, "unknown")) as server, watching(server) as (kept, _, _):
        await server.until("subscriptions/listen")
        for count in (2, 3):
            with pytest.raises(Unwatchable, match="unknown"):
                await kept.add("x://a")
            assert server.methods().count("subscriptions/listen") == count


async def test_who_gives_up_takes_nothing_from_who_wants_the_same() -> None:
    waiting: list[Asked] = []
    async with listener(waiting.append) as server, watching(server) as (kept, _, _):
        first, second = (asyncio.create_task(kept.add("x://a")) for _ in range(2))
        asked = await server.until("subscriptions/listen")
        first.cancel()
        await asyncio.wait({first})
        acknowledge(asked)
        await asyncio.wait_for(second, BOUND_S)


async def test_who_gives_up_at_once_is_in_nobodys_way() -> None:
    async with listener() as server, watching(server) as (kept, _, _):
        first = asyncio.create_task(kept.add("x://a"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        await asyncio.wait_for(kept.add("x://a"), BOUND_S)


async def test_of_what_was_given_up_before_it_was_asked_for_nothing_is_kept() -> None:
    async with listener(lambda asked: None) as server, watching(server) as (kept, _, _):
        # It does not answer: until it does it is asked for nothing more.
        await server.until("subscriptions/listen")
        given_up = asyncio.create_task(kept.add("x://a"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
        assert not kept._waiting  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType]


# --- the handshake era ---


def older(hook: object = lambda asked: asked.answer({})) -> Server:
    server = Server("handshake")
    server.capabilities = HAS
    server.on["resources/subscribe"] = hook  # type: ignore[assignment]
    server.on["resources/unsubscribe"] = lambda asked: asked.answer({})
    return server


async def test_an_older_server_is_asked_for_each_resource_once() -> None:
    async with older() as server, watching(server) as (kept, ear, _):
        await asyncio.gather(kept.add("x://a"), kept.add("x://a"), kept.add("x://b"))
        server.tell("notifications/resources/updated", {"uri": "x://a"})
        assert await ear.next() == ("notifications/resources/updated", {"uri": "x://a"})
        kept.drop("x://a")
        assert (await server.until("resources/unsubscribe")).params == {"uri": "x://a"}
        await kept.add("x://a")
        asked = [(a.method, a.params["uri"]) for a in server.heard if a.method.startswith("resources/")]
        assert asked == [
            ("resources/subscribe", "x://a"),
            ("resources/subscribe", "x://b"),
            ("resources/unsubscribe", "x://a"),
            ("resources/subscribe", "x://a"),
        ]


async def test_who_gives_up_takes_nothing_from_who_wants_the_same_of_an_older_server() -> None:
    async with older(lambda asked: None) as server, watching(server) as (kept, _, _):
        first, second = (asyncio.create_task(kept.add("x://a")) for _ in range(2))
        await server.until("resources/subscribe")
        first.cancel()
        # Nobody knows whether the first was taken.
        (await server.until("resources/subscribe", 2)).answer({})
        await asyncio.wait_for(second, BOUND_S)
        await asyncio.wait_for(kept.add("x://a"), BOUND_S)
        assert "resources/unsubscribe" not in server.methods()


async def test_an_older_server_can_refuse() -> None:
    async with older(lambda asked: asked.error(-32002, "no such resource")) as server, watching(server) as (kept, _, _):
        for _ in range(2):
            with pytest.raises(Unwatchable, match="no such resource"):
                await kept.add("x://a")
        assert "resources/unsubscribe" not in server.methods()


async def test_a_lost_stream_of_an_older_server_counts_as_an_update_of_all_that_is_watched() -> None:
    def subscribed(heard: Heard) -> None:
        heard.answer({})

    async with http_upstream(resources__subscribe=subscribed) as upstream:
        upstream.capabilities = HAS
        async with Client(upstream.url, how=Reaching(reach="loopback")) as client:
            first = await upstream.until("GET")
            await client.subscribe("x://a")
            changes = client.changes()
            first.end()
            await upstream.until("GET", 2)
            assert {await soon(changes), await soon(changes)} == {Change("tools"), Change("resource", "x://a")}


# --- a program ---


async def soon(changes: Changes) -> Change:
    return await asyncio.wait_for(anext(changes), BOUND_S)


async def test_a_program_hears_each_change_once_and_the_end() -> None:
    server = shelf()
    async with Client(server) as client:
        await client.subscribe("file:///shelf")
        changes, unread = client.changes(), client.changes()
        for _ in range(3):
            server.updated("file:///shelf/a")
            server.updated("file:///shelf/b")
        server.remove("tools", "touch")
        assert [await soon(changes) for _ in range(3)] == [
            Change("resource", "file:///shelf/a"),
            Change("resource", "file:///shelf/b"),
            Change("tools"),
        ]
        client.unsubscribe("file:///shelf")
    assert [change async for change in changes] == []
    assert len([change async for change in unread]) == 3


async def test_a_server_without_resources_or_without_that_one_says_so() -> None:
    async with Client(Serving("bare")) as client:
        with pytest.raises(ServerError, match="does not tell"):
            await client.subscribe("x://a")
    async with Client(shelf()) as client:
        with pytest.raises(ServerError, match="x://a"):
            await client.subscribe("x://a")


async def test_changes_that_nobody_looks_at_are_bounded() -> None:
    server = shelf()
    async with Client(server) as client:
        await client.subscribe("file:///shelf")
        changes = client.changes()
        server.remove("tools", "touch")
        for number in range(1_001):
            server.updated(f"file:///shelf/{number}")
        await client.read("file:///shelf")
    left = [change async for change in changes]
    assert Change("tools") in left
    assert Change("resource", "file:///shelf") in left
    assert len(left) < 1_000
