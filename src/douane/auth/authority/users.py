"""Local users: a name, a password that only its Argon2 hash is kept of, groups and a tenant.

Whoever gets it wrong is told the same in the same time, whether there is such a user or not, and soon has to wait.
Spec: RFC 9106 §4; OWASP ASVS 5.0 V6.
"""

import asyncio
import hmac
import re
from collections.abc import Callable

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from ...stores.ports import Conflict, Records
from ..tokens import source_of
from .attempts import Attempts
from .settings import OWNER
from .stored import Held, Shelf, digest
from .subject import Subject

__all__ = ["CannotKeep", "MustWait", "User", "Users"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_MIN_CHARS, _MAX_CHARS = 12, 256
_AT_ONCE = 2
"""Each hash takes 64 MB and a tenth of a second of a core."""


class CannotKeep(ValueError):
    """A name or a password that cannot be taken; the text says why."""


class MustWait(Exception):
    """Too many wrong passwords, of this user or from this address."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many tries; wait {int(wait_s) + 1} seconds")
        self.wait_s = wait_s


class User(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    password_hash: str
    groups: tuple[str, ...] = ()
    tenant: str = "default"
    since_s: float = 0.0

    @property
    def subject(self) -> Subject:
        return Subject(self.name, self.groups, self.tenant)


class Users:
    def __init__(
        self, records: Records, clock: Callable[[], float], ticks: Callable[[], float], owner_token: str
    ) -> None:
        """`clock`: Unix seconds; `ticks`: monotonic. `owner_token`: what the owner types instead of a password; empty: he does not
        log in."""
        self._shelf = Shelf(records, "user", User)
        self._clock, self._owner = clock, digest(owner_token) if owner_token else None
        self._hasher, self._free = PasswordHasher(), asyncio.Semaphore(_AT_ONCE)
        self._nobody = ""
        # By user and address first: somebody else's tries must not lock a user out who comes from elsewhere.
        self._limits = (
            Attempts(ticks, burst=5, every_s=20.0),
            Attempts(ticks, burst=20, every_s=5.0),
            Attempts(ticks, burst=100, every_s=5.0),
        )

    async def check(self, name: str, password: str, address: str) -> Subject | None:
        """Who that is; None: nobody. Raises MustWait, StoreFailed."""
        address = source_of(address)
        sources = (f"{name} {address}", address, name)
        wait_s = max(limit.wait_s(source) for limit, source in zip(self._limits, sources, strict=True))
        if wait_s:
            raise MustWait(wait_s)
        for limit, source in zip(self._limits, sources, strict=True):
            limit.count(source)
        subject = await self._who(name, password)
        if subject is not None:
            self._limits[0].forget(sources[0])
        return subject

    async def put(self, name: str, password: str, *, groups: tuple[str, ...] = (), tenant: str = "default") -> None:
        """A new user. Raises CannotKeep, StoreFailed."""
        _check_name(name)
        user = User(
            name=name,
            password_hash=await self._hashed(password),
            groups=groups,
            tenant=tenant,
            since_s=self._clock(),
        )
        try:
            await self._shelf.add(name, user)
        except Conflict:
            raise CannotKeep(f"there is a user {name} already") from None

    async def change_password(self, name: str, password: str) -> None:
        """Raises CannotKeep, StoreFailed."""
        held = await self._shelf.get(name)
        if held is None:
            raise CannotKeep(f"there is no user {name}")
        hashed = await self._hashed(password)
        await self._changed(held, msgspec.structs.replace(held.value, password_hash=hashed))

    async def remove(self, name: str) -> bool:
        """Whether there was one. Raises StoreFailed."""
        return await self._shelf.remove(name)

    async def all(self) -> list[User]:
        """Raises StoreFailed."""
        return [held.value for held in await self._shelf.all()]

    async def current(self, subject: Subject) -> Subject | None:
        """Who that is now; of somebody else's users nothing more is known than what they said. Raises StoreFailed."""
        return subject if subject.provider else await self.subject(subject.name)

    async def subject(self, name: str) -> Subject | None:
        """Who that is now. Raises StoreFailed."""
        if name == OWNER:
            return Subject(OWNER)
        held = await self._shelf.get(name)
        return None if held is None else held.value.subject

    async def _who(self, name: str, password: str) -> Subject | None:
        if name == OWNER:
            # Random, so one hash of any kind is enough.
            is_he = self._owner is not None and hmac.compare_digest(digest(password), self._owner)
            return Subject(OWNER) if is_he else None
        held = await self._shelf.get(name) if _NAME.fullmatch(name) else None
        if len(password) > _MAX_CHARS:
            held, password = None, ""
        right = await self._matches(held.value.password_hash if held else await self._nobodys(), password)
        return held.value.subject if held is not None and right else None

    async def _matches(self, hashed: str, password: str) -> bool:
        async with self._free:
            try:
                return await asyncio.to_thread(self._hasher.verify, hashed, password)
            except (Argon2Error, InvalidHashError):
                return False

    async def _nobodys(self) -> str:
        if not self._nobody:
            async with self._free:
                self._nobody = await asyncio.to_thread(self._hasher.hash, "nobody has this password")
        return self._nobody

    async def _hashed(self, password: str) -> str:
        if not _MIN_CHARS <= len(password) <= _MAX_CHARS:
            raise CannotKeep(f"a password has {_MIN_CHARS} to {_MAX_CHARS} characters")
        async with self._free:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _changed(self, held: Held[User], user: User) -> None:
        try:
            await self._shelf.change(held, user)
        except Conflict:
            raise CannotKeep(f"user {user.name} was changed meanwhile; try again") from None


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name == OWNER:
        raise CannotKeep("a name has 1 to 64 of a-z 0-9 . _ @ + -, begins with a letter or a digit, and is not owner")
