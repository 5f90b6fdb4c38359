"""What a person has given a client: the family of all tokens that came of one consent.

A code is spent once and a refresh token is exchanged once. Either of them seen again means that two parties have it, so
the whole family ends, whoever was first. Spec: OAuth 2.1 §4.1.3, §4.3.1; RFC 9700 §4.14.2.
"""

import secrets
from collections.abc import Callable

import msgspec

from ...stores.ports import Conflict, Records
from ..seal import Broken, Seal
from .settings import Settings
from .stored import Held, Shelf, digest
from .subject import Subject

__all__ = ["Code", "Grant", "Grants", "Refused"]

_REFRESH = "authority refresh"


class Refused(Exception):
    """A code or a refresh token that is good for nothing. `reused`: it was good once, and its family has ended now."""

    def __init__(self, reason: str, *, reused: bool = False) -> None:
        super().__init__(reason)
        self.reused = reused


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    subject: Subject
    client: str
    client_name: str
    scopes: tuple[str, ...]
    resource: str
    created_s: float
    used_s: float
    refreshes: bool = True
    """The client may renew its tokens."""
    generation: int = 0
    """Of the refresh token that counts; 0 before the code was spent."""


class Code(msgspec.Struct, frozen=True, kw_only=True):
    grant: str
    client: str
    resource: str
    redirect_uri: str
    challenge: str
    expires_s: float
    spent: bool = False


class _Refresh(msgspec.Struct, frozen=True, array_like=True):
    grant: str
    generation: int


class Grants:
    def __init__(self, records: Records, seal: Seal, settings: Settings, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._settings, self._seal, self._clock = settings, seal, clock
        self._grants = Shelf(records, "grant", Grant)
        self._codes = Shelf(records, "code", Code)

    async def give(self, grant: Grant) -> None:
        """Raises StoreFailed."""
        await self._grants.add(grant.id, grant, self._end_of(grant))

    async def code_for(self, grant: Grant, redirect_uri: str, challenge: str) -> str:
        """A code for a grant that was given just now. Raises StoreFailed."""
        code = secrets.token_urlsafe(32)
        expires_s = self._clock() + self._settings.code_s
        kept = Code(
            grant=grant.id,
            client=grant.client,
            resource=grant.resource,
            redirect_uri=redirect_uri,
            challenge=challenge,
            expires_s=expires_s,
        )
        await self._codes.add(digest(code), kept, self._end_of(grant))
        return code

    async def spend(self, code: str, good: Callable[[Code], str | None]) -> Grant:
        """The grant behind `code`. `good` says why it is not this caller's, or raises. Raises Refused, StoreFailed."""
        held = await self._codes.get(digest(code))
        if held is None:
            raise Refused("this code is not known here, or has expired")
        if held.value.spent:
            await self.revoke(held.value.grant)
            raise Refused("this code was used before, so what came of it has ended", reused=True)
        if held.value.expires_s <= self._clock():
            raise Refused("this code has expired")
        fault = good(held.value)
        if fault is not None:
            raise Refused(fault)
        try:
            # It stays, so that it is known when it is shown again.
            spent = msgspec.structs.replace(held.value, spent=True)
            await self._codes.change(held, spent, self._clock() + self._settings.refresh_s)
        except Conflict:
            return await self.spend(code, good)
        return await self.begin(held.value.grant)

    async def begin(self, id_: str) -> Grant:
        """A grant whose client has come for its tokens. Raises Refused, StoreFailed."""
        return await self._next(await self._held(id_))

    def refresh_token(self, grant: Grant) -> str:
        """The one that counts now."""
        return self._seal.close(_REFRESH, msgspec.json.encode(_Refresh(grant.id, grant.generation)))

    async def peek(self, token: str) -> Grant:
        """The grant of a refresh token, also of one that was exchanged. Raises Refused, StoreFailed."""
        _, held = await self._known(token)
        return held.value

    async def counting(self, token: str) -> Grant | None:
        """The grant of a refresh token that would be exchanged now. Raises StoreFailed."""
        try:
            known, held = await self._known(token)
        except Refused:
            return None
        return held.value if known.generation == held.value.generation else None

    async def refresh(self, token: str, client: str) -> Grant:
        """The grant, now of another generation. Raises Refused, StoreFailed."""
        known, held = await self._known(token)
        if held.value.client != client:
            raise Refused("this refresh token was given to another client")
        if known.generation != held.value.generation:
            await self.revoke(known.grant)
            raise Refused("this refresh token was used before, so its whole family has ended", reused=True)
        return await self._next(held)

    async def revoke(self, id_: str) -> bool:
        """Whether there was one. Raises StoreFailed."""
        return await self._grants.remove(id_)

    async def get(self, id_: str) -> Grant | None:
        """Raises StoreFailed."""
        held = await self._grants.get(id_)
        return None if held is None else held.value

    async def all(self) -> list[Grant]:
        """Raises StoreFailed."""
        return [held.value for held in await self._grants.all()]

    async def _known(self, token: str) -> tuple[_Refresh, Held[Grant]]:
        try:
            known = msgspec.json.decode(self._seal.open(_REFRESH, token), type=_Refresh)
        except (Broken, msgspec.MsgspecError):
            raise Refused("this refresh token is not known here") from None
        return known, await self._held(known.grant)

    async def _held(self, id_: str) -> Held[Grant]:
        held = await self._grants.get(id_)
        if held is None:
            raise Refused("what was given has ended, or was revoked")
        return held

    async def _next(self, held: Held[Grant]) -> Grant:
        grant = msgspec.structs.replace(held.value, generation=held.value.generation + 1, used_s=self._clock())
        try:
            await self._grants.change(held, grant, self._end_of(grant))
        except Conflict:
            # Two came with the same: as if one had come after the other.
            await self.revoke(grant.id)
            raise Refused("this was used twice at once, so what came of it has ended", reused=True) from None
        return grant

    def _end_of(self, grant: Grant) -> float:
        settings = self._settings
        if grant.generation == 0:
            return grant.created_s + settings.form_s
        if grant.subject.provider:
            # Whether they still are who they were is asked of the provider then.
            return grant.created_s + settings.refresh_s
        idle_s = settings.refresh_s if grant.refreshes else settings.access_s
        return min(grant.created_s + settings.grant_s, grant.used_s + idle_s)
