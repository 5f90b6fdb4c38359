"""The runner: gates compiled into one loop, a wrap around the rest, and what becomes of a part that fails.

Runs for every call, so nothing is looked up that could be known before: a gate that lets a call pass costs its function
and one note.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter_ns as now_ns
from typing import cast

from ..protocol.call import Call, Event
from ..protocol.outcome import Complete, Deferred, Failed, InputRequired, Outcome, Refused
from ..wire.codes import INTERNAL_ERROR
from .interceptor import Gate, Onward, Passed, Wrap
from .trail import Did, Emit, Handler, Noted, Trail

__all__ = ["through_gates", "through_wrap"]

logger = logging.getLogger(__name__)

_OUTCOMES = frozenset({Complete, InputRequired, Deferred, Refused, Failed})


def through_wrap(wrap: Wrap, next_: Handler) -> Handler:
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


def through_gates(gates: Sequence[Gate], next_: Handler, *, dispatches: bool) -> Handler:
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
                            since = 0
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
                except asyncio.CancelledError:
                    # Those outside of it have not seen the outcome, and will not.
                    note((name, "cancelled", now_ns() - since, ""))
                    _cut_off(cuts, depth, trail)
                    raise
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

    outcome = await next_(call, Emit(deliver, emit.trail, emit.stream))
    return _broken(broke, call, emit.trail) if broke else outcome


def _broken(name: str, call: Call, trail: Trail) -> Failed:
    logger.error("interceptor %s broke on call %s: the call fails", name, call.id, exc_info=True)
    return Failed(
        INTERNAL_ERROR,
        f"gateway: a control failed, so the call is refused (call {call.id})",
        "unknown" if trail.sent else "no",
    )
