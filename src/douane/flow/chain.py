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
from typing import Literal, NamedTuple, cast

import msgspec

from ..protocol.call import JSON, Call, Event
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
    "Passed",
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
    """How long it waited; 0 for what did not."""
    reason: str = ""


Noted = tuple[str, Did, int, str]
"""A step as it is noted: a named one would take five times as long to make."""


class Trail(msgspec.Struct):
    """The story of one call, written by the runner, with the notes that stages leave for the record."""

    call: Call
    """The call as it last stood."""
    began_ns: int = msgspec.field(default_factory=now_ns)
    """When it came, on `time.perf_counter_ns`."""
    seen: list[Noted] = []
    """The steps, as the runner notes them."""
    sent: bool = False
    """True once the call was handed towards the peer."""
    returned: Outcome | None = None
    """What the innermost part of the chain that has ended handed back; how a wrap is judged."""
    decision: str = ""
    """Of POLICY, with the two below: `allow` or `deny`."""
    rule: str = ""
    policy: str = ""
    """Digest of the policies that decided."""
    intent: int = -1
    """Index of the leaf of INTENT in the log."""
    written: tuple[JSON, bytes] | None = None
    """The params that INTENT wrote down, and their encoding; what is sent need not be encoded again."""
    attempts: int = 0
    """How often it was put to the peer, where that was more than once."""
    shown: str = ""
    """Digest of a list that was shown."""

    @property
    def steps(self) -> list[Step]:
        return [Step(*step) for step in self.seen]


class Emit(msgspec.Struct, frozen=True):
    """The caller's ear while a call runs. Calling it is synchronous and never waits; it carries the call's trail."""

    deliver: Callable[[Event], None]
    trail: Trail

    def __call__(self, event: Event) -> None:
        self.deliver(event)


Handler = Callable[[Call, Emit], Awaitable[Outcome]]
"""What serves a call: a router, a toolbox, a session with a peer. A chain is one too."""
Observer = Callable[[Call, Outcome, Trail], None]
"""Told afterwards; no stage, and its faults touch nothing."""


class Gate(msgspec.Struct, frozen=True):
    """An interceptor of functions, each optional. They must not block.

    `check` returns the call (perhaps another) or how it ends instead; `review` sees the outcome on its way back and
    returns the one to hand on; `hear` sees each event and returns it, another one, or None to drop it.

    `hold` is a check, and `close` a review, that also sees the trail and may wait: it returns what a check or a review
    would, or an awaitable of it.
    """

    name: str
    stage: Stage
    check: Callable[[Call], Call | Outcome] | None = None
    review: Callable[[Call, Outcome], Outcome] | None = None
    hear: Callable[[Call, Event], Event | None] | None = None
    hold: "Callable[[Call, Trail], Passed | Awaitable[Passed]] | None" = None
    """Instead of `check`. Leaves its notes in the trail, whatever it says."""
    close: Callable[[Call, Outcome, Trail], Outcome | Awaitable[Outcome]] | None = None
    """Instead of `review`."""
    cut: Callable[[Trail], None] | None = None
    """Told that the caller has cancelled, after this gate let the call through. Must not wait: nobody does."""


Passed = Call | Outcome
"""What a check says: the call that goes on, or how it ends instead."""


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
        self.run: Handler = _observed(run, tuple(observers)) if observers else run
        """The chain as a plain function, for whoever calls it often."""

    def __call__(self, call: Call, emit: Emit) -> Awaitable[Outcome]:
        # Not a coroutine of its own: every frame between the door and the peer is paid at each wait.
        return self.run(call, emit)


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
    placed = tuple(enumerate(gates))
    # Most gates let the call pass, and naming and timing that would cost more than most of them take.
    checks = tuple(
        (at, g.name, g.check, g.hold, _noted(g.name, "passed"), _noted(g.name, "rewrote"))
        for at, g in placed
        if g.check is not None or g.hold is not None
    )
    closes = tuple((at, g.name, g.review, g.close) for at, g in reversed(placed) if g.review or g.close)
    cuts = tuple((at, g) for at, g in reversed(placed) if g.cut is not None)
    hears = tuple((g.name, g.hear) for g in reversed(gates) if g.hear is not None)
    end = len(gates)

    async def run(call: Call, emit: Emit) -> Outcome:
        trail = emit.trail
        note = trail.seen.append
        at, name, since = 0, "", 0
        try:
            for at, name, check, hold, passed, rewrote in checks:  # noqa: B007 - how far it came is asked afterwards
                # A gate has one of the two, or it would not be here.
                got = check(call) if check is not None else hold(call, trail)  # pyright: ignore[reportOptionalCall]
                if got is call:
                    note(passed)
                elif type(got) is Call:
                    note(rewrote)
                    trail.call = call = got
                else:
                    if type(got) not in _OUTCOMES:
                        since = now_ns()
                        got = await _passed(got)
                        if type(got) is Call:
                            note((name, "passed" if got is call else "rewrote", now_ns() - since, ""))
                            trail.call = call = got
                            continue
                    outcome = cast("Outcome", got)
                    note((name, *_ended(outcome, "answered", since)))
                    break
            else:
                at = end
                if dispatches:
                    trail.sent = True
                outcome = await (_heard(hears, call, emit, next_) if hears else next_(call, emit))
        except Exception as exc:
            name = name if at < end else "end"
            note((name, "broke", 0, type(exc).__name__))
            outcome = _broken(name, call, trail)
        except asyncio.CancelledError:
            if at < end:
                note((name, "cancelled", now_ns() - since if since else 0, ""))
            _cut_off(cuts, at, trail)
            raise
        # Only the gates that let the call through see its outcome, the innermost first.
        for depth, name, review, close in closes:
            if depth < at:
                try:
                    judged = review(call, outcome) if review is not None else close(call, outcome, trail)  # pyright: ignore[reportOptionalCall]
                    if judged is not outcome:
                        since = now_ns()
                        if type(judged) not in _OUTCOMES:
                            judged = _outcome(await cast("Awaitable[Outcome]", judged))
                        if judged is not outcome:
                            outcome = cast("Outcome", judged)
                            note((name, *_ended(outcome, "revised", since)))
                except Exception as exc:
                    note((name, "broke", 0, type(exc).__name__))
                    outcome = _broken(name, call, trail)
        trail.returned = outcome
        return outcome

    return run


def _noted(name: str, did: Did) -> Noted:
    return (name, did, 0, "")


def _ended(outcome: Outcome, otherwise: Did, since_ns: int) -> tuple[Did, int, str]:
    took_ns = now_ns() - since_ns if since_ns else 0
    return ("refused", took_ns, outcome.reason) if type(outcome) is Refused else (otherwise, took_ns, "")


async def _passed(waited: object) -> Passed:
    """What a check that waits says in the end."""
    got = await cast("Awaitable[Passed]", waited)
    return got if type(got) is Call else _outcome(cast("Outcome", got))


def _outcome(returned: Outcome) -> Outcome:
    # A function that forgets to return must not pass for one that has no objection.
    if type(returned) not in _OUTCOMES:
        raise TypeError(f"returned {type(returned).__name__}, which is no outcome")
    return returned


def _cut_off(cuts: Sequence[tuple[int, Gate]], reached: int, trail: Trail) -> None:
    for depth, gate in cuts:
        if depth < reached and gate.cut is not None:
            try:
                gate.cut(trail)
            except Exception:
                logger.exception("interceptor %s broke on the cancellation of call %s", gate.name, trail.call.id)


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
