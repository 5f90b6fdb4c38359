"""The chain: every interceptor a call passes, in one order, under one runner.

An interceptor is a `Gate` (functions that look at a call, an outcome or an event) or a `Wrap` (one coroutine around the
rest, for what must wait on the way back too). The chain is compiled once: neighbouring gates become one loop, because
every coroutine between the door and the peer is paid for at each wait.

The runner, not the interceptors, keeps the promises:

- order comes from `Stage`, never from the order of configuration;
- an interceptor that raises, or returns what is neither call nor outcome, has failed closed (`Failed`, never
  retryable), wherever it did; so has an end that raises;
- `onward` runs once, unless the wrap says `repeats=True`;
- the trail is observed, not declared: a stage cannot forget to report.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from time import perf_counter_ns as now_ns
from typing import Literal, NamedTuple

import msgspec

from ..protocol.call import Call, Event
from ..protocol.outcome import Complete, Deferred, Failed, InputRequired, Outcome, Refused
from ..wire.codes import INTERNAL_ERROR

__all__ = [
    "Chain",
    "Emit",
    "Gate",
    "Handler",
    "Interceptor",
    "Observer",
    "Onward",
    "Stage",
    "Step",
    "Trail",
    "Wrap",
]

logger = logging.getLogger(__name__)

_OUTCOMES = frozenset({Complete, InputRequired, Deferred, Refused, Failed})
Did = Literal["passed", "rewrote", "answered", "refused", "revised", "broke", "cancelled"]


class Stage(IntEnum):
    """Where an interceptor stands, outermost first. This list is the order."""

    RECORD = 10
    RESOLVE = 20
    LIMIT = 30
    POLICY = 40
    GUARD = 50
    APPROVE = 60
    """After everything that rewrites: people approve what will be sent."""
    CACHE = 70
    # Above: the front chain, ends in a router or a view. Below: the inner chain, one per upstream.
    RESILIENCE = 80
    INTENT = 90
    """The log holds the call before the peer does."""
    BIND = 100


class Step(NamedTuple):
    """What one interceptor was seen to do."""

    name: str
    did: Did
    took_ns: int
    reason: str = ""


class Trail:
    """The story of one call, written by the runner; `notes` holds what stages want the record to say."""

    __slots__ = ("call", "notes", "returned", "seen", "sent")

    def __init__(self, call: Call) -> None:
        self.call = call
        """The call as it last stood."""
        self.seen: list[tuple[str, Did, int, str]] = []
        """The steps as the runner notes them; naming them costs more than most of them took."""
        self.notes: dict[str, str | int] = {}
        """Typed by key: `decision`, `rule`, `policy` (digest), `intent` (leaf index), `attempts`, `shown` (digest of a list)."""
        self.sent = False
        """True once the call was handed towards the peer."""
        self.returned: Outcome | None = None
        """What the innermost part of the chain that has ended handed back; how a wrap is judged."""

    @property
    def steps(self) -> list[Step]:
        return [Step(*step) for step in self.seen]


class Emit:
    """The caller's ear while a call runs. Calling it is synchronous and never waits; it carries the call's trail."""

    __slots__ = ("_deliver", "trail")

    def __init__(self, deliver: Callable[[Event], None], trail: Trail) -> None:
        self._deliver = deliver
        self.trail = trail

    def __call__(self, event: Event) -> None:
        self._deliver(event)


Handler = Callable[[Call, Emit], Awaitable[Outcome]]
"""What serves a call: a router, a toolbox, a session with a peer. A chain is one too."""
Observer = Callable[[Call, Outcome, Trail], None]
"""Told afterwards; no stage, and its faults touch nothing."""


class Gate(msgspec.Struct, frozen=True):
    """An interceptor of functions, each optional. They must not block.

    `check` returns the call (perhaps another) or how it ends instead; `hold` is a check that waits; `review` sees the
    outcome on its way back and returns the one to hand on; `hear` sees each event and returns it, another one, or None
    to drop it.
    """

    name: str
    stage: Stage
    check: Callable[[Call], Call | Outcome] | None = None
    review: Callable[[Call, Outcome], Outcome] | None = None
    hear: Callable[[Call, Event], Event | None] | None = None
    note: Callable[[Call, Trail], None] | None = None
    """Called after `check`, whatever it said, to leave notes in the trail."""
    hold: Callable[[Call, Trail], Awaitable[Call | Outcome]] | None = None
    """Instead of `check`, for what must wait before the call goes on; leaves its notes itself."""


class Wrap(msgspec.Struct, frozen=True):
    """An interceptor that waits: one coroutine around the rest of the chain."""

    name: str
    stage: Stage
    around: "Callable[[Call, Onward], Awaitable[Outcome]]"
    repeats: bool = False
    """May run the rest of the chain more than once (retry)."""


Interceptor = Gate | Wrap


class Onward:
    """The rest of the chain, as one wrap sees it."""

    __slots__ = ("_next", "_repeats", "_seen", "emit")

    def __init__(self, next_: Handler, emit: Emit, repeats: bool) -> None:
        self._next, self._repeats = next_, repeats
        self._seen: Call | None = None
        self.emit = emit

    @property
    def trail(self) -> Trail:
        return self.emit.trail

    def __call__(self, call: Call) -> Awaitable[Outcome]:
        if self._seen is not None and not self._repeats:
            raise RuntimeError("onward called twice")
        self._seen = call
        if call is not self.emit.trail.call:
            self.emit.trail.call = call
        return self._next(call, self.emit)

    def observed(self, call: Call, outcome: Outcome) -> Did:
        """What the wrap did, judged from outside."""
        if self._seen is not None and outcome is self.emit.trail.returned:
            return "passed" if self._seen is call else "rewrote"
        if type(outcome) is Refused:
            return "refused"
        return "answered" if self._seen is None else "revised"


class Chain:
    """Interceptors in stage order around a handler; itself a `Handler`.

    `dispatches` is True for the inner chain, whose end hands the call to a peer.
    """

    def __init__(
        self,
        interceptors: Sequence[Interceptor],
        end: Handler,
        *,
        dispatches: bool = False,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.interceptors = tuple(sorted(interceptors, key=lambda i: i.stage))
        run = _compile(self.interceptors, end, dispatches)
        self._run = _observed(run, tuple(observers)) if observers else run

    def __call__(self, call: Call, emit: Emit) -> Awaitable[Outcome]:
        # Not a coroutine of its own: every frame between the door and the peer is paid at each wait.
        return self._run(call, emit)


def _compile(interceptors: Sequence[Interceptor], end: Handler, dispatches: bool) -> Handler:
    run: Handler | None = None
    gates: list[Gate] = []
    for interceptor in reversed(interceptors):
        if isinstance(interceptor, Gate):
            gates.insert(0, interceptor)
            continue
        # Gates (or, without any, a loop over none) catch what the end raises; a wrap would be blamed for it.
        if gates or run is None:
            run = _through_gates(gates, run or end, dispatches=dispatches and run is None)
            gates = []
        run = _through_wrap(interceptor, run)
    if gates or run is None:
        run = _through_gates(gates, run or end, dispatches=dispatches and run is None)
    return run


def _observed(run: Handler, observers: Sequence[Observer]) -> Handler:
    async def observed(call: Call, emit: Emit) -> Outcome:
        outcome = await run(call, emit)
        for observe in observers:
            try:
                observe(emit.trail.call, outcome, emit.trail)
            except Exception:
                logger.exception("an observer broke on call %s", call.id)
        return outcome

    return observed


def _through_wrap(wrap: Wrap, next_: Handler) -> Handler:
    name, around, repeats = wrap.name, wrap.around, wrap.repeats

    async def run(call: Call, emit: Emit) -> Outcome:
        onward = Onward(next_, emit, repeats)
        trail = emit.trail
        start = now_ns()
        did, reason = "cancelled", ""
        try:
            outcome = _outcome(await around(call, onward))
            did = onward.observed(call, outcome)
            if type(outcome) is Refused:
                reason = outcome.reason
        except Exception as exc:
            did, reason = "broke", type(exc).__name__
            outcome = _broken(name, call, trail)
        finally:
            trail.seen.append((name, did, now_ns() - start, reason))
        trail.returned = outcome
        return outcome

    return run


def _through_gates(gates: Sequence[Gate], next_: Handler, *, dispatches: bool) -> Handler:
    """`dispatches`: `next_` hands the call to a peer."""
    checks = tuple(
        (depth, g.name, g.check, g.hold, g.note)
        for depth, g in enumerate(gates)
        if g.check is not None or g.hold is not None
    )
    reviews = tuple((depth, g.name, g.review) for depth, g in reversed(tuple(enumerate(gates))) if g.review is not None)
    hears = tuple((g.name, g.hear) for g in reversed(gates) if g.hear is not None)

    async def run(call: Call, emit: Emit) -> Outcome:
        trail = emit.trail
        outcome: Outcome | None = None
        reached = len(gates)
        start = now_ns()
        for depth, name, check, hold, note in checks:
            try:
                # A gate has one of the two, or it would not be here.
                got = await hold(call, trail) if check is None else check(call)  # pyright: ignore[reportOptionalCall]
                if got is not call and not isinstance(got, Call):
                    got = _outcome(got)
                if note is not None:
                    note(call, trail)
            except Exception as exc:
                trail.seen.append((name, "broke", now_ns() - start, type(exc).__name__))
                outcome, reached = _broken(name, call, trail), depth
                break
            except asyncio.CancelledError:
                trail.seen.append((name, "cancelled", now_ns() - start, ""))
                raise
            end = now_ns()
            if got is call:
                trail.seen.append((name, "passed", end - start, ""))
            elif isinstance(got, Call):
                trail.seen.append((name, "rewrote", end - start, ""))
                trail.call = call = got
            else:
                did, reason = ("refused", got.reason) if type(got) is Refused else ("answered", "")
                trail.seen.append((name, did, end - start, reason))
                outcome, reached = got, depth
                break
            start = end
        if outcome is None:
            if dispatches:
                trail.sent = True
            try:
                outcome = await (_heard(hears, call, emit, next_) if hears else next_(call, emit))
            except Exception as exc:
                trail.seen.append(("end", "broke", now_ns() - start, type(exc).__name__))
                outcome = _broken("end", call, trail)
        # Only the gates that let the call through see its outcome, the innermost first.
        for depth, name, review in reviews:
            if depth < reached:
                outcome = _reviewed(name, review, call, outcome, trail)
        trail.returned = outcome
        return outcome

    return run


def _outcome(returned: Outcome) -> Outcome:
    # A function that forgets to return must not pass for one that has no objection.
    if type(returned) not in _OUTCOMES:
        raise TypeError(f"returned {type(returned).__name__}, which is no outcome")
    return returned


def _reviewed(
    name: str, review: Callable[[Call, Outcome], Outcome], call: Call, outcome: Outcome, trail: Trail
) -> Outcome:
    start = now_ns()
    try:
        seen = review(call, outcome)
        if seen is not outcome:
            seen = _outcome(seen)
    except Exception as exc:
        trail.seen.append((name, "broke", now_ns() - start, type(exc).__name__))
        return _broken(name, call, trail)
    if seen is not outcome:
        did, reason = ("refused", seen.reason) if type(seen) is Refused else ("revised", "")
        trail.seen.append((name, did, now_ns() - start, reason))
    return seen


async def _heard(
    hears: Sequence[tuple[str, Callable[[Call, Event], Event | None]]], call: Call, emit: Emit, next_: Handler
) -> Outcome:
    """Run the rest with the gates listening. A gate that raises silences the rest of the stream and fails the call."""
    broke = ""

    def deliver(event: Event) -> None:
        nonlocal broke
        if broke:
            return
        for name, hear in hears:
            try:
                heard = hear(call, event)
            except Exception as exc:
                broke = name
                emit.trail.seen.append((name, "broke", 0, type(exc).__name__))
                logger.exception("interceptor %s broke on an event of call %s", name, call.id)
                return
            if heard is None:
                return
            event = heard
        emit(event)

    outcome = await next_(call, Emit(deliver, emit.trail))
    return _broken(broke, call, emit.trail) if broke else outcome


def _broken(name: str, call: Call, trail: Trail) -> Failed:
    logger.error("interceptor %s broke on call %s: the call fails", name, call.id, exc_info=True)
    return Failed(
        INTERNAL_ERROR,
        f"gateway: a control failed, so the call is refused (call {call.id})",
        "unknown" if trail.sent else "no",
    )
