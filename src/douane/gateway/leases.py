"""Sessions that calls which may be asked something have to themselves.

In the handshake era nothing says which call a question belongs to, and a server is told once, for a whole session, what
it may ask. So such a call is alone on a session that declares exactly what its caller offers. Sessions are kept for
further calls of the same principal with the same offer, within bounds: the one unused for longest gives way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Protocol

import msgspec

from ..protocol import apps
from ..protocol.call import JSON, Call, Principal
from ..protocol.questions import undeclared
from ..sdk.respondent import NoReply, Respondent
from ..sdk.session import Session
from ..wire import json
from ..wire.codes import METHOD_NOT_FOUND

__all__ = ["Bounds", "Lease", "Leases", "NoneFree", "OpenLeased", "Refused", "unheard"]

_UNCLAIMED = ("", "", "")
"""Whose a session is that has served nobody yet."""

OpenLeased = Callable[[Respondent, Principal | None], Awaitable[Session]]
"""One that answers what it is asked so, for one principal or for nobody yet."""
Key = tuple[Hashable, bytes]
"""Whose calls, and what they offer."""


Refused = Callable[[str, int, Call | None, str], None]
"""Told of a question that nobody answers: its method, the code its server is told, and, if that is known, the call it
belongs to and the endpoint that came by."""


def unheard(method: str, code: int, call: Call | None, endpoint: str) -> None:
    return


def _identity(who: Principal) -> Hashable:
    return who.identity


class Bounds(msgspec.Struct, frozen=True):
    """How many sessions at once."""

    alike: int
    """Of one principal, with one offer, in which a call runs. Those that wait for an answer hold up nobody."""
    of_principal: int
    in_all: int


class NoneFree(Exception):
    """Every session there may be is in use, until too late."""


class Asked(Protocol):
    """The call that a session is leased to."""

    capabilities: JSON
    call: Call
    endpoint: str

    async def ask(self, method: str, params: JSON) -> JSON: ...


class Lease:
    """One session, and the call that has it now."""

    __slots__ = ("asked", "key", "session", "timer", "waits")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.session: Session
        """Not there while it is being opened."""
        self.asked: Asked | None = None
        self.waits = False
        """Its call waits for somebody's answer."""
        self.timer: asyncio.TimerHandle | None = None
        """While it is idle: when it is given up."""


