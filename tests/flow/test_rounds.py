"""Questions in mid-call: parked under a token that works once, for one caller, for a while; or driven for the caller."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from douane.flow.chain import Emit, Trail
from douane.flow.rounds import Parking, drive_rounds
from douane.protocol.call import JSON, Call, Event, Principal
from douane.protocol.outcome import Complete, Failed, InputRequired, Outcome, Refused

CALL = Call(id="c1", root="c1", method="tools/call", params={}, principal=Principal("anna"))
EMIT = Emit(lambda _: None, Trail(CALL))
BOUND_S = 5.0


class Conversation:
    """A call open at a server that asks for each of `asks` in turn, then says what it was told."""

    def __init__(self, *asks: str) -> None:
        self.asks = list(asks)
        self.told: list[JSON] = []
        self.abandoned = asyncio.Event()
        self.stuck = False

    async def next(self) -> Outcome:
        if self.stuck:
            await asyncio.Event().wait()
        return InputRequired({self.asks.pop(0): {}}) if self.asks else Complete({"told": self.told})

    async def answer(self, answers: JSON) -> None:
        if "raise" in answers:
            raise ConnectionError
        self.told.append(answers)

    async def abandon(self) -> None:
        self.abandoned.set()


def parking(*conversations: Conversation, **options: Any) -> Parking:
    waiting = list(conversations)

    async def open_(call: Call, emit: Emit) -> Conversation:
        return waiting.pop(0)

    return Parking(open_, **options)


async def ask(handler: Parking, call: Call = CALL) -> InputRequired:
    outcome = await handler(call, EMIT)
    assert isinstance(outcome, InputRequired)
    assert outcome.state is not None
    return outcome


def resumed(token: str | None, answers: JSON, principal: Principal = CALL.principal) -> Call:
    return replace(CALL, state=token, answers=answers, principal=principal)


async def test_a_question_parks_the_call_and_its_answer_resumes_it() -> None:
    handler = parking(Conversation("name", "age"))
    first = await ask(handler)
    second = await ask(handler, resumed(first.state, {"name": "Anna"}))
    assert (first.asks, second.asks) == ({"name": {}}, {"age": {}})
    assert first.state != second.state
    outcome = await handler(resumed(second.state, {"age": 7}), EMIT)
    assert outcome == Complete({"told": [{"name": "Anna"}, {"age": 7}]})
    await handler.aclose()


async def test_a_parked_call_is_bound_to_its_caller_and_works_once() -> None:
    conversation = Conversation("name")
    handler = parking(conversation)
    token = (await ask(handler)).state
    unknown = Refused(-32602, "client: unknown or expired requestState; start the call again")
    for thief in (Principal("bert"), Principal("anna", tenant="other"), Principal("anna", client="other")):
        assert await handler(resumed(token, {"name": "x"}, thief), EMIT) == unknown
    assert await handler(resumed("guess", {}), EMIT) == unknown
    assert await handler(resumed(token, {"name": "Anna"}), EMIT) == Complete({"told": [{"name": "Anna"}]})
    assert await handler(resumed(token, {"name": "Anna"}), EMIT) == unknown
    await handler.aclose()
    assert not conversation.abandoned.is_set()


async def test_a_call_nobody_comes_back_for_is_abandoned_and_its_token_worthless() -> None:
    conversation = Conversation("name")
    handler = parking(conversation, ttl_s=0.01)
    token = (await ask(handler)).state
    await asyncio.wait_for(conversation.abandoned.wait(), BOUND_S)
    assert isinstance(await handler(resumed(token, {}), EMIT), Refused)
    await handler.aclose()


async def test_when_too_many_wait_the_next_is_abandoned_and_told_so() -> None:
    first, second = Conversation("a"), Conversation("b")
    handler = parking(first, second, max_parked=1)
    token = (await ask(handler)).state
    outcome = await handler(CALL, EMIT)
    assert outcome == Failed(-32603, "gateway: too many calls wait for input; try again later", "yes")
    assert second.abandoned.is_set()
    assert await handler(resumed(token, {}), EMIT) == Complete({"told": [{}]})
    await handler.aclose()


async def test_closing_abandons_whatever_is_parked() -> None:
    parked = [Conversation("a") for _ in range(3)]
    handler = parking(*parked)
    for _ in parked:
        await ask(handler)
    await handler.aclose()
    assert all(conversation.abandoned.is_set() for conversation in parked)


@pytest.mark.parametrize("resumes", [False, True])
async def test_a_call_cancelled_while_the_server_thinks_is_abandoned(resumes: bool) -> None:
    conversation = Conversation("name")
    handler = parking(conversation)
    call = resumed((await ask(handler)).state, {}) if resumes else CALL
    conversation.stuck = True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handler(call, EMIT), 0.01)
    assert conversation.abandoned.is_set()
    await handler.aclose()


async def test_an_answer_that_does_not_get_through_leaves_nothing_open() -> None:
    conversation = Conversation("name")
    handler = parking(conversation)
    token = (await ask(handler)).state
    with pytest.raises(ConnectionError):
        await handler(resumed(token, {"raise": True}), EMIT)
    assert conversation.abandoned.is_set()
    await handler.aclose()


# --- driven for a caller who knows no rounds ---


class Asking:
    """A handler that answers with each of `outcomes` in turn, the last one for ever."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[Call] = []

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        self.calls.append(call)
        emit(Event("notifications/progress", {}))
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


class Person:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.pauses: list[float] = []

    async def answer(self, key: str, question: JSON) -> JSON:
        self.asked.append(key)
        return {"to": question["q"]}

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def driven(handler: Asking, person: Person, **options: Any) -> Outcome:
    return await drive_rounds(CALL, EMIT, handler, person.answer, pause=person.pause, **options)


async def test_a_caller_who_knows_no_rounds_is_asked_directly() -> None:
    handler = Asking(
        InputRequired({"a": {"q": 1}, "b": {"q": 2}}, "s1"), InputRequired({"c": {"q": 3}}), Complete({"done": 1})
    )
    person = Person()
    assert await driven(handler, person) == Complete({"done": 1})
    assert sorted(person.asked) == ["a", "b", "c"]
    assert handler.calls == [
        CALL,
        replace(CALL, answers={"a": {"to": 1}, "b": {"to": 2}}, state="s1"),
        replace(CALL, answers={"c": {"to": 3}}, state=None),
    ]


async def test_a_server_that_never_stops_asking_is_stopped() -> None:
    handler, person = Asking(InputRequired({"a": {"q": 1}}, "s")), Person()
    outcome = await driven(handler, person, max_rounds=3)
    assert outcome == Failed(-32603, "upstream: still asking after 3 rounds", "yes")
    assert len(person.asked) == 3


async def test_a_round_that_asks_nothing_waits_longer_each_time_up_to_five_seconds_and_not_for_ever() -> None:
    handler, person = Asking(InputRequired({}, "s")), Person()
    outcome = await driven(handler, person, max_wait_s=20.0)
    assert outcome == Failed(1504, "upstream: no answer within 20 s", "unknown")
    assert person.pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert all(call.state == "s" for call in handler.calls[1:])


async def test_a_question_makes_the_waiting_short_again() -> None:
    nothing, question = InputRequired({}, "s"), InputRequired({"a": {"q": 1}}, "s")
    handler, person = Asking(nothing, nothing, question, nothing, Complete({})), Person()
    assert await driven(handler, person) == Complete({})
    assert person.pauses == [0.05, 0.1, 0.05]
