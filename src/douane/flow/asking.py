"""A question of our own before a call goes on, beside whatever its server asks.

Both reach the caller as rounds of one interaction, and neither side ever sees the other's: our keys begin with `RESERVED`,
what is answered to them goes no further, and a server that asks under such a key is at fault. What has been agreed to is part
of the state that the listener seals, with the call and its arguments, so nobody can bring it along from elsewhere.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from ..protocol.call import JSON, Call
from ..protocol.outcome import Failed, InputRequired, Outcome, Refused
from ..wire.codes import UPSTREAM_UNAVAILABLE
from .interceptor import Onward, Stage, Wrap

__all__ = ["RESERVED", "asks_first"]

RESERVED = "douane/"
"""How the keys of our own questions begin."""

_ASKED, _AGREED, _PASSED = _MARKS = "?!."

Question = Callable[[Call], JSON | None]
Verdict = Callable[[Call, Any], Refused | None]


class _Stood(NamedTuple):
    """How far an interaction has come here."""

    agreed: bool
    asked: bool
    inner: str | None
    """The state of whoever asks behind us."""


def asks_first(name: str, stage: Stage, question: Question, verdict: Verdict) -> Wrap:
    """An interceptor that puts `question` to the caller, once in an interaction, and goes on as `verdict` says.

    `question`: a request that may be asked of clients (`elicitation/create` and the like), or None: nothing is asked.
    `verdict`: whether the answer is good enough; it comes as the caller sent it, and may be anything.
    """
    key = RESERVED + name

    async def around(call: Call, onward: Onward) -> Outcome:
        stood = _read(name, call.state)
        asked = None if stood.agreed else question(call)
        if asked is not None:
            if not stood.asked or key not in call.answers:
                return InputRequired({key: asked}, _write(name, _ASKED, stood.inner))
            refusal = verdict(call, call.answers[key])
            if refusal is not None:
                return refusal
        outcome = _sound(await onward(_beyond(call, stood.inner)))
        if type(outcome) is not InputRequired:
            return outcome
        # Marked always: a server whose state came back as it gave it could say there that somebody has agreed.
        mark = _AGREED if stood.agreed or asked is not None else _PASSED
        return InputRequired(outcome.asks, _write(name, mark, outcome.state), outcome.abandon)

    return Wrap(name, stage, around)


def _beyond(call: Call, inner: str | None) -> Call:
    """`call` as those behind us see it."""
    theirs = {key: answer for key, answer in call.answers.items() if not key.startswith(RESERVED)}
    if inner == call.state and len(theirs) == len(call.answers):
        return call
    return replace(call, answers=theirs, state=inner)


def _sound(outcome: Outcome) -> Outcome:
    if type(outcome) is not InputRequired or not any(key.startswith(RESERVED) for key in outcome.asks):
        return outcome
    if outcome.abandon is not None:
        outcome.abandon()
    said = f"upstream: asks under a key that begins with {RESERVED}, which is kept for the gateway's own questions"
    return Failed(UPSTREAM_UNAVAILABLE, said, "yes")


def _write(name: str, how: str, inner: str | None) -> str:
    return f"{RESERVED}{name}{how}" + ("" if inner is None else f"+{inner}")


def _read(name: str, state: str | None) -> _Stood:
    mark, state = f"{RESERVED}{name}", state or ""
    how, inner = state[len(mark) : len(mark) + 1], state[len(mark) + 2 :]
    if not state.startswith(mark) or how not in _MARKS:
        return _Stood(agreed=False, asked=False, inner=state or None)
    return _Stood(how == _AGREED, how == _ASKED, inner if len(state) > len(mark) + 1 else None)