class Leases:
    """Of one upstream."""

    def __init__(
        self,
        open_session: OpenLeased,
        bounds: Bounds,
        *,
        idle_s: float,
        roots: tuple[JSON, ...] = (),
        refused: Refused = unheard,
        owner: Callable[[Principal], Hashable] = _identity,
    ) -> None:
        """`roots`: what the operator answers to a server that asks for them outside of any call that has some.
        `refused` is told of questions that nobody answers. `owner`: whose a session is; where each has credentials of its
        own, nobody gets one that was opened for nobody."""
        self._owner = owner
        self._open_session, self._bounds, self._idle_s, self._roots = open_session, bounds, idle_s, roots
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._idle: list[Lease] = []
        """Longest unused first."""
        self._taken: set[Lease] = set()
        self._freed = asyncio.Condition()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def taken(self) -> int:
        return len(self._taken)

    def __len__(self) -> int:
        return len(self._taken) + len(self._idle)

    async def take(self, principal: Principal, offer: JSON, deadline_s: float) -> Lease:
        """A session for one call. Raises NoneFree, or what opening one raises."""
        key = (self._owner(principal), json.encode(offer))
        try:
            async with asyncio.timeout_at(deadline_s), self._freed:
                await self._freed.wait_for(lambda: self._closed or self._has_room(key))
        except TimeoutError:
            raise NoneFree from None
        if self._closed:
            raise NoneFree
        return self._reused(key) or await self._opened(key, offer, principal)

    async def unclaimed(self, offer: JSON) -> Lease:
        """One that nobody has called yet; given back, it is for whoever comes first with this offer. Raises as `take`."""
        key = (_UNCLAIMED, json.encode(offer))
        lease = self._reused(key)
        if lease is None and (self._closed or len(self._taken) >= self._bounds.in_all):
            raise NoneFree
        return lease or await self._opened(key, offer, None)

    def wait(self, lease: Lease) -> None:
        """Its call waits for an answer: meanwhile another may run."""
        lease.waits = True
        self._tell()

    def give_back(self, lease: Lease) -> None:
        """Its call has ended well: the next may have it."""
        if self._closed or lease.session.ended.done():
            self.destroy(lease)
            return
        lease.asked, lease.waits = None, False
        self._taken.discard(lease)
        self._idle.append(lease)
        lease.timer = self._loop.call_later(self._idle_s, self.destroy, lease)
        self._tell()

    def destroy(self, lease: Lease) -> None:
        """Nobody can tell what state it is in, or it has ended."""
        if lease.timer is not None:
            lease.timer.cancel()
        known = lease in self._taken or lease in self._idle
        self._taken.discard(lease)
        if lease in self._idle:
            self._idle.remove(lease)
        if known and hasattr(lease, "session"):
            self._beside(lease.session.aclose())
            self._tell()

    def forget(self, belongs: Callable[[Hashable], bool]) -> None:
        """Whose credentials were withdrawn or changed loses what was opened with them: open calls end."""
        for lease in (*self._idle, *self._taken):
            if belongs(lease.key[0]):
                self.destroy(lease)

    def drop_idle(self) -> None:
        """What the upstream offers may have changed: later calls get sessions of their own time."""
        for lease in tuple(self._idle):
            self.destroy(lease)

    async def aclose(self) -> None:
        self._closed = True
        for lease in (*self._idle, *self._taken):
            self.destroy(lease)
        # Where all are still being opened, nothing was given up that would have woken who waits.
        self._tell()
        while self._closing:
            await asyncio.wait(self._closing)

    # --- room ---

    def _has_room(self, key: Key) -> bool:
        if any(self._fits(lease, key) for lease in self._idle):
            return True
        owner, bounds = key[0], self._bounds
        if sum(lease.key == key and not lease.waits for lease in self._taken) >= bounds.alike:
            return False
        # The idle ones of others give way; those that are in use do not.
        if sum(lease.key[0] == owner for lease in self._taken) >= bounds.of_principal:
            return False
        return len(self._taken) < bounds.in_all

    def _reused(self, key: Key) -> Lease | None:
        # The one used last: a server that keeps something between calls keeps it there.
        lease = next((lease for lease in reversed(self._idle) if self._fits(lease, key)), None)
        if lease is None:
            return None
        self._idle.remove(lease)
        if lease.timer is not None:
            lease.timer.cancel()
        lease.key = key
        self._taken.add(lease)
        return lease

    async def _opened(self, key: Key, offer: JSON, principal: Principal | None) -> Lease:
        self._make_room(key)
        lease = Lease(key)
        # Before it is opened: what is being opened counts.
        self._taken.add(lease)
        declared = {**offer, "roots": {}} if self._roots else offer
        try:
            lease.session = await self._open_session(self._respondent(lease, declared), principal)
        except BaseException:
            self._taken.discard(lease)
            self._tell()
            raise
        if self._closed:
            await lease.session.aclose()
            raise NoneFree
        lease.session.ended.add_done_callback(lambda _: self._lost(lease))
        return lease

    def _make_room(self, key: Key) -> None:
        own = [lease for lease in self._idle if lease.key[0] == key[0]]
        held = sum(lease.key[0] == key[0] for lease in self._taken)
        for lease in own[: max(0, len(own) + held + 1 - self._bounds.of_principal)]:
            self.destroy(lease)
        for lease in self._idle[: max(0, len(self) + 1 - self._bounds.in_all)]:
            self.destroy(lease)

    def _lost(self, lease: Lease) -> None:
        if lease in self._idle:
            self.destroy(lease)

    # --- questions ---

    def _respondent(self, lease: Lease, declared: JSON) -> Respondent:
        def refused(method: str, code: int, reason: str) -> None:
            asked = lease.asked
            call, endpoint = (asked.call, asked.endpoint) if asked is not None else (None, "")
            self._refused(method, code, call, endpoint)

        return Respondent(
            declared,
            lambda method, params: self._reply(lease, method, params),
            refused=refused,
            extensions=apps.OFFERED,
        )

    async def _reply(self, lease: Lease, method: str, params: JSON) -> JSON:
        asked = lease.asked
        question = {"method": method, "params": params}
        if asked is not None and undeclared([question], asked.capabilities) is None:
            return await asked.ask(method, params)
        if method == "roots/list" and self._roots:
            return {"roots": self._roots}
        raise NoReply(METHOD_NOT_FOUND, "client: no call that can be asked this is open")

    # --- beside ---

    def _tell(self) -> None:
        self._beside(self._tell_all())

    async def _tell_all(self) -> None:
        async with self._freed:
            self._freed.notify_all()

    def _beside(self, work: "asyncio.Future[None] | Awaitable[None]") -> None:
        task = asyncio.ensure_future(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _fits(self, lease: Lease, key: Key) -> bool:
        if lease.key[1] != key[1]:
            return False
        return lease.key[0] == key[0] or (lease.key[0] == _UNCLAIMED and self._owner is _identity)
