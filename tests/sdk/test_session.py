"""A session with one server over a line: whatever the server does, each call ends once, in time, and alone."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from peers import (
    BOUND_S,
    ENVELOPE,
    Asked,
    Ears,
    Hook,
    Json,
    Server,
    Speaks,
    answers,
    call,
    die,
    errors,
    garbage,
    silence,
)

from douane.protocol.call import JSON, Event
from douane.protocol.outcome import Complete, Failed, Outcome
from douane.sdk.connect import open_line
from douane.sdk.session import LineSession
from douane.transports.link import LinkClosed
from douane.wire import rpc

OK = {"content": []}
ERAS: list[Speaks] = ["stateless", "handshake"]


class Notes(list[tuple[str, JSON]]):
    def __call__(self, method: str, params: JSON) -> None:
        self.append((method, params))


@asynccontextmanager
async def session(
    server: Server, notes: Notes | None = None, *, max_deadline_s: float = 60.0
) -> AsyncIterator[LineSession]:
    opened = await open_line(
        server.open,
        client={"name": "test"},
        noted=notes if notes is not None else Notes(),
        max_deadline_s=max_deadline_s,
    )
    try:
        yield opened
    finally:
        await opened.aclose()


def begin(opened: LineSession, **members: object) -> tuple["asyncio.Task[Outcome]", Ears]:
    asked = call(**members)  # type: ignore[arg-type]
    ears = Ears(asked)
    return asyncio.create_task(opened(asked, ears.emit)), ears


async def run(opened: LineSession, **members: object) -> Outcome:
    return await asyncio.wait_for(begin(opened, **members)[0], BOUND_S)


@pytest.mark.parametrize("speaks", ERAS)
async def test_calls_are_answered_each_its_own_in_any_order(speaks: Speaks) -> None:
    async with Server(speaks, tools__call=silence) as server, session(server) as opened:
        tasks = [begin(opened, params={"name": str(n)})[0] for n in range(50)]
        await server.until("tools/call", 50)
        for asked in reversed([a for a in server.heard if a.method == "tools/call"]):
            asked.answer({"resultType": "complete", "is": asked.params["name"]})
        outcomes = await asyncio.gather(*tasks)
        assert [o.result["is"] for o in outcomes if isinstance(o, Complete)] == [str(n) for n in range(50)]


async def test_each_era_gets_its_own_kind_of_request() -> None:
    async with Server("stateless") as newer, session(newer) as opened:
        await run(opened, params={"name": "echo", "_meta": {"traceparent": "00"}})
        params = (await newer.until("tools/call")).params
        assert params["_meta"] == {
            "traceparent": "00",
            **ENVELOPE,
            "io.modelcontextprotocol/clientInfo": {"name": "test"},
        }
    async with Server("handshake") as older, session(older) as opened:
        await run(opened, params={"name": "echo", "_meta": {"traceparent": "00"}})
        assert (await older.until("tools/call")).params == {"name": "echo", "_meta": {"traceparent": "00"}}


# --- time ---


@pytest.mark.parametrize("speaks", ERAS)
async def test_a_silent_server_is_given_up_at_the_deadline_and_told_so(speaks: Speaks) -> None:
    async with Server(speaks, tools__call=silence) as server, session(server) as opened:
        outcome = await run(opened, within_s=0.05)
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.sent) == (1504, "unknown")
        asked = await server.until("tools/call")
        assert (await server.until("notifications/cancelled")).params["requestId"] == asked.id
        asked.answer(OK)
        assert isinstance(await run(opened, within_s=0.05), Failed)
        assert opened.strays == 1


async def test_a_call_whose_deadline_has_passed_ends_at_once() -> None:
    async with Server(tools__call=silence) as server, session(server) as opened:
        outcome = await run(opened, within_s=-1.0)
        assert isinstance(outcome, Failed)
        assert outcome.code == 1504


async def test_progress_gives_as_much_time_again_up_to_the_hardest_limit() -> None:
    beating = asyncio.get_running_loop()

    def beat(asked: Asked, number: int = 0) -> None:
        asked.progress(number)
        if not cancelled(asked):
            beating.call_later(0.03, beat, asked, number + 1)

    def cancelled(asked: Asked) -> bool:
        return any(a.params.get("requestId") == asked.id for a in asked.server.heard)

    async with Server(tools__call=beat) as server, session(server, max_deadline_s=0.4) as opened:
        began_s = beating.time()
        task, ears = begin(opened, within_s=0.15, wants_progress=True)
        outcome = await asyncio.wait_for(task, BOUND_S)
        took_s = beating.time() - began_s
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.sent) == (1504, "unknown")
        assert took_s > 0.35
        assert len(ears.events) > 5
        await server.until("notifications/cancelled")


async def test_progress_never_shortens_what_was_given() -> None:
    def noisy(asked: Asked) -> None:
        asked.progress(1)
        asyncio.get_running_loop().call_later(0.2, asked.answer, {"tools": []})

    given = Server(tools__list=noisy, tools__call=noisy)
    async with given as server, session(server, max_deadline_s=0.05) as opened:
        deadline_s = asyncio.get_running_loop().time() + BOUND_S
        assert isinstance(await opened.ask("tools/list", {}, deadline_s), rpc.Response)
        assert isinstance(await run(opened), Complete)


async def test_only_who_wants_progress_hears_it_under_no_token_of_ours() -> None:
    def worked(asked: Asked) -> None:
        asked.progress(1)
        asked.progress(2, token="forged")
        asked.answer(OK)

    async with Server(tools__call=worked) as server, session(server) as opened:
        task, ears = begin(opened, wants_progress=True)
        await task
        assert ears.events == [Event("notifications/progress", {"progress": 1})]
        task, ears = begin(opened)
        await task
        assert ears.events == []


# --- giving up ---


@pytest.mark.parametrize("speaks", ERAS)
async def test_a_cancelled_call_is_cancelled_at_the_server_too(speaks: Speaks) -> None:
    async with Server(speaks, tools__call=silence) as server, session(server) as opened:
        task, _ = begin(opened)
        asked = await server.until("tools/call")
        task.cancel()
        note = await server.until("notifications/cancelled")
        assert note.message == {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": asked.id, "reason": "the caller cancelled"},
        }
        asked.answer(OK)
        server.on = {}
        assert isinstance(await run(opened), Complete)
        assert opened.strays == 1


async def test_a_request_of_our_own_that_takes_too_long_is_a_timeout_and_initialize_is_never_cancelled() -> None:
    async with Server(tools__list=silence) as server, session(server) as opened:
        with pytest.raises(TimeoutError):
            await opened.ask("tools/list", {}, asyncio.get_running_loop().time() + 0.05)
        await server.until("notifications/cancelled")


# --- death ---


@pytest.mark.parametrize("speaks", ERAS)
async def test_when_the_server_dies_every_open_call_ends_and_nobody_knows_whether_it_ran(speaks: Speaks) -> None:
    async with Server(speaks, tools__call=silence) as server, session(server) as opened:
        tasks = [begin(opened)[0] for _ in range(20)]
        await server.until("tools/call", 20)
        server.drop()
        outcomes = await asyncio.wait_for(asyncio.gather(*tasks), BOUND_S)
        assert set(map(repr, outcomes)) == {
            repr(Failed(1502, "upstream: ended before it answered; it may have run", "unknown"))
        }
        assert opened.ended.result() == "closed by the peer"
        assert await run(opened) == Failed(1502, "upstream: its line is closed, so nothing was sent", "no")
        with pytest.raises(LinkClosed):
            await opened.ask("tools/list", {}, asyncio.get_running_loop().time() + 1)


async def test_whoever_is_woken_by_the_loss_finds_the_session_gone() -> None:
    async with Server(tools__call=die) as server, session(server) as opened:
        task, _ = begin(opened)
        gone: list[bool] = []
        task.add_done_callback(lambda _: gone.append(opened.ended.done()))
        await task
        assert gone == [True]


async def test_a_dead_server_leaves_no_exception_that_nobody_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    async with Server(tools__call=silence, logging__setLevel=silence) as server, session(server) as opened:
        task, _ = begin(opened, log_level="debug")
        await server.until("tools/call")
        server.drop()
        await task
    del task, opened
    import gc

    gc.collect()
    assert [r for r in caplog.records if r.name == "asyncio" and r.levelno >= logging.ERROR] == []


async def test_a_log_level_that_was_refused_is_asked_for_again_by_the_next_call() -> None:
    async with Server(logging__setLevel=errors(-32603)) as server, session(server) as opened:
        for _ in range(2):
            await begin(opened, log_level="debug")[0]
        del server.on["logging/setLevel"]
        for _ in range(2):
            await begin(opened, log_level="debug")[0]
        assert [asked.method for asked in server.heard].count("logging/setLevel") == 3


# --- strays ---

NOISE: dict[str, Callable[[Asked], None]] = {
    "a log line": garbage(b"starting up..."),
    "an empty line": garbage(b""),
    "a batch": garbage(b'[{"jsonrpc":"2.0","id":2,"result":{}}]'),
    "an unknown id": lambda a: a.say({"id": 999, "result": OK}),
    "our id as text": lambda a: a.say({"id": str(a.id), "result": OK}),
    "no id": lambda a: a.say({"result": OK}),
    "an error about nothing": lambda a: a.say({"id": None, "error": {"code": -32700, "message": "m"}}),
    "foreign progress": lambda a: a.progress(1, token=999),
    "duplicate keys": lambda a: a.garbage(b'{"jsonrpc":"2.0","id":%d,"id":%d,"result":{}}' % (a.id, a.id)),
    "NaN": lambda a: a.garbage(b'{"jsonrpc":"2.0","id":%d,"result":{"a":NaN}}' % a.id),
    "a lone surrogate": lambda a: a.garbage(rb'{"jsonrpc":"2.0","id":%d,"result":{"a":"\ud800"}}' % a.id),
    "deep nesting": lambda a: a.garbage(b"[" * 10_000),
    "a giant frame": lambda a: a.garbage(b'"' + b"x" * (4 * 1024 * 1024) + b'"'),
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
async def test_what_belongs_to_nothing_is_counted_and_touches_no_call(noise: Hook) -> None:
    def noisy(asked: Asked) -> None:
        noise(asked)
        asked.answer(OK)

    async with Server(tools__call=noisy) as server, session(server) as opened:
        assert await run(opened) == Complete(OK, b'{"content":[]}')
        assert opened.strays == 1


async def test_a_second_answer_is_a_stray() -> None:
    def stammering(asked: Asked) -> None:
        asked.answer(OK)
        asked.answer({"content": ["other"]})

    async with Server(tools__call=stammering) as server, session(server) as opened:
        assert await run(opened) == Complete(OK, b'{"content":[]}')
        assert isinstance(await run(opened), Complete)
        assert opened.strays == 2


@pytest.mark.parametrize("broken", [{"result": []}, {"result": "x"}, {}, {"result": {}, "error": {}}, {"error": 1}])
async def test_a_broken_answer_ends_its_call_at_once_and_no_other(broken: Json) -> None:
    async with Server(tools__call=silence) as server, session(server) as opened:
        hit, _ = begin(opened)
        spared, _ = begin(opened)
        first, second = await server.until("tools/call"), await server.until("tools/call", 2)
        first.say({"id": first.id, **broken})
        outcome = await asyncio.wait_for(hit, BOUND_S)
        assert isinstance(outcome, Failed)
        assert "a broken answer" in outcome.message
        second.answer(OK)
        assert isinstance(await spared, Complete)


# --- what a server asks and tells ---


async def test_a_server_that_asks_is_told_that_nothing_was_offered_and_ping_is_answered() -> None:
    def asks(asked: Asked) -> None:
        asked.say({"id": asked.id, "method": "sampling/createMessage", "params": {}})
        asked.say({"id": "r", "method": "roots/list"})
        asked.say({"id": "p", "method": "ping"})
        asked.answer(OK)

    async with Server(tools__call=asks) as server, session(server) as opened:
        assert isinstance(await run(opened), Complete)
        await server.when(lambda: True)
        await opened.ask("ping", {}, asyncio.get_running_loop().time() + BOUND_S)
        error = {"code": -32601, "message": "client: no such capability was declared"}
        assert server.replies[-3:] == [
            {"jsonrpc": "2.0", "id": (await server.until("tools/call")).id, "error": error},
            {"jsonrpc": "2.0", "id": "r", "error": error},
            {"jsonrpc": "2.0", "id": "p", "result": {}},
        ]


async def test_log_messages_go_to_the_one_open_call_that_wants_them() -> None:
    def chatty(asked: Asked) -> None:
        for level in ("debug", "info", "error", "shouted"):
            asked.log(level, level)
        asked.answer(OK)

    notes = Notes()
    async with Server("stateless", tools__call=chatty) as server, session(server, notes) as opened:
        task, ears = begin(opened, log_level="info")
        await task
        assert [e.params["data"] for e in ears.events] == ["info", "error"]
        task, ears = begin(opened)
        await task
        assert ears.events == []
    assert notes == []


async def test_log_messages_that_could_be_of_two_calls_reach_neither() -> None:
    notes = Notes()
    async with Server("stateless", tools__call=silence) as server, session(server, notes) as opened:
        (one, ears), (two, other) = begin(opened, log_level="debug"), begin(opened, log_level="debug")
        second = await server.until("tools/call", 2)
        second.log("error", "whose?")
        for asked in [a for a in server.heard if a.method == "tools/call"]:
            asked.answer(OK)
        await asyncio.gather(one, two)
        assert (ears.events, other.events) == ([], [])
        assert notes == [("notifications/message", {"level": "error", "data": "whose?"})]


async def test_a_session_of_the_handshake_era_is_as_verbose_as_anybody_asked_for() -> None:
    async with Server("handshake") as server, session(server) as opened:
        for level in ("error", "info", "warning", "debug", "info"):
            await run(opened, log_level=level)
        levels = [a.params["level"] for a in server.heard if a.method == "logging/setLevel"]
        assert levels == ["error", "info", "debug"]


async def test_notifications_that_belong_to_no_call_are_passed_on() -> None:
    notes = Notes()
    async with Server() as server, session(server, notes) as opened:
        server.tell("notifications/tools/list_changed")
        await opened.ask("ping", {}, asyncio.get_running_loop().time() + BOUND_S)
    assert notes == [("notifications/tools/list_changed", {})]


async def test_an_error_of_the_server_is_a_failed_call_that_was_sent() -> None:
    async with Server(tools__call=errors(-32602, "unknown tool", {"a": 1})) as server, session(server) as opened:
        assert await run(opened) == Failed(-32602, "unknown tool", "yes", {"a": 1})


async def test_a_question_of_a_stateless_server_to_whom_nothing_was_offered_fails_the_call() -> None:
    question = {"resultType": "input_required", "inputRequests": {"q": {"method": "elicitation/create"}}}
    async with Server("stateless", tools__call=answers(question)) as server, session(server) as opened:
        said = "upstream: asks for input that nobody offered to give: elicitation.form was not declared"
        assert await run(opened) == Failed(1502, said, "yes")
