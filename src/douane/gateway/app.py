"""The gateway as a whole: started, serving, drained. It owns what lives; `config.build` decides what that is."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from ..audit.log import AuditLog
from ..auth.exchange import Page
from ..auth.seal import Seal
from ..flow.chain import Chain, Interceptor, Observer
from ..interceptors import record
from ..protocol.call import Call, Principal
from ..protocol.outcome import Refused
from ..registry.handles import Handles
from ..sdk.held import Admit
from ..sdk.line_door import LineDoor
from ..sdk.listener import new_id
from ..sdk.waiting import Waiting
from ..transports.http_server import Endpoint
from ..transports.link import Link
from .deferring import Deferring
from .ended_tasks import EndedTasks
from .followed import Followed
from .front import Front, Settings, Shown
from .health import Health, routed
from .listen import Listening, Place
from .pages import Pages
from .router import Router
from .upstream import Upstream
from .view import View, known_to_all

__all__ = ["Gateway", "Settings"]

logger = logging.getLogger(__name__)

_NO_PAGES: Mapping[str, Page] = {}
_LOOK_EVERY_S = 1.0
"""How long a stream may outlive the rule that let it listen."""


class Gateway:
    """Upstreams behind one chain, and the doors in front of it.

    `whole` and `servers` are the endpoints, `inner(upstream)` the interceptors of the second chain; its end is its upstream.
    """

    def __init__(
        self,
        *,
        whole: Shown,
        servers: Mapping[str, Shown],
        log: AuditLog,
        upstreams: Mapping[str, Upstream],
        inner: Callable[[str], Sequence[Interceptor]],
        admit: Admit,
        sees_originals: Callable[[Principal], bool],
        runs_it: Callable[[Principal], bool],
        handles: Handles,
        observers: Sequence[Observer] = (),
        settings: Settings,
        seal: Seal | None = None,
        epoch: Callable[[], str] = lambda: "",
        judge: Callable[[Call], Refused | None] = lambda call: None,
        pages: Mapping[str, Page] = _NO_PAGES,
        strange_to: Callable[[Principal], frozenset[str]] = known_to_all,
    ) -> None:
        """`runs_it`: who is told at `/statusz` what is held. `seal`: of what callers keep for us between the rounds of a call. `epoch`: names the rules in force; when they
        are others, who listens is asked for anew, and what is under way is put to `judge`, which says how it would be
        refused now. `pages`: what is served beside the endpoints, see `Pages`."""
        self.log, self.upstreams, self.settings = log, upstreams, settings
        self._admit, self._waiting, self._pages = admit, Waiting(), Pages(pages)
        self.inner = {name: Chain(inner(name), upstream.end, dispatches=True) for name, upstream in upstreams.items()}
        ends = {name: chain.run for name, chain in self.inner.items()}
        # The same for who subscribes, whom each upstream serves in another way.
        subscribing = {n: Chain(inner(n), u.subscribe, dispatches=True).run for n, u in upstreams.items()}

        deferring = Deferring(ends, handles)

        def front(shown: Shown, name: str = "") -> Front:
            end = Router(View(shown.lists, sees_originals=sees_originals, strange_to=strange_to), ends, deferring)
            return Front(
                shown,
                end,
                admit,
                settings,
                below=f"/mcp/{name}".encode() if name else b"",
                settled=self._settle,
                observers=observers,
                seal=seal,
                refusals=record.Refusals(log, name),
                listening=Listening(shown.lists, subscribing, self._release),
            )

        self.whole = front(whole)
        self.servers = {name: front(shown, name) for name, shown in servers.items()}
        self.health = Health(self.report, self.holding, admit, runs_it)
        self._doors: dict[LineDoor, asyncio.Task[None]] = {}
        self._first: set[asyncio.Future[None]] = set()
        self._draining = False
        self._ended_tasks = EndedTasks(handles, upstreams)
        self._followed = Followed(handles, upstreams, [front.listener.task_news for front in self.fronts])
        for upstream in upstreams.values():
            upstream.updated, upstream.task_changed = self._updated, self._followed.changed
        self._epoch, self._judge = epoch, judge
        self._readmitting = asyncio.get_running_loop().create_task(self._readmit())

    @property
    def has_pages(self) -> bool:
        """Whether browsers come."""
        return bool(self._pages)

    @property
    def fronts(self) -> Sequence[Front]:
        return (self.whole, *self.servers.values())

    @property
    def endpoint(self) -> Endpoint:
        """All paths served over HTTP."""
        health = self.health
        paths: dict[bytes, Endpoint] = {
            b"/healthz": health.live,
            b"/readyz": health.ready,
            b"/statusz": health.status,
        }
        paths |= {b"/mcp/" + name.encode(): server.http for name, server in self.servers.items()}
        for front in self.fronts if self.settings.sse else ():
            paths |= front.sse.paths
        return routed({b"/mcp": self.whole.http, **paths}, self._admit, self._waiting, self._pages.find)

    def start(self) -> None:
        """Begin to start every upstream, a few at a time. Returns at once."""
        self._first = {upstream.start() for upstream in self.upstreams.values()}

    def serve_line(self, link: Link, principal: Principal, server: str | None = None) -> LineDoor:
        """Serve one client over `link` until it ends: the whole, or the virtual server of that name."""
        front = self.whole if server is None else self.servers[server]
        door = LineDoor(link, front.listener, principal, self.settings.limits)
        task = asyncio.get_running_loop().create_task(self._tend(door))
        self._doors[door] = task
        return door

    @property
    def lines(self) -> int:
        """Clients on a line or a stream."""
        return len(self._doors) + sum(len(front.sse) for front in self.fronts)

    @property
    def open_calls(self) -> int:
        """Over HTTP."""
        return sum(front.http.open_calls for front in self.fronts)

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

    def holding(self) -> dict[str, Any]:
        """What `/statusz` says: how much is held now, for clients and at upstreams."""
        fronts = self.fronts
        return {
            "calls": self.open_calls,
            "lines": self.lines,
            "sessions": sum(len(front.http.sessions) for front in fronts),
            "streams": sum(front.http.sessions.listening + front.subscriptions.streams for front in fronts),
            "subscriptions": sum(front.subscriptions.uris for front in fronts),
            "kept_bytes": sum(front.http.sessions.shelf.size_bytes for front in fronts),
            "upstreams": {name: upstream.holding for name, upstream in self.upstreams.items()},
            "tasks": len(asyncio.all_tasks()),
        }

    async def drain(self, within_s: float) -> None:
        """End what only listens, take nothing new on lines, and let their calls end within that time.

        HTTP requests are drained by their server.
        """
        self._draining = True
        for front in self.fronts:
            front.http.hush()
        streams = (front.sse.drain(within_s) for front in self.fronts)
        await _all((*streams, *(door.drain(within_s) for door in tuple(self._doors))))

    async def aclose(self) -> None:
        """Cancel what is open, stop every upstream, write what is to be written. Bounded by each part's own bounds."""
        self._draining = True
        self._readmitting.cancel()
        await asyncio.wait({self._readmitting})
        await _all((self._waiting.aclose(), self._pages.aclose(), self._ended_tasks.aclose()))
        await _all(front.http.aclose() for front in self.fronts)
        await _all(front.sse.aclose() for front in self.fronts)
        for door in tuple(self._doors):
            await door.aclose()
        if self._doors:
            await asyncio.wait(tuple(self._doors.values()))
        for front in self.fronts:
            front.listening.close()
        await _all(upstream.aclose() for upstream in self.upstreams.values())
        await self.log.aclose()

    def withdraw(self, judge: Callable[[Call], Refused | None]) -> None:
        """Cut off what is under way and would be refused now; upstreams are told to end their tasks of it."""
        cut = sum(upstream.withdraw(judge) for upstream in self.upstreams.values())
        if cut:
            logger.warning("%d calls under way were cut off: they would be refused now", cut)
        self._ended_tasks.withdraw(judge)

    async def _settle(self) -> None:
        pending = {future for future in self._first if not future.done()}
        if pending:
            await asyncio.wait(pending, timeout=self.settings.first_lists_s)
        for front in self.fronts:
            front.listener.ready()

    def _updated(self, upstream: str, uri: str) -> None:
        for front in self.fronts:
            front.listening.updated(upstream, uri)

    def _release(self, place: Place) -> None:
        if not any(front.listening.wants(place) for front in self.fronts):
            upstream, uri = place
            self.upstreams[upstream].watched.drop(uri)

    async def _readmit(self) -> None:
        """What was granted under other rules is asked for anew, and what they would refuse now is cut off."""
        epoch = self._epoch()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if epoch == (epoch := self._epoch()):
                continue
            try:
                self.withdraw(self._judge)
                for front in self.fronts:
                    await front.subscriptions.readmit(new_id)
            except Exception:
                # The edge of this task: the next change has to find it alive.
                logger.exception("not all that is under way could be judged by the rules in force now")

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
