"""The chain keeps the promises, not its interceptors: order, failing closed, onward once, and the whole trail."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from douane.flow.chain import Chain, Emit, Gate, Handler, Interceptor, Onward, Stage, Step, Trail, Wrap
from douane.protocol.call import Call, Event, Principal
from douane.protocol.outcome import Complete, Failed, Outcome, Refused

CALL = Call(id="c1", root="c1", method="tools/call", params={}, principal=Principal("anna"))
BROKEN = Failed(-32603, "gateway: a control failed, so the call is refused (call c1)", "no")
DONE = Complete({"seen": []})


class Ears:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.trail = Trail(CALL)
        self.emit = Emit(self.events.append, self.trail)

    def did(self) -> list[tuple[str, str]]:
        return [(step.name, step.did) for step in self.trail.steps]


def event(number: int) -> Event:
    return Event("notifications/progress", {"progress": number})


def marked(call: Call, name: str) -> Call:
    return replace(call, params={**call.params, name: len(call.params)})


def revised(outcome: Outcome, name: str) -> Outcome:
    return Complete({"seen": [*outcome.result["seen"], name]}) if isinstance(outcome, Complete) else outcome


async def end(call: Call, emit: Emit) -> Outcome:
    emit(event(1))
    emit(event(2))
    return Complete({"seen": list(call.params)})


async def run(interceptors: list[Interceptor], end_: Handler = end, **options: Any) -> tuple[Outcome, Ears]:
    ears = Ears()
    return await Chain(interceptors, end_, **options)(CALL, ears.emit), ears


def rewriting(name: str, stage: Stage) -> Gate:
    return Gate(name, stage, lambda call: marked(call, name), lambda _, outcome: revised(outcome, name))


def passing(name: str, stage: Stage = Stage.RECORD) -> Wrap:
    async def around(call: Call, onward: Onward) -> Outcome:
        return await onward(call)

    return Wrap(name, stage, around)


def raising(*_: Any) -> Any:
    raise LookupError("secret of the house")


async def test_order_comes_from_the_stage_and_never_from_the_configuration() -> None:
    gates: list[Interceptor] = [rewriting(stage.name, stage) for stage in Stage]
    forth, ears = await run(gates)
    back, _ = await run(gates[::-1])
    order = [stage.name for stage in Stage]
    assert forth == back == Complete({"seen": [*order, *order[::-1]]})
    assert ears.did() == [(n, "rewrote") for n in order] + [(n, "revised") for n in order[::-1]]
    assert list(ears.trail.call.params) == order


async def test_interceptors_of_one_stage_keep_the_order_they_were_given_in() -> None:
    outcome, _ = await run([rewriting("a", Stage.GUARD), rewriting("b", Stage.GUARD)])
    assert outcome == Complete({"seen": ["a", "b", "b", "a"]})


async def test_only_the_gates_that_let_a_call_through_see_how_it_ends() -> None:
    seen: list[str] = []

    def seeing(name: str) -> Callable[[Call, Outcome], Outcome]:
        return lambda _, outcome: seen.append(name) or outcome  # type: ignore[func-returns-value]

    no = Refused(1403, "policy: no")
    gates: list[Interceptor] = [
        Gate("first", Stage.LIMIT, lambda c: c, seeing("first")),
        Gate("quiet", Stage.LIMIT, None, seeing("quiet")),
        Gate("no", Stage.POLICY, lambda _: no, seeing("no")),
        Gate("after", Stage.GUARD, lambda c: c, seeing("after")),
    ]
    outcome, ears = await run(gates)
    assert outcome is no
    assert seen == ["quiet", "first"]
    assert [step[:2] + step[3:] for step in ears.trail.steps] == [("first", "passed", ""), ("no", "refused", no.reason)]


async def test_a_gate_may_answer_and_leave_notes() -> None:
    def hold(call: Call, trail: Trail) -> Outcome:
        trail.rule = "r1"
        return DONE

    outcome, ears = await run([Gate("cache", Stage.CACHE, hold=hold)])
    assert (outcome, ears.did(), ears.trail.rule) == (DONE, [("cache", "answered")], "r1")


async def test_only_what_waited_has_taken_time() -> None:
    async def later(call: Call, trail: Trail) -> Call:
        await asyncio.sleep(0)
        return call

    no = Refused(1403, "policy: no")
    _, ears = await run([Gate("slow", Stage.LIMIT, hold=later), Gate("no", Stage.POLICY, lambda _: no)])
    slow, refused = ears.trail.steps
    assert (slow.name, slow.took_ns > 0, refused.name, refused.took_ns) == ("slow", True, "no", 0)


async def test_a_gate_that_closes_sees_the_call_last_and_may_wait() -> None:
    seen: list[Outcome] = []

    async def later(outcome: Outcome) -> Outcome:
        await asyncio.sleep(0)
        return revised(outcome, "closed")

    def close(call: Call, outcome: Outcome, trail: Trail) -> Awaitable[Outcome]:
        seen.append(outcome)
        return later(outcome)

    outcome, ears = await run([Gate("record", Stage.RECORD, close=close), rewriting("inner", Stage.GUARD)])
    assert seen == [Complete({"seen": ["inner", "inner"]})]
    assert outcome == Complete({"seen": ["inner", "inner", "closed"]})
    assert ears.did() == [("inner", "rewrote"), ("inner", "revised"), ("record", "revised")]


async def test_who_let_a_call_through_is_told_that_it_was_cancelled_and_nobody_else() -> None:
    told: list[str] = []
    started = asyncio.Event()

    async def stuck(call: Call, trail: Trail) -> Call:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    def cut(name: str) -> Callable[[Trail], None]:
        return lambda trail: told.append(f"{name} {trail.call.id}")

    ears = Ears()
    gates: list[Interceptor] = [
        Gate("record", Stage.RECORD, cut=cut("record")),
        Gate("faulty", Stage.LIMIT, cut=raising),
        Gate("held", Stage.GUARD, hold=stuck, cut=cut("held")),
        Gate("after", Stage.APPROVE, cut=cut("after")),
    ]
    task = asyncio.create_task(Chain(gates, end)(CALL, ears.emit))  # type: ignore[arg-type]
    await started.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert (told, ears.did()) == (["record c1"], [("held", "cancelled")])


async def test_a_cancellation_while_an_outcome_is_held_back_is_told_to_those_outside_of_who_holds_it() -> None:
    told: list[str] = []
    started = asyncio.Event()

    async def holding(call: Call, outcome: Outcome, trail: Trail) -> Outcome:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    ears = Ears()
    gates: list[Interceptor] = [
        Gate("record", Stage.RECORD, cut=lambda _: told.append("record")),
        Gate("holding", Stage.GUARD, close=holding, cut=lambda _: told.append("holding")),
        Gate("inside", Stage.APPROVE, cut=lambda _: told.append("inside")),
    ]
    task = asyncio.create_task(Chain(gates, end)(CALL, ears.emit))  # type: ignore[arg-type]
    await started.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert (told, ears.did()) == (["record"], [("holding", "cancelled")])


# --- failing closed ---


async def before(call: Call, onward: Onward) -> Outcome:
    return raising()


async def after(call: Call, onward: Onward) -> Outcome:
    await onward(call)
    return raising()


async def twice(call: Call, onward: Onward) -> Outcome:
    await onward(call)
    return await onward(call)


async def raising_later(call: Call, trail: Trail) -> Call:
    return raising()


async def forgetting(call: Call, trail: Trail) -> Any: ...


async def nothing(call: Call, onward: Onward) -> Any:
    await onward(call)


FAULTY: dict[str, Interceptor] = {
    "check raises": Gate("bad", Stage.GUARD, raising),
    "check forgets to return": Gate("bad", Stage.GUARD, lambda _: None),  # type: ignore[arg-type,return-value]
    "check says yes instead of a call": Gate("bad", Stage.GUARD, lambda _: True),  # type: ignore[arg-type,return-value]
    "hold raises": Gate("bad", Stage.GUARD, hold=raising_later),
    "hold forgets to return": Gate("bad", Stage.GUARD, hold=forgetting),
    "hold that need not wait raises": Gate("bad", Stage.GUARD, hold=raising),
    "close raises": Gate("bad", Stage.GUARD, close=raising),
    "close raises later": Gate("bad", Stage.GUARD, close=lambda *_: raising_later(CALL, Trail(CALL))),  # type: ignore[arg-type,return-value]
    "close forgets to return": Gate("bad", Stage.GUARD, close=lambda *_: None),  # type: ignore[arg-type,return-value]
    "review raises": Gate("bad", Stage.GUARD, None, raising),
    "review forgets to return": Gate("bad", Stage.GUARD, None, lambda *_: None),  # type: ignore[arg-type,return-value]
    "hear raises": Gate("bad", Stage.GUARD, hear=raising),
    "wrap raises before": Wrap("bad", Stage.GUARD, before),
    "wrap raises after": Wrap("bad", Stage.GUARD, after),
    "wrap forgets to return": Wrap("bad", Stage.GUARD, nothing),
    "wrap goes on twice": Wrap("bad", Stage.GUARD, twice),
}


@pytest.mark.parametrize("faulty", FAULTY.values(), ids=FAULTY)
@pytest.mark.parametrize("company", [[], [passing("record")], [rewriting("outer", Stage.LIMIT)]])
async def test_a_control_that_fails_refuses_the_call_wherever_it_failed(
    faulty: Interceptor, company: list[Interceptor]
) -> None:
    outcome, ears = await run([*company, faulty])
    assert outcome == BROKEN
    assert ("bad", "broke") in ears.did()
    assert "secret" not in repr(outcome)


@pytest.mark.parametrize(
    "what",
    [
        "check raises",
        "check forgets to return",
        "check says yes instead of a call",
        "hold raises",
        "hold that need not wait raises",
        "wrap raises before",
    ],
)
async def test_a_control_that_fails_before_the_call_lets_nothing_through(what: str) -> None:
    reached: list[Call] = []

    async def end_(call: Call, emit: Emit) -> Outcome:
        reached.append(call)
        return DONE

    await run([FAULTY[what]], end_, dispatches=True)
    assert reached == []


@pytest.mark.parametrize("what", ["review raises", "close raises", "hear raises", "wrap raises after"])
async def test_a_control_that_fails_after_dispatch_says_that_the_call_may_have_run(what: str) -> None:
    outcome, _ = await run([FAULTY[what]], dispatches=True)
    assert outcome == replace(BROKEN, sent="unknown")


async def test_an_end_that_raises_is_a_failed_call_that_every_gate_and_wrap_sees() -> None:
    seen: list[Outcome] = []
    release = Gate("limit", Stage.LIMIT, lambda c: c, lambda _, outcome: seen.append(outcome) or outcome)  # type: ignore[func-returns-value]
    outcome, ears = await run([passing("record"), release], raising, dispatches=True)
    assert outcome == replace(BROKEN, sent="unknown")
    assert seen == [outcome]
    assert ears.did() == [("limit", "passed"), ("end", "broke"), ("record", "passed")]


async def test_after_a_broken_ear_the_caller_hears_nothing_more() -> None:
    def once(call: Call, heard: Event) -> Event:
        return heard if heard == event(1) else raising()

    outcome, ears = await run([Gate("ear", Stage.GUARD, hear=once)])
    assert (outcome, ears.events) == (BROKEN, [event(1)])


async def test_a_broken_review_is_still_reviewed_by_the_gates_outside_it() -> None:
    seen: list[Outcome] = []
    outer = Gate("outer", Stage.LIMIT, None, lambda _, outcome: seen.append(outcome) or outcome)  # type: ignore[func-returns-value]
    assert (await run([outer, FAULTY["review raises"]]))[0] == BROKEN
    assert seen == [BROKEN]


# --- onward ---


async def test_a_wrap_that_says_so_may_go_on_again() -> None:
    outcome, ears = await run([Wrap("retry", Stage.RESILIENCE, twice, repeats=True)])
    assert outcome == Complete({"seen": []})
    assert len(ears.events) == 4


async def test_what_a_wrap_did_is_seen_from_outside() -> None:
    async def rewrote(call: Call, onward: Onward) -> Outcome:
        return await onward(marked(call, "w"))

    async def answered(call: Call, onward: Onward) -> Outcome:
        return DONE

    async def refused(call: Call, onward: Onward) -> Outcome:
        return Refused(1, "why")

    async def changed(call: Call, onward: Onward) -> Outcome:
        return revised(await onward(call), "w")

    for around, did in ((rewrote, "rewrote"), (answered, "answered"), (refused, "refused"), (changed, "revised")):
        _, ears = await run([Wrap("w", Stage.APPROVE, around), passing("p")])
        assert ears.did() == [("w", did), ("p", "passed")]


async def test_a_cancelled_call_has_a_whole_trail() -> None:
    started = asyncio.Event()

    async def stuck(call: Call, emit: Emit) -> Outcome:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    ears = Ears()
    inner = Chain([passing("intent", Stage.INTENT)], stuck, dispatches=True)
    chain = Chain([passing("record"), rewriting("gate", Stage.GUARD)], inner)
    task = asyncio.create_task(chain(CALL, ears.emit))  # type: ignore[arg-type]
    await started.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert ears.did() == [("gate", "rewrote"), ("intent", "cancelled"), ("record", "cancelled")]
    assert ears.trail.sent


async def test_a_call_cancelled_while_a_gate_holds_it_goes_no_further() -> None:
    held = asyncio.Event()

    async def hold(call: Call, trail: Trail) -> Call:
        held.set()
        await asyncio.Event().wait()
        raise AssertionError

    ears = Ears()
    chain = Chain([passing("record"), Gate("intent", Stage.INTENT, hold=hold)], end, dispatches=True)
    task = asyncio.create_task(chain(CALL, ears.emit))  # type: ignore[arg-type]
    await held.wait()
    task.cancel()
    await asyncio.wait({task})
    assert (ears.did(), ears.trail.sent) == ([("intent", "cancelled"), ("record", "cancelled")], False)


# --- chains in chains ---


async def test_the_inner_chain_writes_the_same_trail_and_marks_what_was_sent() -> None:
    sent: list[bool] = []

    async def peer(call: Call, emit: Emit) -> Outcome:
        sent.append(emit.trail.sent)
        return DONE

    def not_yet(call: Call) -> Call:
        sent.append(ears.trail.sent)
        return call

    ears = Ears()
    inner = Chain([Gate("deadline", Stage.RESILIENCE, not_yet), passing("intent", Stage.INTENT)], peer, dispatches=True)
    front = Chain([passing("record"), rewriting("resolve", Stage.RESOLVE)], inner)
    await front(CALL, ears.emit)
    assert sent == [False, True]
    assert ears.did() == [
        ("resolve", "rewrote"),
        ("deadline", "passed"),
        ("intent", "passed"),
        ("resolve", "revised"),
        ("record", "passed"),
    ]


async def test_a_front_chain_alone_sends_nothing() -> None:
    _, ears = await run([passing("record")])
    assert not ears.trail.sent


async def test_observers_are_told_once_and_their_faults_touch_nothing() -> None:
    told: list[tuple[Call, Outcome, list[Step]]] = []

    def watch(call: Call, outcome: Outcome, trail: Trail) -> None:
        told.append((call, outcome, trail.steps))

    outcome, ears = await run([rewriting("g", Stage.GUARD)], observers=[raising, watch])
    assert outcome == Complete({"seen": ["g", "g"]})
    assert told == [(ears.trail.call, outcome, ears.trail.steps)]
    assert list(told[0][0].params) == ["g"]


# --- compiled and naive ---

CHECKS: dict[str, Any] = {"none": None, "pass": lambda c: c, "refuse": lambda _: Refused(1, "no"), "raise": raising}
REVIEWS: dict[str, Any] = {"none": None, "pass": lambda _, o: o, "raise": raising}
HEARS: dict[str, Any] = {
    "none": None,
    "pass": lambda _, e: e,
    "drop": lambda _, e: None if e.params["progress"] == 1 else e,
    "double": lambda _, e: event(e.params["progress"] * 2),
    "raise": raising,
}


def waiting(check: Callable[[Call], Call | Outcome]) -> Callable[[Call, Trail], Awaitable[Call | Outcome]]:
    async def hold(call: Call, trail: Trail) -> Call | Outcome:
        await asyncio.sleep(0)
        return check(call)

    return hold


@st.composite
def interceptors(draw: st.DrawFn) -> Interceptor:
    name, stage = draw(st.sampled_from("abcdef")), draw(st.sampled_from(Stage))
    if draw(st.booleans()):
        checks = CHECKS | {"rewrite": lambda call: marked(call, name)}
        reviews = REVIEWS | {"revise": lambda _, outcome: revised(outcome, name)}
        check = checks[draw(st.sampled_from(["none", "pass", "rewrite", "pass", "rewrite", "refuse", "raise"]))]
        waits = check is not None and draw(st.booleans())
        return Gate(
            name,
            stage,
            None if waits else check,
            reviews[draw(st.sampled_from(["none", "pass", "revise", "revise", "raise"]))],
            HEARS[draw(st.sampled_from(["none", "none", "pass", "drop", "double", "raise"]))],
            hold=waiting(check) if waits else None,
        )
    mode = draw(st.sampled_from(["pass", "rewrite", "revise", "refuse", "before", "after"]))

    async def around(call: Call, onward: Onward) -> Outcome:
        if mode in ("refuse", "before"):
            return Refused(1, "no") if mode == "refuse" else raising()
        outcome = await onward(marked(call, name) if mode == "rewrite" else call)
        if mode == "after":
            raising()
        return revised(outcome, name) if mode == "revise" else outcome

    return Wrap(name, stage, around)


async def naive(stack: list[Interceptor], call: Call, emit: Callable[[Event], None]) -> Outcome:
    """The onion as one would draw it: each layer around the next, nothing compiled."""
    if not stack:
        return await end(call, emit)  # type: ignore[arg-type]
    layer, rest = stack[0], stack[1:]
    if isinstance(layer, Wrap):

        async def onward(call: Call) -> Outcome:
            return await naive(rest, call, emit)

        try:
            return await layer.around(call, onward)  # type: ignore[arg-type]
        except LookupError:
            return BROKEN
    try:
        got = call if layer.check is None else layer.check(call)
        if layer.hold is not None:
            got = await layer.hold(call, Trail(call))  # type: ignore[misc]
        if not isinstance(got, Call):
            return got
        broke = False

        def hearing(heard: Event) -> None:
            nonlocal broke
            try:
                said = heard if broke or layer.hear is None else layer.hear(got, heard)
            except LookupError:
                broke, said = True, None
            if said is not None and not broke:
                emit(said)

        outcome = await naive(rest, got, hearing)
        if broke:
            outcome = BROKEN
        return outcome if layer.review is None else layer.review(got, outcome)
    except LookupError:
        return BROKEN


@given(st.lists(interceptors(), max_size=8))
def test_any_mix_behaves_like_the_onion_as_one_would_draw_it(mix: list[Interceptor]) -> None:
    async def both() -> None:
        outcome, ears = await run(mix)
        events: list[Event] = []
        assert outcome == await naive(sorted(mix, key=lambda i: i.stage), CALL, events.append)
        assert ears.events == events

    asyncio.run(both())
