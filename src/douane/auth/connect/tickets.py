"""Links that were given out for somebody to grant something, and logins that are under way: each good once, and not for long.

Whoever has a link has nothing yet: it says for whom it was made, and the page that it leads to asks who is there.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

from ...stores.ports import NEW, Conflict, Records
from ..authorization import Pending
from ..grants import Owner
from ..seal import Broken, Seal

__all__ = ["Departure", "Fate", "Ticket", "Tickets"]

_TICKET, _DEPARTURE = "connect", "departure"
_MAX_GIVEN = 10_000

T = TypeVar("T")
Fate = Literal["open", "granted", "declined"]


class Ticket(msgspec.Struct, frozen=True):
    key: str
    """Of the record, and in what the caller keeps for us. Nobody gets from it to the link."""
    owner: Owner
    client: str
    """Who wants to call for them."""
    upstream: str
    scopes: frozenset[str]
    until_s: float
    """Unix seconds."""
    fate: Fate = "open"


class Departure(msgspec.Struct, frozen=True):
    """Somebody who was sent to an authorization server."""

    ticket: Ticket
    browser: str
    """Which he left from."""
    pending: Pending


_pack = msgspec.msgpack.Encoder().encode
_read_ticket = msgspec.msgpack.Decoder(Ticket).decode
_read_departure = msgspec.msgpack.Decoder(Departure).decode


class Tickets:
    def __init__(self, records: Records, seal: Seal, now: Callable[[], float], *, within_s: float) -> None:
        """`seal`: as of the vault. `now`: Unix seconds. `within_s`: how long a link is good."""
        self._records, self._seal, self._now, self._within_s = records, seal, now, within_s
        self._given: dict[tuple[Owner, str, str, frozenset[str]], tuple[str, Ticket]] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def give(self, owner: Owner, client: str, upstream: str, scopes: frozenset[str]) -> tuple[str, Ticket]:
        """The secret of a link, and what it is for: the same for many calls at once. Raises StoreFailed."""
        about = (owner, client, upstream, scopes)
        given = self._given.get(about)
        # One that is about to expire is of no use to who has to read first.
        if given is not None and given[1].until_s - self._within_s / 2 > self._now():
            return given
        secret = secrets.token_urlsafe(32)
        ticket = Ticket(_digest(secret), owner, client, upstream, scopes, self._now() + self._within_s)
        await self._put(_TICKET, ticket.key, _pack(ticket), ticket.until_s)
        if len(self._given) >= _MAX_GIVEN:
            self._given.clear()
        self._given[about] = (secret, ticket)
        return secret, ticket

    async def of(self, secret: str) -> Ticket | None:
        """What a link is for, if it leads anywhere still. Raises StoreFailed."""
        found = await self._read(_digest(secret))
        return found[0] if found is not None and found[0].fate == "open" else None

    async def fate(self, key: str) -> Fate | None:
        """What has become of it; None: it has expired. Raises StoreFailed."""
        found = await self._read(key)
        return None if found is None else found[0].fate

    async def end(self, ticket: Ticket, fate: Fate) -> None:
        """It leads nowhere any more, and whoever waits for it goes on. Raises StoreFailed."""
        about = (ticket.owner, ticket.client, ticket.upstream, ticket.scopes)
        if self._given.get(about, ("", None))[1] == ticket:
            del self._given[about]
        found = await self._read(ticket.key)
        if found is not None and found[0].fate == "open":
            ended = msgspec.structs.replace(ticket, fate=fate)
            try:
                await self._put(_TICKET, ticket.key, _pack(ended), ticket.until_s, version=found[1])
            except Conflict:
                # Whoever was faster has said what became of it.
                pass
        for waiting in self._waiting.pop(ticket.key, ()):
            if not waiting.done():
                waiting.set_result(None)

    async def _read(self, key: str) -> tuple[Ticket, int] | None:
        record = await self._records.get(_TICKET, key)
        ticket = None if record is None else self._open(_TICKET, key, record.value, _read_ticket)
        return None if record is None or ticket is None else (ticket, record.version)

    async def changed(self, key: str, within_s: float) -> None:
        """Until something has become of it here, at most so long. Of another process nothing is heard."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(heard)
        try:
            await asyncio.wait({heard}, timeout=within_s)
        finally:
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.discard(heard)
                if not waiting:
                    del self._waiting[key]

    # --- departures ---

    async def depart(self, departure: Departure) -> None:
        """Raises StoreFailed, Conflict when there is one with this state."""
        key = _digest(departure.pending.state)
        await self._put(_DEPARTURE, key, _pack(departure), departure.ticket.until_s)

    async def returned(self, state: str, browser: str) -> Departure | None:
        """Who left with `state`, from this browser, once. Raises StoreFailed."""
        key = _digest(state)
        record = await self._records.get(_DEPARTURE, key)
        departure = None if record is None else self._open(_DEPARTURE, key, record.value, _read_departure)
        if record is None or departure is None or not secrets.compare_digest(departure.browser, browser):
            return None
        try:
            await self._records.take(_DEPARTURE, key, version=record.version)
        except Conflict:
            # Somebody has come back with it in the same moment.
            return None
        return departure

    async def _put(self, kind: str, key: str, content: bytes, until_s: float, *, version: int = NEW) -> None:
        sealed = self._seal.close(f"{kind} {key}", content).encode()
        await self._records.put(kind, key, sealed, version=version, expires_s=until_s)

    def _open(self, kind: str, key: str, sealed: bytes, read: Callable[[bytes], T]) -> T | None:
        try:
            return read(self._seal.open(f"{kind} {key}", sealed.decode()))
        except (Broken, ValueError):
            return None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
