"""A call in flight: what one peer asks of another, as plain data.

A `Call` has the shape of the newest revision (2026-07-28): it carries everything needed to judge and to serve it, so
no stage ever asks a session. Older revisions are translated to this shape at the edge (`protocol/eras/`).
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec

__all__ = ["JSON", "Ask", "Call", "Direction", "Event", "Principal"]

JSON = Mapping[str, Any]

_NOTHING: dict[str, Any] = {}


class Direction(Enum):
    TO_SERVER = "to_server"
    TO_CLIENT = "to_client"
    """Only peers of the handshake era start calls in this direction."""


class Principal(msgspec.Struct, frozen=True, gc=False):
    """Who asks, as the listener's door has proved it. No call exists without one.

    `client` is the authenticated client, never the name a client gives itself.
    """

    subject: str
    groups: frozenset[str] = frozenset()
    tenant: str = "default"
    client: str = ""
    scopes: frozenset[str] = frozenset()
    """What whoever issued the credential let it be used for. It says nothing of what a policy permits."""

    @property
    def identity(self) -> tuple[str, str, str]:
        """Whose a thing is that outlives one request: groups come and go with a token."""
        return self.tenant, self.subject, self.client


class Ask(msgspec.Struct, frozen=True):
    """Something a person must say yes to before the call is dispatched. Only the APPROVE stage removes one."""

    rule: str
    reason: str


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: str
    """Ours, unique for ever. Never the id on the wire, which peers choose."""
    root: str
    """The id of the first call of this interaction; a retry or a further round is a new call with the same root."""
    method: str
    params: JSON
    """As parsed, less the reserved `_meta` keys, which every hop writes anew. Unknown members survive."""
    principal: Principal
    target: str | None = None
    """Tool, prompt, resource URI or task as the caller names it."""
    upstream: str | None = None
    """Whom it is for. Set by RESOLVE, with the two below."""
    name: str | None = None
    """The target as the upstream names it."""
    digest: str = ""
    """SHA-256 of the definition the caller was shown; rechecked at dispatch."""
    conversation: str = ""
    """What the data-flow labels follow."""
    capabilities: JSON = _NOTHING
    """The caller's, for this call."""
    asks: tuple[Ask, ...] = ()
    answers: JSON = _NOTHING
    """Replies to an earlier `InputRequired` (the wire's `inputResponses`)."""
    state: str | None = None
    """Opaque, echoed byte for byte (the wire's `requestState`)."""
    round: int = 0
    """How often the caller was asked before this call of the interaction."""
    log_level: str | None = None
    """The least severe log message the caller wants; None: it wants none."""
    wants_progress: bool = False
    deadline_s: float | None = None
    """Point on the event loop's clock after which nobody waits. None only until RESILIENCE has set it."""
    direction: Direction = Direction.TO_SERVER


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something said while a call runs: progress, a log line, a list change. Tokens and ids are not in it."""

    method: str
    params: JSON
