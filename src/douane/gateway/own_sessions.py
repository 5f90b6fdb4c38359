"""Sessions with one upstream that are each one principal's: what a session sends carries the credentials it was opened for.

So no call can carry another's: there is no place where one is chosen for a request.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from ..auth.credentials import Credentials, LoginFailed
from ..protocol.call import Call, Principal
from ..protocol.outcome import Failed
from ..sdk.connect import CannotConnect
from ..sdk.respondent import NOBODY, Respondent
from ..sdk.session import Noted, Session
from ..transports.link import LinkClosed
from ..wire.codes import UPSTREAM_UNAVAILABLE

__all__ = ["CONNECTIONS", "Lend", "OpenFor", "OwnSessions"]

logger = logging.getLogger(__name__)

Lend = Callable[[Principal], Credentials]
"""The credentials that one principal's calls carry. Costs nothing: what they cost is paid when they are asked for."""
OpenFor = Callable[[Credentials | None, Noted, Respondent], Awaitable[Session]]
"""A session whose requests carry these. Raises LoginFailed, CannotConnect, LinkClosed."""

_MOST = 1_000
"""Of one upstream; each costs it little, but for one of the handshake era, which it has to remember."""
CONNECTIONS = 2_048
"""What all of these may take: in the handshake era each holds a stream of its own."""


class OwnSessions:
    def __init__(
        self,
        upstream: str,
        open_for: OpenFor,
        lend: Lend,
        url: str,
        *,
        start_timeout_s: float,
        idle_s: float,
        most: int = _MOST,
        anybody: Callable[[], Principal | None] | None = None,
    ) -> None:
        """`idle_s`: after which one that nobody uses is closed; longer than any call may take. `anybody`: in whose name the
        lists are read, where the gateway has no credentials of its own."""
        self.anybody = anybody
        self._upstream, self._open_for, self._lend, self._url = upstream, open_for, lend, url
        self._start_timeout_s, self._idle_s, self._most = start_timeout_s, idle_s, most
        self._loop = asyncio.get_running_loop()
        self._lent: dict[Principal, Credentials] = {}
        self._opened: OrderedDict[Principal, tuple[Session, float]] = OrderedDict()
        """Longest unused first, with when each was last used."""
        self._opening: dict[Principal, asyncio.Task[Session]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.noted: Noted = _passed_over

    def __len__(self) -> int:
        return len(self._opened)

    async def session(self, call: Call) -> Session | Failed:
        """The caller's own, opened if it has none."""
        who = call.principal
        found = self._opened.get(who)
        if found is not None and not found[0].ended.done():
            self._opened[who] = (found[0], self._loop.time())
            self._opened.move_to_end(who)
            return found[0]
        try:
            async with asyncio.timeout_at(call.deadline_s):
                return await self._open_once(who)
        except LoginFailed as exc:
            return Failed(UPSTREAM_UNAVAILABLE, f"{exc} (call {call.id})", "no")
        except (CannotConnect, LinkClosed, TimeoutError) as exc:
            logger.warning("upstream %s: no session could be opened for call %s: %s", self._upstream, call.id, exc)
            said = f"upstream {self._upstream}: no session could be opened for you; the gateway's log says why"
            return Failed(UPSTREAM_UNAVAILABLE, f"{said} (call {call.id})", "no")

    async def leased(self, who: Principal, respondent: Respondent, noted: Noted) -> Session:
        """Another of the same principal's, for calls that may be asked something. Raises as opening one, LoginFailed."""
        return await self._open(who, respondent, noted)

    async def for_lists(self, noted: Noted, respondent: Respondent) -> Session:
        """One in the name of anybody who is known there. Raises as opening one, LoginFailed also when there is nobody."""
        who = self.anybody() if self.anybody is not None else None
        if who is None:
            raise LoginFailed(f"client: nobody has logged in at upstream {self._upstream} yet")
        return await self._open(who, respondent, noted)

    def forget(self, belongs: Callable[[Principal], bool]) -> None:
        """Credentials were withdrawn, or changed: whose they were begins anew."""
        for who in [who for who in self._lent if belongs(who)]:
            del self._lent[who]
        for who in [who for who in self._opened if belongs(who)]:
            self._close(who)

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for who in tuple(self._opened):
            self._close(who)
        opening = tuple(self._opening.values())
        for task in opening:
            task.cancel()
        while self._closing or opening:
            await asyncio.wait((*self._closing, *opening))
            opening = ()

    async def _open_once(self, who: Principal) -> Session:
        task = self._opening.get(who)
        if task is None:
            task = self._opening[who] = self._loop.create_task(self._open_and_keep(who))
            task.add_done_callback(lambda task: self._settled(who, task))
        # One who gives up takes it from nobody.
        return await asyncio.shield(task)

    async def _open_and_keep(self, who: Principal) -> Session:
        if len(self._opened) >= self._most:
            self._close(next(iter(self._opened)))
        credentials = self._lent_to(who)
        session = await self._open(who, NOBODY, self._note)
        if self._lent.get(who) is not credentials:
            # Withdrawn, or changed, meanwhile: what it was opened with is good for nothing more.
            self._end(session)
            return await self._open_and_keep(who)
        self._opened[who] = (session, self._loop.time())
        session.ended.add_done_callback(lambda _: self._lose(who, session))
        if self._timer is None:
            self._timer = self._loop.call_later(self._idle_s, self._sweep)
        return session

    async def _open(self, who: Principal, respondent: Respondent, noted: Noted) -> Session:
        credentials = self._lent_to(who)
        async with asyncio.timeout(self._start_timeout_s):
            # First: that there are none is the fault of nobody whom a request could reach.
            await credentials.headers("POST", self._url)
            return await self._open_for(credentials, noted, respondent)

    def _lent_to(self, who: Principal) -> Credentials:
        credentials = self._lent.get(who)
        if credentials is None:
            credentials = self._lent[who] = self._lend(who)
        return credentials

    def _settled(self, who: Principal, task: "asyncio.Task[Session]") -> None:
        del self._opening[who]
        if not task.cancelled():
            # Everybody who waited may have given up.
            task.exception()

    def _note(self, method: str, params: object) -> None:
        self.noted(method, {})

    def _sweep(self) -> None:
        now_s = self._loop.time()
        for who, (_, used_s) in tuple(self._opened.items()):
            if used_s + self._idle_s > now_s:
                break
            self._close(who)
        for who in self._lent.keys() - self._opened.keys() - self._opening.keys():
            del self._lent[who]
        self._timer = None
        if self._opened:
            oldest_s = next(iter(self._opened.values()))[1]
            self._timer = self._loop.call_at(oldest_s + self._idle_s, self._sweep)

    def _lose(self, who: Principal, session: Session) -> None:
        found = self._opened.get(who)
        if found is not None and found[0] is session:
            self._close(who)

    def _close(self, who: Principal) -> None:
        session, _ = self._opened.pop(who)
        self._end(session)

    def _end(self, session: Session) -> None:
        task = self._loop.create_task(session.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _passed_over(method: str, params: object) -> None:
    return
