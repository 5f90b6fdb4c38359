"""A server that asks in mid-call, and callers that can be asked: each call alone on a session that offers what it does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace
from peers import ANNA, BOUND_S, CAPABILITIES, Asked, Ears, Hook, Json, Server, answers, call, errors, tool

from douane.gateway.interactive import Asking
from douane.gateway.leases import Bounds
from douane.gateway.upstream import Times, Upstream
from douane.protocol import apps
from douane.protocol.call import Call, Event, Principal
from douane.protocol.outcome import Complete, Failed, InputRequired, Outcome, Refused
from douane.registry.catalog import Catalog
from douane.registry.naming import Naming
from douane.sdk.connect import open_line
from douane.sdk.respondent import Respondent
from douane.sdk.session import Noted, Session

FORM: Json = {
    "method": "elicitation/create",
    "params": {"message": "who?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
MODEL: Json = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 9}}
ROOTS: Json = {"method": "roots/list", "params": {}}
OFFER = {"elicitation": {"form": {}}}
BOB = Principal("bob")
YES = {"action": "accept", "content": {"name": "anna"}}
TIMES = Times(start_timeout_s=1.0, first_pause_s=0.02, refresh_s=60.0, idle_stop_s=60.0, refresh_pause_s=0.0)
BOUNDS = Bounds(1, 4, 8)
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "scripted"}}
ASKING = Asking(window_s=0.0, bounds=BOUNDS)


def asks(*questions: Json) -> Hook:
    """A tool that asks one after the other, and then tells what it was told."""
    return lambda asked: _spawn(asked, [[question] for question in questions])


def asks_at_once(*questions: Json) -> Hook:
    return lambda asked: _spawn(asked, [list(questions)])


_running: set["asyncio.Task[None]"] = set()
_ids = count(1)


def _spawn(asked: Asked, rounds: list[list[Json]]) -> None:
    task = asyncio.get_running_loop().create_task(_ask(asked, rounds))
    _running.add(task)
    task.add_done_callback(_running.discard)


async def _ask(asked: Asked, rounds: list[list[Json]]) -> None:
    told: list[Json] = []
    for questions in rounds:
        ids = [next(_ids) for _ in questions]
        for id_, question in zip(ids, questions, strict=True):
            asked.say({"id": id_, **question})
        told += [await _reply(asked, id_) for id_ in ids]
    asked.answer({"content": [], "structuredContent": {"told": told}})


async def _reply(asked: Asked, id_: int) -> Json:
    replies = asked.server.replies
    await asked.server.when(lambda: any(reply["id"] == id_ for reply in replies))
    reply = next(reply for reply in replies if reply["id"] == id_)
    return reply.get("result") or {"error": reply["error"]["code"]}


class House:
    """One upstream over a scripted server that asks."""

    def __init__(self, server: Server, asking: Asking, times: Times) -> None:
        self.server, self.catalog = server, Catalog()
        self.abandoned: list[Call] = []
        self.upstream = Upstream(
            "files",
            self.open_session,
            catalog=self.catalog,
            naming=Naming("files", "files_"),
            starts=asyncio.Semaphore(1),
            times=times,
            stops_when_idle=True,
            asking=replace(asking, abandoned=lambda call, _: self.abandoned.append(call)),
        )

    async def open_session(self, noted: Noted, respondent: Respondent) -> Session:
        return await open_line(
            self.server.open,
            client={"name": "t"},
            noted=noted,
            start_timeout_s=1.0,
            patience_s=0.02,
            max_deadline_s=BOUND_S,
            respondent=respondent,
        )

    def call(self, of: Principal = ANNA, name: str = "echo", **members: Any) -> Call:
        item = self.catalog.find("tools", f"files_{name}")
        digest = item.digest if item is not None else ""
        members.setdefault("capabilities", OFFER)
        asked = call(params={"name": name, "arguments": {}}, digest=digest, upstream="files", **members)
        return replace(asked, principal=of)

    async def run(self, asked: Call, heard: Callable[[Event], None] = lambda _: None) -> Outcome:
        emit = replace(Ears(asked).emit, deliver=heard)
        return await asyncio.wait_for(self.upstream(asked, emit), BOUND_S)

    async def asked(self, asked: Call) -> tuple[Call, dict[str, Json]]:
        """The call that brings answers to what `asked` is asked, without them, and what that is."""
        outcome = await self.run(asked)
        assert isinstance(outcome, InputRequired), outcome
        return replace(asked, id="c2", state=outcome.state), dict(outcome.asks)

    @property
    def offers(self) -> list[Json]:
        """What each session was opened with, beside the extensions, which all of them declare."""
        hellos = [asked.params["capabilities"] for asked in self.server.heard if asked.method == "initialize"]
        assert all(hello["extensions"] == apps.OFFERED for hello in hellos)
        return [{name: said for name, said in hello.items() if name != "extensions"} for hello in hellos]


@asynccontextmanager
async def house(hook: Hook, asking: Asking = ASKING, times: Times = TIMES, **on: Hook) -> AsyncIterator[House]:
    async with Server(tools__call=hook, **on) as server:
        made = House(server, asking, times)
        try:
            await asyncio.wait_for(made.upstream.start(), BOUND_S)
            yield made
        finally:
            await made.upstream.aclose()
            for task in tuple(_running):
                task.cancel()
            await server.when(lambda: server.open_lines == 0)


def told(outcome: Outcome) -> Any:
    assert isinstance(outcome, Complete), outcome
    return outcome.result["structuredContent"]["told"]


async def test_a_question_in_mid_call_ends_the_call_and_its_answer_goes_on_where_it_stopped() -> None:
    # T1
    async with house(asks(FORM, FORM)) as at:
        again, questions = await at.asked(at.call())
        assert questions == {"elicitation-1": FORM}
        again, questions = await at.asked(replace(again, answers={"elicitation-1": YES}))
        assert questions == {"elicitation-2": FORM}
        outcome = await at.run(replace(again, answers={"elicitation-2": {"action": "decline"}}))
        assert told(outcome) == [YES, {"action": "decline"}]
        assert at.server.methods().count("tools/call") == 1
        assert at.offers == [{}, OFFER]


async def test_what_is_asked_at_once_is_one_round() -> None:
    async with house(asks_at_once(FORM, FORM, FORM), replace(ASKING, window_s=0.05)) as at:
        again, questions = await at.asked(at.call())
        assert list(questions) == ["elicitation-1", "elicitation-2", "elicitation-3"]
        outcome = await at.run(replace(again, answers=dict.fromkeys(questions, YES)))
        assert told(outcome) == [YES, YES, YES]


async def test_a_question_that_its_own_call_does_not_wait_for_is_refused_when_that_ends() -> None:
    def asks_and_answers(asked: Asked) -> None:
        asked.say({"id": next(_ids), **FORM})
        asked.answer({"content": []})

    async with house(asks_and_answers) as it:
        assert isinstance(await it.run(it.call()), Complete)
        await it.server.when(lambda: bool(it.server.replies))
        assert it.server.replies[0]["result"] == {"action": "cancel"}


async def test_a_server_may_name_its_questions() -> None:
    named = {**FORM, "params": {**FORM["params"], "_meta": {"douane/inputKey": "user_name"}}}
    async with house(asks_at_once(named, named), replace(ASKING, window_s=0.05)) as at:
        again, questions = await at.asked(at.call())
        assert questions == {"user_name": FORM, "elicitation-1": FORM}
        assert told(await at.run(replace(again, answers=dict.fromkeys(questions, YES)))) == [YES, YES]


async def test_a_session_that_cannot_be_opened_fails_its_call_unsent_and_holds_nothing_up() -> None:
    async with house(answers({"content": []})) as at:
        at.server.on["initialize"] = errors(-32603, "no licence for /home/anna")
        for _ in range(3):
            outcome = await at.run(at.call())
            assert isinstance(outcome, Failed)
            assert (outcome.code, outcome.sent) == (1502, "no")
            assert "licence" not in outcome.message
        del at.server.on["initialize"]
        assert isinstance(await at.run(at.call()), Complete)


async def test_a_session_is_kept_for_the_same_caller_with_the_same_offer_and_nobody_else() -> None:
    async with house(asks(FORM)) as at:
        for of in (ANNA, ANNA, BOB, ANNA):
            again, questions = await at.asked(at.call(of))
            assert told(await at.run(replace(again, answers=dict.fromkeys(questions, YES)))) == [YES]
        again, _ = await at.asked(at.call(capabilities={"elicitation": {"form": {}, "url": {}}}))
        assert at.offers == [{}, OFFER, OFFER, {"elicitation": {"form": {}, "url": {}}}]
        assert at.server.open_lines == 4


async def test_who_can_be_asked_nothing_shares_the_plain_session() -> None:
    async with house(answers({"content": []})) as at:
        for capabilities in ({}, {"sampling": {}}, {"roots": {}}, {"experimental": {"elicitation": {}}}):
            assert isinstance(await at.run(at.call(capabilities=capabilities)), Complete)
        assert at.offers == [{}]


@pytest.mark.parametrize(
    ("kinds", "declared", "offered"),
    [
        ((), {"elicitation": {}, "sampling": {}}, None),
        (("elicitation",), {"elicitation": {}, "sampling": {}, "roots": {}}, {"elicitation": {"form": {}}}),
        (("sampling",), {"elicitation": {}, "sampling": {"tools": {}}}, {"sampling": {"tools": {}}}),
        (("elicitation", "roots"), {"roots": {"listChanged": True}, "tasks": {}}, {"roots": {}}),
    ],
)
async def test_an_upstream_is_offered_what_both_the_caller_and_the_operator_allow(
    kinds: Any, declared: Json, offered: Json | None
) -> None:
    async with house(answers({"content": []}), replace(ASKING, kinds=kinds)) as at:
        await at.run(at.call(capabilities=declared))
        assert at.offers == [{}, *([offered] if offered is not None else [])]


async def test_a_question_outside_of_any_call_is_refused_and_reaches_nobody() -> None:
    # T2
    async with house(answers({"content": []})) as at:
        await at.run(at.call())
        leased = at.server.heard[-1]
        leased.say({"id": "late", **FORM})
        await at.server.when(lambda: bool(at.server.replies))
        assert at.server.replies[0]["error"]["code"] == -32601


async def test_a_definition_that_changes_while_its_call_waits_for_a_session_is_not_called() -> None:
    # T17
    async with house(asks(FORM)) as at:
        busy, questions = await at.asked(at.call())
        waiting: list[Asked] = []
        at.server.on["initialize"] = waiting.append
        old = at.call(BOB)
        opening = asyncio.get_running_loop().create_task(at.run(old))
        await at.server.when(lambda: bool(waiting))
        changed = asyncio.Event()
        at.catalog.on_change.append(lambda _: changed.set())
        at.server.tools = [tool("echo", description="what it says of itself now")]
        at.server.tell("notifications/tools/list_changed")
        await asyncio.wait_for(changed.wait(), BOUND_S)
        del at.server.on["initialize"]
        waiting[0].answer(HELLO)
        outcome = await asyncio.wait_for(opening, BOUND_S)
        assert isinstance(outcome, Refused)
        assert (outcome.code, "has changed since it was listed" in outcome.reason) == (-32602, True)
        assert at.server.methods().count("tools/call") == 1
        assert isinstance(await at.run(replace(busy, answers=dict.fromkeys(questions, YES))), Refused)


async def test_a_question_on_the_shared_session_is_refused_and_the_other_calls_go_on() -> None:
    # T2
    async with house(asks(FORM)) as at:
        outcomes = await asyncio.gather(*(at.run(at.call(capabilities={})) for _ in range(3)))
        assert [told(outcome) for outcome in outcomes] == [[{"error": -32601}]] * 3


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        (
            {"properties": {"name": {"type": "string", "minLength": "3"}}},
            "field 'name' has a 'minLength' that is no number",
        ),
        ({"properties": {"name": 3}}, "field 'name' must be an object"),
        ({"properties": []}, "a form is an object with properties"),
        ({"required": 3}, "`required` must list fields of the form"),
        (3, "a form is an object with properties"),
    ],
)
async def test_a_form_that_no_answer_could_be_held_against_is_refused_where_it_is_asked(
    schema: Any, fault: str
) -> None:
    misshapen = {**FORM, "params": {"message": "who?", "requestedSchema": schema}}
    async with house(asks(misshapen)) as at:
        assert told(await at.run(at.call())) == [{"error": -32601}]

    def hook(asked: Asked) -> None:
        asked.answer({"resultType": "input_required", "inputRequests": {"mine": misshapen}})

    async with Server("stateless", tools__call=hook) as server:
        at = House(server, ASKING, TIMES)
        try:
            await asyncio.wait_for(at.upstream.start(), BOUND_S)
            outcome = await at.run(at.call())
            assert isinstance(outcome, Failed)
            assert outcome.message.endswith(f"what is asked is no question: {fault}")
        finally:
            await at.upstream.aclose()


async def test_calls_that_may_ask_wait_for_one_another_where_one_session_is_allowed() -> None:
    running: list[Asked] = []
    async with house(running.append) as at:
        calls = [asyncio.create_task(at.run(at.call())) for _ in range(3)]
        for number in range(1, 4):
            await at.server.until("tools/call", number)
            assert len(running) == number
            running[-1].answer({"content": []})
        assert [type(outcome) for outcome in await asyncio.gather(*calls)] == [Complete] * 3
        assert at.offers == [{}, OFFER]


async def test_a_call_that_waits_for_an_answer_does_not_hold_up_the_next() -> None:
    async with house(asks(FORM)) as at:
        rounds = [await at.asked(at.call()) for _ in range(3)]
        for again, questions in reversed(rounds):
            assert told(await at.run(replace(again, answers=dict.fromkeys(questions, YES)))) == [YES]
        assert at.offers == [{}, OFFER, OFFER, OFFER]


async def test_who_waits_too_long_for_a_session_is_told_what_holds_it() -> None:
    async with house(asks(FORM), replace(ASKING, bounds=Bounds(1, 1, 8))) as at:
        await at.asked(at.call())
        outcome = await at.run(at.call(within_s=0.05))
        said = "upstream files: all its sessions for calls that may be asked something are in use"
        assert outcome == Failed(1502, f"{said}; its calls wait for answers", "no")


async def test_the_session_unused_for_longest_gives_way_and_those_in_use_do_not() -> None:
    async with house(asks(FORM), replace(ASKING, bounds=Bounds(1, 1, 2))) as at:
        held, questions = await at.asked(at.call(ANNA))
        for name in ("bob", "carla", "dora"):
            again, _ = await at.asked(at.call(Principal(name)))
            await at.run(replace(again, answers=dict.fromkeys(questions, YES)))
        await at.server.when(lambda: at.server.open_lines == 3)
        assert told(await at.run(replace(held, answers=dict.fromkeys(questions, YES)))) == [YES]


async def test_a_session_that_nobody_uses_any_more_is_ended() -> None:
    async with house(asks(FORM), times=replace(TIMES, idle_stop_s=0.1)) as at:
        again, questions = await at.asked(at.call())
        await at.run(replace(again, answers=dict.fromkeys(questions, YES)))
        await at.server.when(lambda: at.server.open_lines == 0)


async def test_when_nobody_answers_the_server_is_told_and_the_call_is_written_down_as_abandoned() -> None:
    # T3
    async with house(asks(FORM), replace(ASKING, ttl_s=0.05)) as at:
        again, questions = await at.asked(at.call())
        await at.server.when(lambda: bool(at.server.replies))
        assert at.server.replies[0]["result"] == {"action": "cancel"}
        await at.server.when(lambda: at.server.open_lines == 1)
        assert [(of.root, of.method) for of in at.abandoned] == [("c1", "tools/call")]
        late = await at.run(replace(again, answers=dict.fromkeys(questions, YES)))
        assert isinstance(late, Refused)
        assert late.code == -32602
        assert at.server.methods().count("tools/call") == 1


async def test_a_server_that_will_not_hear_that_nobody_answers_has_its_call_cancelled() -> None:
    # T3
    def stubborn(asked: Asked) -> None:
        asked.say({"id": "q", **MODEL})

    asking = replace(ASKING, kinds=("sampling",), ttl_s=0.05)
    async with house(stubborn, asking) as at:
        await at.asked(at.call(capabilities={"sampling": {}}))
        cancelled = await at.server.until("notifications/cancelled")
        called = await at.server.until("tools/call")
        assert cancelled.params["requestId"] == called.id
        assert at.server.replies[0]["error"]["code"] == 1499


async def test_a_call_that_its_caller_gives_up_is_cancelled_and_its_session_with_it() -> None:
    def silent(asked: Asked) -> None:
        return

    async with house(silent) as at:
        task = asyncio.create_task(at.run(at.call()))
        called = await at.server.until("tools/call")
        task.cancel()
        cancelled = await at.server.until("notifications/cancelled")
        assert cancelled.params["requestId"] == called.id
        await at.server.when(lambda: at.server.open_lines == 1)
        assert at.abandoned == []


async def test_what_the_server_says_while_the_caller_is_away_is_told_when_it_comes_back() -> None:
    # T11
    def gives_up(asked: Asked) -> None:
        asked.say({"id": "q", **FORM})
        asked.progress(1)
        asked.log("error", "nobody answered")
        asked.note("notifications/cancelled", {"requestId": "q"})
        asked.answer({"content": [], "structuredContent": {"told": ["late"]}, "isError": True})

    heard: list[Event] = []
    async with house(gives_up) as at:
        outcome = await at.run(at.call(wants_progress=True, log_level="info"), heard.append)
        if isinstance(outcome, InputRequired):
            again = at.call(state=outcome.state, answers=dict.fromkeys(outcome.asks, YES))
            outcome = await at.run(again, heard.append)
        assert told(outcome) == ["late"]
        assert [event.method for event in heard] == ["notifications/progress", "notifications/message"]


async def test_a_server_that_never_stops_asking_is_given_up() -> None:
    # T29
    async with house(asks(*[FORM] * 5), replace(ASKING, max_rounds=3)) as at:
        again, questions = await at.asked(at.call())
        for _ in range(2):
            again, questions = await at.asked(replace(again, answers=dict.fromkeys(questions, YES)))
        outcome = await at.run(replace(again, answers=dict.fromkeys(questions, YES)))
        assert outcome == Failed(1502, "upstream: still asking after 3 rounds", "yes")
        await at.server.when(lambda: at.server.open_lines == 1)


async def test_a_session_that_had_ended_unnoticed_is_replaced_before_anything_is_sent() -> None:
    async with house(asks(FORM)) as at:
        again, questions = await at.asked(at.call())
        await at.run(replace(again, answers=dict.fromkeys(questions, YES)))
        await at.server.lose_lines()
        again, _ = await at.asked(at.call())
        assert at.server.methods().count("tools/call") == 2


async def test_a_server_that_dies_in_mid_call_fails_it_and_it_is_not_made_again() -> None:
    async with house(lambda asked: asked.die()) as at:
        outcome = await at.run(at.call())
        assert outcome == Failed(1502, "upstream: ended before it answered; it may have run", "unknown")
        assert at.server.methods().count("tools/call") == 1


async def test_a_server_that_dies_while_the_caller_thinks_fails_the_call_when_it_comes_back() -> None:
    async with house(asks(FORM)) as at:
        again, questions = await at.asked(at.call())
        await at.server.lose_lines()
        outcome = await at.run(replace(again, answers=dict.fromkeys(questions, YES)))
        assert outcome == Failed(1502, "upstream: ended before it answered; it may have run", "unknown")


async def test_pages_that_a_call_needs_are_asked_for_and_the_call_is_made_again() -> None:
    page = {"mode": "url", "url": "https://x.example/", "message": "agree", "elicitationId": "e"}
    calls: list[Asked] = []

    def hook(asked: Asked) -> None:
        calls.append(asked)
        if len(calls) == 1:
            asked.error(-32042, "first", {"elicitations": [page]})
        else:
            asked.answer({"content": [], "structuredContent": {"told": "done"}})

    async with house(hook) as at:
        again, questions = await at.asked(at.call(capabilities={"elicitation": {"url": {}}}))
        shown = {"mode": "url", "url": "https://x.example/", "message": "agree"}
        assert questions == {"page-1": {"method": "elicitation/create", "params": shown}}
        assert told(await at.run(replace(again, answers={"page-1": {"action": "accept"}}))) == "done"
        assert len(calls) == 2
        calls.clear()
        again, questions = await at.asked(at.call(capabilities={"elicitation": {"url": {}}}))
        outcome = await at.run(replace(again, answers={"page-1": {"action": "cancel"}}))
        assert isinstance(outcome, Refused)
        assert len(calls) == 1


async def test_roots_asked_for_outside_of_a_call_are_the_operators() -> None:
    def at_once(asked: Asked) -> None:
        asked.say({"id": "r", **ROOTS})

    asking = replace(ASKING, roots=({"uri": "file:///srv"},))
    async with house(answers({"content": []}), asking, notifications__initialized=at_once) as at:
        await at.server.when(lambda: bool(at.server.replies))
        assert at.server.replies[0]["result"] == {"roots": [{"uri": "file:///srv"}]}
        await at.run(at.call())
        assert at.offers == [{"roots": {}}, {"elicitation": {"form": {}}, "roots": {}}]


async def test_the_roots_of_a_caller_are_asked_for_in_its_call() -> None:
    asking = replace(ASKING, kinds=("roots",), roots=({"uri": "file:///srv"},))
    async with house(asks(ROOTS), asking) as at:
        again, questions = await at.asked(at.call(capabilities={"roots": {}}))
        mine = {"roots": [{"uri": "file:///home/anna"}]}
        assert told(await at.run(replace(again, answers=dict.fromkeys(questions, mine)))) == [mine]
        assert told(await at.run(at.call(capabilities={}))) == [{"roots": [{"uri": "file:///srv"}]}]


async def test_a_tool_that_is_shown_only_to_who_can_be_asked_is_listed_and_refused_to_the_others() -> None:
    def lists(asked: Asked) -> None:
        hello = [a for a in asked.server.heard if a.method == "initialize" and a.link is asked.link][-1]
        more = [tool("wizard")] if "elicitation" in hello.params["capabilities"] else []
        asked.answer({"tools": [tool("echo"), *more]})

    asking = replace(ASKING, lists=True)
    async with house(asks(FORM), asking, tools__list=lists) as at:
        assert [item.exposed for item in at.catalog.items("tools")] == ["files_echo", "files_wizard"]
        both = {"elicitation": {"form": {}, "url": {}}}
        assert at.offers == [{}, both]
        outcome = await at.run(at.call(name="wizard", capabilities={}))
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.data) == (-32021, {"requiredCapabilities": {"elicitation": {}}})
        again, questions = await at.asked(at.call(name="wizard", capabilities=both))
        assert told(await at.run(replace(again, answers=dict.fromkeys(questions, YES)))) == [YES]
        # The session it was listed on was nobody's yet.
        assert at.offers == [{}, both]


async def test_the_questions_of_a_stateless_server_pass_with_its_state_and_are_offered_for_each_call() -> None:
    rounds: list[Json] = []

    def hook(asked: Asked) -> None:
        rounds.append(asked.params)
        if "requestState" in asked.params:
            asked.answer({"resultType": "complete", "content": []})
        else:
            asked.answer({"resultType": "input_required", "inputRequests": {"mine": FORM}, "requestState": " ☂="})

    async with Server("stateless", tools__call=hook) as server:
        at = House(server, ASKING, TIMES)
        try:
            await asyncio.wait_for(at.upstream.start(), BOUND_S)
            offer = {"elicitation": {"form": {}}, "sampling": {}}
            again, questions = await at.asked(at.call(capabilities=offer))
            assert questions == {"mine": FORM}
            assert again.state == " ☂="
            assert isinstance(await at.run(replace(again, answers={"mine": YES})), Complete)
            assert isinstance(await at.run(at.call(capabilities={}, state="x")), Complete)
            assert [said["_meta"][CAPABILITIES] for said in rounds] == [OFFER, OFFER, {}]
            assert rounds[1]["requestState"] == " ☂="
            assert rounds[1]["inputResponses"] == {"mine": YES}
        finally:
            await at.upstream.aclose()
