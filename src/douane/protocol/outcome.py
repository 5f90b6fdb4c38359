"""How a call ends. Exactly five ways; exceptions never cross a stage."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from .call import JSON

__all__ = ["Complete", "Deferred", "Failed", "InputRequired", "Outcome", "Refused", "Sent"]

Sent = Literal["no", "yes", "unknown"]
"""Did the peer get the call? Decides whether a retry can repeat an effect."""

_NOTHING: dict[str, Any] = {}


class Complete(msgspec.Struct, frozen=True, gc=False):
    """The peer answered. A tool that reports `isError` is still complete."""

    result: JSON
    encoded: bytes | None = None
    """`result` in our own encoding, when it already exists. Whoever changes `result` makes a new Complete without."""


class InputRequired(msgspec.Struct, frozen=True):
    """The peer needs something first; call again with `answers` and `state`."""

    asks: Mapping[str, JSON]
    state: str | None = None
    abandon: Callable[[], None] | None = None
    """Says that no answers will come, so that what waits for them ends now. Only for who drives rounds in this process."""


class Deferred(msgspec.Struct, frozen=True):
    """The peer works on; `task` is the handle to ask again with."""

    task: JSON


class Refused(msgspec.Struct, frozen=True, gc=False):
    """We decided against it. `reason` is for the caller: no internals in it."""

    code: int
    reason: str
    data: Any = None
    challenge: str | None = None
    """For `WWW-Authenticate`, when other credentials would help."""
    retry_after_s: float | None = None


class Failed(msgspec.Struct, frozen=True, gc=False):
    """It went wrong: a peer's error, a broken link, or a fault of ours."""

    code: int
    message: str
    sent: Sent = "no"
    data: Any = None


Outcome = Complete | InputRequired | Deferred | Refused | Failed
