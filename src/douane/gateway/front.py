"""One endpoint: what it shows, the chain behind it, and the doors before it.

The whole of the gateway is one, at `/mcp`; each virtual server is another, at `/mcp/NAME`. Each has a RESOLVE over its own
lists, so what one does not show is not there for it, whatever is asked. Behind RESOLVE they share everything.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from .. import __version__
from ..auth.seal import Seal
from ..flow.chain import Chain, Handler, Interceptor, Observer
from ..protocol.call import Principal
from ..registry.catalog import Lists
from ..sdk.client_sessions import Sessions
from ..sdk.held import Admit, Turned
from ..sdk.http_door import HttpDoor
from ..sdk.listener import ANSWER_WITHIN_S, About, Listener
from ..sdk.refusals import Refusals
from ..sdk.sse_door import SseDoor
from ..transports.http_server import Request
from ..wire.rpc import Limits
from .health import NOTHING_HERE
from .listen import Listening

__all__ = ["ABOUT", "Front", "Settings", "Shown"]

ABOUT = About({"name": "douane", "title": "Douane", "version": __version__}, layer="gateway")


class Settings(msgspec.Struct, frozen=True):
    first_lists_s: float = 5.0
    """How long a caller that comes right after the start waits for upstreams that have not been listed yet."""
    max_sessions: int = 10_000
    """Of each endpoint."""
    max_sessions_per_principal: int = 1_000
    session_idle_s: float = 1800.0
    answer_within_s: float = ANSWER_WITHIN_S
    """For who is asked something in mid-call."""
    sse: bool = True
    """Serve HTTP+SSE, the transport of 2024-11-05, too."""
    limits: Limits = Limits()


def _everybody(principal: Principal) -> bool:
    return True


class Shown(msgspec.Struct, frozen=True):
    """What one endpoint is made of."""

    lists: Lists
    interceptors: Sequence[Interceptor]
    """Of its front chain: RESOLVE over `lists`, and what all endpoints share."""
    about: About = ABOUT
    welcomes: Callable[[Principal], bool] = _everybody
    """For whom it is there."""


class Front:
    def __init__(
        self,
        shown: Shown,
        end: Handler,
        admit: Admit,
        settings: Settings,
        *,
        below: bytes,
        settled: Callable[[], Awaitable[None]],
        observers: Sequence[Observer],
        listening: Listening,
        seal: Seal | None,
        refusals: Refusals,
    ) -> None:
        """`below`: the path under which HTTP+SSE is served, and this endpoint's own in what is sealed."""
        self.shown, self.listening = shown, listening
        self.chain = Chain(shown.interceptors, end, observers=observers)
        self.listener = Listener(
            self.chain.run,
            shown.lists,
            shown.about,
            settled,
            seal=seal,
            place=below.decode(),
            answer_within_s=settings.answer_within_s,
            refusals=refusals,
            subscribing=Chain(shown.interceptors, listening, observers=observers).run,
        )
        self.subscriptions = self.listener.subscriptions
        self.subscriptions.released, listening.tell = listening.release, self.subscriptions.tell_exactly
        clock = asyncio.get_running_loop().time
        sessions = Sessions(
            shown.lists,
            clock,
            max_sessions=settings.max_sessions,
            max_per_principal=settings.max_sessions_per_principal,
            idle_s=settings.session_idle_s,
        )
        admit = _only(shown.welcomes, admit)
        self.http = HttpDoor(self.listener, admit, sessions, settings.limits)
        self.sse = SseDoor(self.listener, admit, settings.limits, below=below, idle_s=settings.session_idle_s)


def _only(welcomes: Callable[[Principal], bool], admit: Admit) -> Admit:
    if welcomes is _everybody:
        return admit

    def admit_some(request: Request) -> Principal:
        principal = admit(request)
        if not welcomes(principal):
            raise Turned(404, NOTHING_HERE)
        return principal

    return admit_some
