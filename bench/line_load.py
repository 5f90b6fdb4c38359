"""A load over standard streams: so many calls open at once, a new one written for each that was answered.

It costs a small part of what it measures, and counts answers instead of reading them; `probe` has looked at one. For
short messages: all that are open must fit into the pipes, which nobody reads while it writes.
"""

import os
import select
import statistics
import time
from collections import deque
from collections.abc import Sequence

from .calls import Shape, greet, message, params, streams
from .started import CannotMeasure, Started

_QUIET_S = 20.0
# Made beforehand; as many as may be open need ids of their own.
_VARIANTS = 128


def drive(subject: Started, shape: Shape, seconds: float) -> dict[str, int]:
    """What wrk would have said: calls, took_us, p50_us, p99_us, bytes. Raises CannotMeasure."""
    greet(subject)
    lines = [message(shape.method, params(subject, shape), id_) + b"\n" for id_ in range(1, _VARIANTS + 1)]
    to, from_ = streams(subject)
    sent, took, size = _Sent(to.fileno(), lines), [], 0
    begun = time.perf_counter()
    sent.write(shape.connections)
    while sent.open:
        if not select.select([from_], [], [], _QUIET_S)[0]:
            raise CannotMeasure(f"{subject.name} left {len(sent.open)} calls over standard streams without an answer")
        chunk = os.read(from_.fileno(), 1 << 20)
        if not chunk:
            raise CannotMeasure(f"{subject.name} ended while it was called over standard streams")
        size += len(chunk)
        now = time.perf_counter()
        answered = chunk.count(b"\n")
        # Answers may overtake one another; that one of them took another's time leaves the middle where it is.
        took += [now - sent.open.popleft() for _ in range(answered)]
        if now - begun < seconds:
            sent.write(answered)
    lasted = time.perf_counter() - begun
    return {
        "calls": len(took),
        "took_us": int(lasted * 1e6),
        "bytes": size,
        "broken": 0,
        "refused": 0,
        **_percentiles(took),
    }


class _Sent:
    """What was written, and when."""

    def __init__(self, to: int, lines: Sequence[bytes]) -> None:
        self.open: deque[float] = deque()
        self._to, self._lines, self._next = to, lines, 0

    def write(self, count: int) -> None:
        batch = b"".join(self._lines[(self._next + number) % len(self._lines)] for number in range(count))
        self._next += count
        now = time.perf_counter()
        while batch:
            batch = batch[os.write(self._to, batch) :]
        self.open.extend([now] * count)


def _percentiles(took_s: Sequence[float]) -> dict[str, int]:
    cuts = statistics.quantiles(took_s, n=100) if len(took_s) > 1 else [*took_s] * 99
    return {"p50_us": int(cuts[49] * 1e6), "p99_us": int(cuts[98] * 1e6)}
