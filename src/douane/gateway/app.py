"""The gateway as a whole: started, serving, drained. It owns what lives; `config.build` decides what that is."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from .. import __version__
from ..audit.log import AuditLog
from ..flow.chain import Chain, Interceptor, Observer
from ..protocol.call import Principal
from ..registry.catalog import Catalog
from ..sdk.client_sessions import Sessions
from ..sdk.http_door import HttpDoor
from ..sdk.line_door import LineDoor
from ..sdk.listener import About, Listener
from ..sdk.sse_door import SseDoor
from ..transports.http_server import Endpoint, Request
from ..transports.link import Link
from ..wire.rpc import Limits
from .health import Health, routed
from .router import Router
from .upstream import Upstream
from .view import View

__all__ = ["Gateway", "Settings"]

ABOUT = About({"name": "douane", "title": "Douane", "version": __version__}, layer="gateway")

logger = logging.getLogger(__name__)


class Settings(msgspec.Struct, frozen=True):
    first_lists_s: float = 5.0
    """How long a caller that comes right after the start waits for upstreams that have not been listed yet."""
    max_sessions: int = 10_000
    max_sessions_per_principal: int = 1_000
    session_idle_s: float = 1800.0
    sse: bool = True
    """Serve HTTP+SSE, the transport of 2024-11-05, too."""
    limits: Limits = Limits()


class Gateway:
    """Upstreams behind one chain, and the doors in front of it.

    `front` and `inner(upstream)` are the interceptors of the two chains; the end of an inner chain is its upstream.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        log: AuditLog,
        upstreams: Mapping[str, Upstream],
        front: Sequence[Interceptor],
        inner: Callable[[str], Sequence[Interceptor]],
        admit: Callable[[Request], Principal],
        observers: Sequence[Observer] = (),
        settings: Settings,
    ) -> None:
        self.catalog, self.log, self.upstreams, self.settings = catalog, log, upstreams, settings
        chains = {name: Chain(inner(name), upstream, dispatches=True) for name, upstream in upstreams.items()}
        ends = {name: chain.run for name, chain in chains.items()}
        self.chain = Chain(front, Router(View(catalog), ends), observers=observers)
        self.inner = chains
        self.listener = Listener(self.chain.run, catalog, ABOUT, self._settle)
        clock = asyncio.get_running_loop().time
        sessions = Sessions(
            catalog,
            clock,
            max_sessions=settings.max_sessions,
            max_per_principal=settings.max_sessions_per_principal,
            idle_s=settings.session_idle_s,
        )
        self.http = HttpDoor(self.listener, admit, sessions, settings.limits)
        self.sse = SseDoor(self.listener, admit, settings.limits, idle_s=settings.session_idle_s)
        self.health = Health(self.report)
        self._doors: dict[LineDoor, asyncio.Task[None]] = {}
        self._first: set[asyncio.Future[None]] = set()
        self._draining = False

    @property
    def endpoint(self) -> Endpoint:
        """All paths served over HTTP."""
        older = self.sse.paths if self.settings.sse else {}
        return routed({b"/mcp": self.http, **older, b"/healthz": self.health.live, b"/readyz": self.health.ready})

    def start(self) -> None:
        """Begin to start every upstream, a few at a time. Returns at once."""
        self._first = {upstream.start() for upstream in self.upstreams.values()}

    def serve_line(self, link: Link, principal: Principal) -> LineDoor:
        """Serve one client over `link` until it ends."""
        door = LineDoor(link, self.listener, principal, self.settings.limits)
        task = asyncio.get_running_loop().create_task(self._tend(door))
        self._doors[door] = task
        return door

    @property
    def lines(self) -> int:
        """Clients on a line or a stream."""
        return len(self._doors) + len(self.sse)

    def report(self) -> dict[str, Any]:
        """What `/readyz` says."""
        pending = [name for name, upstream in self.upstreams.items() if upstream.state in ("asleep", "starting")]
        settled = all(future.done() for future in self._first)
        sealed = self.log.state == "sealed"
        return {
            "ready": settled and not sealed and not self._draining,
            "audit": self.log.state,
            "upstreams": {name: upstream.state for name, upstream in self.upstreams.items()},
            "waiting_for": [] if settled else pending,
        }

    async def drain(self, within_s: float) -> None:
        """End what only listens, take nothing new on lines, and let their calls end within that time.

        HTTP requests are drained by their server.
        """
        self._draining = True
        self.http.hush()
        await _all((self.sse.drain(within_s), *(door.drain(within_s) for door in tuple(self._doors))))

    async def aclose(self) -> None:
        """Cancel what is open, stop every upstream, write what is to be written. Bounded by each part's own bounds."""
        self._draining = True
        await self.http.aclose()
        await self.sse.aclose()
        for door in tuple(self._doors):
            await door.aclose()
        if self._doors:
            await asyncio.wait(tuple(self._doors.values()))
        await _all(upstream.aclose() for upstream in self.upstreams.values())
        await self.log.aclose()

    async def _settle(self) -> None:
        pending = {future for future in self._first if not future.done()}
        if pending:
            await asyncio.wait(pending, timeout=self.settings.first_lists_s)
        self.listener.ready()

    async def _tend(self, door: LineDoor) -> None:
        try:
            await door.ended
        finally:
            del self._doors[door]
            await door.aclose()


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    results = await asyncio.gather(*work, return_exceptions=True)
    for fault in results:
        if isinstance(fault, BaseException):
            logger.error("while closing: %r", fault)
