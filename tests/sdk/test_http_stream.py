"""What belongs to no call: the stream that is held to a server of the handshake era, and the log level of a session."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from http_upstream import Heard, Hook, HttpUpstream, http_upstream
from peers import BOUND_S, Ears, Speaks, call

from douane.protocol.call import Event
from douane.protocol.outcome import Complete, Failed
from douane.sdk.http_session import HttpSession, open_http
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient

CHANGED = "notifications/tools/list_changed"
STREAM = [(b"content-type", b"text/event-stream")]


class Told:
    """The notifications of a session that belonged to no call."""

    def __init__(self) -> None:
        self.methods: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, method: str, params: object) -> None:
        self.methods.append(method)
        self._news.set()

    async def times(self, count: int) -> None:
        async with asyncio.timeout(BOUND_S):
            while len(self.methods) < count:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def session(speaks: Speaks = "handshake", **on: Hook) -> AsyncIterator[tuple[HttpUpstream, HttpSession, Told]]:
    """Afterwards: no connection is left open."""
    async with http_upstream(speaks, **on) as server:
        http, told = HttpClient(reach=Reach.LOOPBACK), Told()
        try:
            opened = await open_http(http, server.url, headers=(), client={"name": "t", "version": "1"}, noted=told)
            yield server, opened, told
            await opened.aclose()
            await server.when(lambda: server.ears == [])
        finally:
            await http.aclose()


async def test_what_is_told_on_the_stream_is_heard_and_its_opening_counts_as_a_change() -> None:
    async with session() as (server, _, told):
        ear = await server.until("GET")
        assert ear.session == "s1"
        await told.times(1)
        ear.tell(CHANGED)
        ear.tell("notifications/resources/updated", {"uri": "a:b"})
        await told.times(3)
        assert told.methods == [CHANGED, CHANGED, "notifications/resources/updated"]


async def test_a_stream_that_ended_is_asked_for_again_and_what_was_missed_counts_as_a_change() -> None:
    async with session() as (server, _, told):
        (await server.until("GET")).end()
        (await server.until("GET", 2)).tell("notifications/one")
        await told.times(3)
        assert told.methods == [CHANGED, CHANGED, "notifications/one"]


async def test_a_stream_with_ids_is_resumed_after_the_last_and_nothing_was_missed() -> None:
    seen: list[bytes | None] = []

    def numbered(heard: Heard) -> None:
        seen.append(heard.last_event_id)
        heard.listen()
        heard.say(b'id: %d\nretry: 1\ndata: {"jsonrpc":"2.0","method":"notifications/one"}\n\n' % len(seen))
        if len(seen) < 3:
            heard.end()

    async with session(GET=numbered) as (server, _, told):
        await server.until("GET", 3)
        await told.times(4)
        assert told.methods == [CHANGED, *["notifications/one"] * 3]
        assert seen == [None, b"1", b"2"]


@pytest.mark.parametrize("status", [405, 400, 501, 403])
async def test_a_server_without_a_stream_is_asked_once(status: int) -> None:
    async with session(GET=lambda heard: heard.reply.send(status, [])) as (server, opened, told):
        await server.until("GET")
        asked = call()
        assert isinstance(await opened(asked, Ears(asked).emit), Complete)
        assert (server.methods().count("GET"), told.methods, opened.ended.done()) == (1, [], False)


@pytest.mark.parametrize("status", [409, 503])
async def test_a_server_that_has_none_just_now_is_asked_again(status: int) -> None:
    def first_busy(heard: Heard) -> None:
        if heard.server.methods().count("GET") == 1:
            heard.reply.send(status, [])
        else:
            heard.listen()

    async with session(GET=first_busy) as (server, _, told):
        await server.until("GET", 2)
        await told.times(1)


async def test_a_server_that_knows_no_get_keeps_its_session_and_one_that_forgot_it_has_ended() -> None:
    def not_found(heard: Heard) -> None:
        heard.reply.send(404, [])

    async with session(GET=not_found) as (server, opened, _):
        await server.until("ping")
        asked = call()
        assert isinstance(await opened(asked, Ears(asked).emit), Complete)
    async with session(GET=not_found, ping=not_found) as (server, opened, _):
        assert await asyncio.wait_for(asyncio.shield(opened.ended), BOUND_S) == "the server has forgotten the session"


async def test_a_server_that_started_anew_and_says_so_in_its_own_way_has_forgotten_its_session() -> None:
    # What the examples of the official TypeScript SDK answer, and what grew from them: 400, where 404 is meant.
    def unknown(heard: Heard) -> None:
        heard.error(-32000, "Bad Request: No valid session ID provided")

    async with session() as (server, opened, _):
        ear = await server.until("GET")
        server.on = dict.fromkeys(("GET", "ping", "tools/call"), unknown)
        ear.end()
        said = await asyncio.wait_for(asyncio.shield(opened.ended), BOUND_S)
        assert said == "the server has forgotten the session"


async def test_progress_that_comes_on_the_stream_goes_to_the_call_it_is_of() -> None:
    # Servers that send a notification without saying what it belongs to send it here.
    waiting: list[Heard] = []
    async with session(tools__call=waiting.append) as (server, opened, told):
        asked = [call(wants_progress=True) for _ in range(2)]
        ears = [Ears(one) for one in asked]
        calls = [asyncio.create_task(opened(one, ear.emit)) for one, ear in zip(asked, ears, strict=True)]
        await server.until("tools/call", 2)
        ear = await server.until("GET")
        token = waiting[1].params["_meta"]["progressToken"]
        ear.tell("notifications/progress", {"progressToken": token, "progress": 1})
        ear.tell("notifications/progress", {"progressToken": "of nobody", "progress": 2})
        ear.tell("notifications/message", {"level": "error", "data": "of one of the two"})
        await told.times(3)
        for heard in waiting:
            heard.answer({"content": []})
        await asyncio.gather(*calls)
        second = [Event("notifications/progress", {"progress": 1})]
        assert sorted([ear.events for ear in ears], key=len) == [[], second]
        ear.tell("notifications/progress", {"progressToken": token, "progress": 3})
        await told.times(4)


async def test_a_log_message_on_the_stream_goes_to_the_one_call_that_is_open() -> None:
    waiting: list[Heard] = []
    async with session(tools__call=waiting.append) as (server, opened, told):
        asked = call(log_level="warning")
        ears = Ears(asked)
        running = asyncio.create_task(opened(asked, ears.emit))
        await server.until("tools/call")
        ear = await server.until("GET")
        ear.tell("notifications/message", {"level": "info", "data": "quiet"})
        ear.tell("notifications/message", {"level": "error", "data": "loud"})
        ear.tell("notifications/one")
        await told.times(2)
        waiting[0].answer({"content": []})
        await running
        assert ears.events == [Event("notifications/message", {"level": "error", "data": "loud"})]
        assert told.methods == [CHANGED, "notifications/one"]


async def test_garbage_on_the_stream_ends_it_and_nothing_else() -> None:
    async with session() as (server, opened, _):
        (await server.until("GET")).say(b"data: {nonsense\n\n")
        await server.until("GET", 2)
        asked = call()
        assert isinstance(await opened(asked, Ears(asked).emit), Complete)


async def test_the_server_is_answered_what_it_asks_on_its_stream() -> None:
    async with session() as (server, _, _):
        ear = await server.until("GET")
        ear.say(b'data: {"jsonrpc":"2.0","id":7,"method":"ping"}\n\n')
        ear.say(b'data: {"jsonrpc":"2.0","id":8,"method":"roots/list"}\n\n')
        await server.when(lambda: len(server.answers) == 2)
        pong, refused = sorted(server.answers, key=lambda answer: answer["id"])
        assert pong == {"jsonrpc": "2.0", "id": 7, "result": {}}
        assert (refused["id"], refused["error"]["code"]) == (8, -32601)


async def test_the_newest_revision_has_no_stream() -> None:
    async with session("stateless") as (server, opened, _):
        asked = call()
        assert isinstance(await opened(asked, Ears(asked).emit), Complete)
        assert "GET" not in server.methods()


async def test_the_log_level_is_raised_before_the_call_that_wants_it_and_never_lowered() -> None:
    async with session() as (server, opened, _):

        async def called(level: str | None) -> None:
            asked = call(log_level=level)
            assert isinstance(await opened(asked, Ears(asked).emit), Complete)

        for level in (None, "error", "info", "warning", "info"):
            await called(level)
        posted = [heard for heard in server.heard if heard.method in ("logging/setLevel", "tools/call")]
        assert [heard.params.get("level") for heard in posted] == [None, "error", None, "info", None, None, None]


async def test_calls_at_once_wait_for_the_same_level_and_a_server_that_refuses_it_is_called_all_the_same() -> None:
    waiting: list[Heard] = []
    async with session(logging__setLevel=waiting.append) as (server, opened, _):
        asked = [call(log_level="debug") for _ in range(3)]
        calls = [asyncio.create_task(opened(one, Ears(one).emit)) for one in asked]
        await server.until("logging/setLevel")
        assert "tools/call" not in server.methods()
        waiting[0].error(-32603, "no")
        assert [type(outcome) for outcome in await asyncio.gather(*calls)] == [Complete] * 3
        assert server.methods().count("logging/setLevel") == 1


async def test_a_log_level_that_was_refused_is_asked_for_again_by_the_next_call() -> None:
    async with session(logging__setLevel=lambda heard: heard.error(-32603, "not now")) as (server, opened, _):
        for _ in range(2):
            asked = call(log_level="debug")
            assert isinstance(await opened(asked, Ears(asked).emit), Complete)
        del server.on["logging/setLevel"]
        for _ in range(2):
            asked = call(log_level="debug")
            assert isinstance(await opened(asked, Ears(asked).emit), Complete)
        assert server.methods().count("logging/setLevel") == 3


async def test_a_server_that_declares_no_logging_is_told_no_level() -> None:
    def quiet(heard: Heard) -> None:
        heard.server.capabilities = {"tools": {}}
        del heard.server.on["initialize"]
        heard.server(heard.request, heard.reply)

    async with session(initialize=quiet) as (server, opened, _):
        asked = call(log_level="debug")
        assert isinstance(await opened(asked, Ears(asked).emit), Complete)
        assert "logging/setLevel" not in server.methods()


async def test_a_call_that_such_a_server_refuses_with_400_was_not_run_and_its_session_has_ended() -> None:
    # T22
    async with session() as (server, opened, _):
        server.on["tools/call"] = lambda heard: heard.error(-32000, "Bad Request: No valid session ID provided")
        asked = call()
        assert await opened(asked, Ears(asked).emit) == Failed(
            1502, "upstream: the server has forgotten the session", "no"
        )
        assert opened.ended.result() == "the server has forgotten the session"
        # Another complaint about a session is none of the kind.
    async with session() as (server, opened, _):
        server.on["tools/call"] = lambda heard: heard.error(-32602, "no such session in the archive")
        assert isinstance(await opened(asked, Ears(asked).emit), Failed)
        assert not opened.ended.done()


async def test_a_hook_of_a_test_that_is_wrong_fails_it_at_once() -> None:
    def wrong(heard: Heard) -> None:
        raise KeyError("typo")

    async def tested() -> None:
        async with session(tools__call=wrong) as (server, opened, _):
            asked = call()
            await opened(asked, Ears(asked).emit)
            with pytest.raises(AssertionError, match="a hook of the test is wrong"):
                await server.until("nothing that will ever be heard")

    with pytest.raises(AssertionError, match="a hook of the test is wrong"):
        await tested()
