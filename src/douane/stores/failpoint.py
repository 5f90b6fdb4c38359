"""Named places where a test can make the process die, fail or wait.

    DOUANE_FAILPOINTS='audit.before_commit=sleep:5; audit.after_ack=kill@10'

Actions: `kill` (SIGKILL to oneself), `raise`, `sleep:SECONDS`, `enospc`, `eio`; `@N` acts on the N-th passage
only, otherwise on every one. An unreadable specification stops the import: a test that arms nothing must not
pass. Without the variable nothing is armed; hot places ask `ARMED` first.

*Precedent:* etcd's gofail.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from dataclasses import dataclass


class FailpointHit(Exception):
    """What the action `raise` raises."""


@dataclass(slots=True)
class _Point:
    action: str
    seconds: float
    on: int
    passed: int = 0


def _parsed(text: str) -> dict[str, _Point]:
    points: dict[str, _Point] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, rest = part.partition("=")
        action, _, on = rest.partition("@")
        action, _, seconds = action.partition(":")
        if action not in ("kill", "raise", "sleep", "enospc", "eio") or (action == "sleep") != bool(seconds):
            raise ValueError(f"DOUANE_FAILPOINTS: cannot read {part!r}")
        points[name.strip()] = _Point(action, float(seconds or 0), int(on or 0))
    return points


_POINTS = _parsed(os.environ.get("DOUANE_FAILPOINTS", ""))
ARMED = bool(_POINTS)


def failpoint(name: str) -> None:
    """Do what DOUANE_FAILPOINTS says for `name`; usually nothing."""
    point = _POINTS.get(name)
    if point is None:
        return
    point.passed += 1
    if point.on and point.passed != point.on:
        return
    match point.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sleep":
            time.sleep(point.seconds)
        case "enospc":
            raise OSError(errno.ENOSPC, f"failpoint {name}")
        case "eio":
            raise OSError(errno.EIO, f"failpoint {name}")
        case _:
            raise FailpointHit(name)
