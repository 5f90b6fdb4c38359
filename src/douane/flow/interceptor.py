"""What stands in a chain: a gate of functions, or a wrap around the rest. Their order is that of their stages."""

from collections.abc import Awaitable, Callable
from enum import IntEnum

import msgspec

from ..protocol.call import Call, Event
from ..protocol.outcome import Outcome, Refused
from .trail import Did, Emit, Handler, Trail

__all__ = ["Gate", "Interceptor", "Onward", "Passed", "Stage", "Wrap"]


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
