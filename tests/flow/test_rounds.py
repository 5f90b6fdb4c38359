"""Questions in mid-call: parked under a token that works once, for one caller, for a while; or driven for the caller."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from douane.flow.chain import Emit, Trail
from douane.flow.rounds import AnswerFault, Parking, Unanswered, drive_rounds
from douane.protocol.call import JSON, Call, Event, Principal
from douane.protocol.outcome import Complete, Failed, InputRequired, Outcome, Refused

CALL = Call(id="c1", root="c1", method="tools/call", params={}, principal=Principal("anna"))
EMIT = Emit(lambda _: None, Trail(CALL))
BOUND_S = 5.0
LOST = Refused(
    -32602, "client: this interaction is lost: it expired, ended, or was of another process; start the call again"
)


class Conversation:
    """A call open at a server that asks for each of `asks` in turn (`a+b`: both at once), then says what it was told."""

    def __init__(self, *asks: str) -> None:
        self.asks = [ask.split("+") for ask in asks]
        self.told: list[JSON] = []
        self.serves: list[str] = []
        self.abandoned = asyncio.Event()
        self.stuck = False

    async def next(self) -> Outcome:
        if self.stuck:
            await asyncio.Event().wait()
        return InputRequired({ask: {} for ask in self.asks.pop(0)}) if self.asks else Complete({"told": self.told})

    async def answer(self, call: Call, emit: Emit) -> None:
        if "raise" in call.answers.values():
            raise ConnectionError
        if "nonsense" in call.answers.values():
            raise AnswerFault("the answer to 'name' is nonsense")
        self.told.append(call.answers)
        self.serves.append(call.id)

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
    for thief in (Principal("bert"), Principal("anna", tenant="other"), Principal("anna", client="other")):
        assert await handler(resumed(token, {"name": "x"}, thief), EMIT) == LOST
    assert await handler(resumed("guess", {}), EMIT) == LOST
    assert await handler(resumed(token, {"name": "Anna"}), EMIT) == Complete({"told": [{"name": "Anna"}]})
    assert conversation.told == [{"name": "Anna"}]
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
    assert await handler(resumed(token, {"a": 1}), EMIT) == Complete({"told": [{"a": 1}]})
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
    call = resumed((await ask(handler)).state, {"name": "Anna"}) if resumes else CALL
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
        await handler(resumed(token, {"name": "raise"}), EMIT)
    assert conversation.abandoned.is_set()
    await handler.aclose()


async def test_who_sends_the_same_answers_again_is_told_the_same_and_nothing_runs_twice() -> None:  # T4
    conversation = Conversation("name", "age")
    handler = parking(conversation)
    retry = resumed((await ask(handler)).state, {"name": "Anna"})
    second = await ask(handler, retry)
    assert await ask(handler, retry) == second
    last = resumed(second.state, {"age": 7})
    both = await asyncio.gather(handler(last, EMIT), handler(last, EMIT))
    assert both == [Complete({"told": [{"name": "Anna"}, {"age": 7}]})] * 2
    assert await handler(replace(last, principal=Principal("bert")), EMIT) == LOST
    await handler.aclose()


async def test_who_was_cancelled_in_its_retry_is_not_served_by_another() -> None:
    conversation = Conversation("name")
    handler = parking(conversation)
    retry = resumed((await ask(handler)).state, {"name": "Anna"})
    conversation.stuck = True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handler(retry, EMIT), 0.01)
    assert await handler(retry, EMIT) == LOST
    assert conversation.told == [{"name": "Anna"}]
    await handler.aclose()


async def test_what_was_left_out_is_asked_again_and_what_came_is_kept() -> None:  # T9
    conversation = Conversation("name+age")
    handler = parking(conversation)
    token = (await ask(handler)).state
    again = await ask(handler, resumed(token, {"age": 7, "shoe size": 40}))
    assert again.asks == {"name": {}}
    assert await handler(resumed(again.state, {"name": "Anna"}), EMIT) == Complete(
        {"told": [{"age": 7, "name": "Anna"}]}
    )
    await handler.aclose()


async def test_no_more_than_64_kib_of_answers_are_kept_for_the_others_to_come() -> None:
    handler = parking(Conversation("name+age"))
    token = (await ask(handler)).state
    refused = await handler(resumed(token, {"name": "A" * 65_536}), EMIT)
    assert isinstance(refused, Refused)
    assert "together" in refused.reason
    outcome = await handler(resumed(token, {"name": "A" * 65_536, "age": 7}), EMIT)
    assert outcome == Complete({"told": [{"name": "A" * 65_536, "age": 7}]})
    # Nor is what it came to, which is as long.
    assert await handler(resumed(token, {"name": "A", "age": 7}), EMIT) == LOST
    await handler.aclose()


async def test_answers_that_are_none_are_refused_and_better_ones_still_taken() -> None:
    handler = parking(Conversation("name"))
    token = (await ask(handler)).state
    fault = Refused(-32602, "client: the answer to 'name' is nonsense")
    assert await handler(resumed(token, {"name": "nonsense"}), EMIT) == fault
    assert await handler(resumed(token, {"name": "Anna"}), EMIT) == Complete({"told": [{"name": "Anna"}]})
    await handler.aclose()


async def test_the_retry_is_the_call_that_is_served_from_then_on() -> None:
    conversation = Conversation("name")
    handler = parking(conversation)
    retry = replace(resumed((await ask(handler)).state, {"name": "Anna"}), id="c2")
    await handler(retry, EMIT)
    assert conversation.serves == ["c2"]
    await handler.aclose()


async def test_a_caller_can_have_only_so_many_waiting_and_others_still_may() -> None:
    handler = parking(*(Conversation("a") for _ in range(4)), max_per_principal=2)
    for _ in range(2):
        await ask(handler)
    assert isinstance(await handler(CALL, EMIT), Failed)
    bert = await ask(handler, replace(CALL, principal=Principal("bert")))
    assert bert.state is not None
    await handler.aclose()
    assert len(handler) == 0


async def test_a_question_with_a_state_of_its_own_needs_nothing_kept() -> None:
    class Brings(Conversation):
        async def next(self) -> Outcome:
            return InputRequired({"a": {}}, "my own")

    handler = parking(Brings())
    assert await handler(CALL, EMIT) == InputRequired({"a": {}}, "my own")
    assert len(handler) == 0


async def test_who_knows_that_no_answer_will_come_says_so_and_the_call_ends() -> None:
    conversation = Conversation("name")
    handler = parking(conversation)
    question = await ask(handler)
    assert question.abandon is not None
    question.abandon()
    question.abandon()
    await asyncio.wait_for(conversation.abandoned.wait(), BOUND_S)
    assert len(handler) == 0
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

    async def answer(self, questions: Mapping[str, JSON]) -> JSON:
        self.asked.extend(questions)
        return {key: {"to": question["q"]} for key, question in questions.items()}

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def driven(handler: Asking, person: Person, **options: Any) -> Outcome:
    ids = iter(f"c{n}" for n in range(2, 100))
    return await drive_rounds(
        CALL, EMIT, handler, person.answer, pause=person.pause, new_id=lambda: next(ids), **options
    )


async def test_a_caller_who_knows_no_rounds_is_asked_directly() -> None:
    handler = Asking(
        InputRequired({"a": {"q": 1}, "b": {"q": 2}}, "s1"), InputRequired({"c": {"q": 3}}), Complete({"done": 1})
    )
    person = Person()
    assert await driven(handler, person) == Complete({"done": 1})
    assert sorted(person.asked) == ["a", "b", "c"]
    assert handler.calls == [
        CALL,
        replace(CALL, id="c2", answers={"a": {"to": 1}, "b": {"to": 2}}, state="s1", round=1),
        replace(CALL, id="c3", answers={"c": {"to": 3}}, state=None, round=2),
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


async def test_a_person_who_cannot_be_asked_ends_the_call_and_whoever_waited_is_told() -> None:
    told: list[str] = []
    refusal = Refused(-32021, "client: cannot be asked")

    async def nobody(questions: Mapping[str, JSON]) -> JSON:
        raise Unanswered(refusal)

    handler = Asking(InputRequired({"a": {}}, "s", lambda: told.append("abandoned")))
    assert await drive_rounds(CALL, EMIT, handler, nobody) == refusal
    assert told == ["abandoned"]


async def test_each_round_is_a_call_of_its_own_with_a_trail_of_its_own() -> None:
    trails: list[Trail] = []

    async def handler(call: Call, emit: Emit) -> Outcome:
        trails.append(emit.trail)
        return Complete({}) if call.answers else InputRequired({"a": {"q": 1}})

    assert await drive_rounds(CALL, EMIT, handler, Person().answer) == Complete({})
    assert [trail.call.root for trail in trails] == ["c1", "c1"]
    assert trails[0].call.id != trails[1].call.id


class Slow(Conversation):
    """It considers each answer until it is let go on."""

    def __init__(self, *asks: str) -> None:
        super().__init__(*asks)
        self.considers, self.go_on = asyncio.Event(), asyncio.Event()

    async def answer(self, call: Call, emit: Emit) -> None:
        self.considers.set()
        await self.go_on.wait()
        await super().answer(call, emit)


@pytest.mark.parametrize("answer", ["Anna", "nonsense"])
async def test_what_is_being_answered_when_the_parking_closes_is_not_parked_again(answer: str) -> None:
    slow = Slow("name", "age")
    handler = parking(slow)
    first = await ask(handler)
    resuming = asyncio.ensure_future(handler(resumed(first.state, {"name": answer}), EMIT))
    async with asyncio.timeout(BOUND_S):
        await slow.considers.wait()
        await handler.aclose()
        slow.go_on.set()
        assert await resuming == Failed(-32603, "gateway: it is stopping; nobody can be asked any more", "yes")
        await slow.abandoned.wait()
    assert len(handler) == 0
