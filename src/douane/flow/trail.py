"""What is known of a call in flight: the trail the runner keeps, the ear it carries, and what serves a call."""

from collections.abc import Awaitable, Callable
from time import perf_counter_ns as now_ns
from typing import Literal, NamedTuple, Protocol

import msgspec

from ..protocol.call import JSON, Call, Event
from ..protocol.outcome import Outcome

__all__ = ["Did", "Emit", "Handler", "Noted", "Observer", "Pausable", "Step", "Trail"]

Did = Literal["passed", "rewrote", "answered", "refused", "revised", "broke", "cancelled"]


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
    endpoint: str = ""
    """The virtual server it came by, which RECORD of that one notes."""
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


class Pausable(Protocol):
    """The stream a caller is answered on, where it comes again for the rest when that is closed."""

    def pause(self, retry_ms: int | None = None) -> None:
        """Close it while the call goes on. The caller comes again after that many milliseconds at the earliest."""
        ...


class Emit(msgspec.Struct, frozen=True):
    """The caller's ear while a call runs. Calling it is synchronous and never waits; it carries the call's trail."""

    deliver: Callable[[Event], None]
    trail: Trail
    stream: Pausable | None = None

    def __call__(self, event: Event) -> None:
        self.deliver(event)


Handler = Callable[[Call, Emit], Awaitable[Outcome]]
"""What serves a call: a router, a toolbox, a session with a peer. A chain is one too."""
Observer = Callable[[Call, Outcome, Trail], None]
"""Told afterwards; no stage, and its faults touch nothing."""
