"""RESILIENCE, first part: nobody waits without an end. The session that carries the call keeps the deadline.

Progress extends it by as much again, up to the upstream's `max_deadline_s`; the caller's earlier deadline stands.
"""

from collections.abc import Callable

from msgspec.structs import replace

from ..flow.chain import Gate, Stage
from ..protocol.call import Call

__all__ = ["make"]


def make(deadline_s: float, clock: Callable[[], float]) -> Gate:
    """`clock` is the event loop's."""

    def check(call: Call) -> Call:
        at_s = clock() + deadline_s
        if call.deadline_s is not None and call.deadline_s <= at_s:
            return call
        return replace(call, deadline_s=at_s)

    return Gate("deadline", Stage.RESILIENCE, check)
