"""Keys for programs that cannot log in: made here, shown once, kept as a digest, each with an end and with its own scopes.

A key is `dk_ID_SECRET`. The id finds it, so that nothing is compared with all keys; the secret is 256 random bits, for which a
plain SHA-256 is as good as a slow one. `douane key` writes the records that a running gateway reads.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from ..stores.ports import NEW, Conflict, Record, Records, StoreFailed
from .tokens import Identity
from .verified import BadToken, Unreachable, Verified

__all__ = ["PREFIX", "ApiKey", "ApiKeySource", "all_keys", "make_key", "revoke_key"]

logger = logging.getLogger(__name__)

PREFIX = "dk_"
"""So that scanners for leaked secrets can know one."""
_KIND = "api_key"
_LOOK_AGAIN_S = 2.0
"""A key that was revoked is refused within five seconds (FEATURES I10); doors and streams take their part of that."""
_USED_EVERY_S = 60.0


class ApiKey(msgspec.Struct, frozen=True):
    id: str
    subject: str
    digest: str
    """SHA-256 of the secret, in hex."""
    made_s: float
    ends_s: float
    """Unix seconds."""
    name: str = ""
    """What it is for, in its owner's words."""
    groups: tuple[str, ...] = ()
    tenant: str = "default"
    scopes: tuple[str, ...] = ()
    used_s: float | None = None
    """When it was last used, to the minute."""

    @property
    def identity(self) -> Identity:
        scopes = frozenset(self.scopes)
        return Identity(self.subject, frozenset(self.groups), self.tenant, f"{PREFIX}{self.id}", scopes)


async def make_key(
    records: Records,
    subject: str,
    *,
    now_s: float,
    ends_s: float,
    name: str = "",
    groups: Sequence[str] = (),
    tenant: str = "default",
    scopes: Sequence[str] = (),
) -> tuple[str, ApiKey]:
    """The key itself, which is nowhere else, and what is kept of it. Raises StoreFailed."""
    id_, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    made = ApiKey(id_, subject, _digest(secret), now_s, ends_s, name, tuple(groups), tenant, tuple(scopes))
    await records.put(_KIND, id_, msgspec.json.encode(made), version=NEW)
    return f"{PREFIX}{id_}_{secret}", made


async def all_keys(records: Records) -> Sequence[ApiKey]:
    """In order of their making. Raises StoreFailed."""
    found: list[ApiKey] = []
    while page := await records.find(_KIND, after=found[-1].id if found else ""):
        found += [_key(record) for record in page]
    return sorted(found, key=lambda key: key.made_s)


async def revoke_key(records: Records, id_: str) -> ApiKey | None:
    """What it was; None when there is none. Raises StoreFailed."""
    while (record := await records.get(_KIND, id_)) is not None:
        try:
            await records.take(_KIND, id_, version=record.version)
        except Conflict:
            # It was used in the same moment, and that was written down.
            continue
        return _key(record)
    return None


class ApiKeySource:
    """A `Source`."""

    asks = False

    def __init__(self, records: Records, resources: frozenset[str], now: Callable[[], float]) -> None:
        """`resources`: the URLs of all endpoints; a key is good at each. `now`: Unix seconds."""
        self._records, self._resources, self._now = records, resources, now

    def takes(self, token: str) -> bool:
        return token.startswith(PREFIX)

    async def verify(self, token: str) -> Verified:
        id_, _, secret = token.removeprefix(PREFIX).partition("_")
        try:
            record = await self._records.get(_KIND, id_)
        except StoreFailed as exc:
            raise Unreachable(f"keys cannot be read: {exc}") from None
        key = None if record is None else _key(record)
        if key is None or record is None or not hmac.compare_digest(key.digest, _digest(secret)):
            raise BadToken("it is not known here")
        now_s = self._now()
        if key.ends_s <= now_s:
            raise BadToken("it has expired")
        await self._used(record, key, now_s)
        return Verified(key.identity, self._resources, min(key.ends_s, now_s + _LOOK_AGAIN_S))

    async def _used(self, record: Record, key: ApiKey, now_s: float) -> None:
        if key.used_s is not None and now_s - key.used_s < _USED_EVERY_S:
            return
        try:
            value = msgspec.json.encode(replace(key, used_s=now_s))
            await self._records.put(_KIND, key.id, value, version=record.version)
        except Conflict:
            # Another process was faster, or it was revoked just now: the next look tells.
            pass
        except StoreFailed as exc:
            logger.warning("the last use of a key cannot be written down: %s", exc)


def _key(record: Record) -> ApiKey:
    return msgspec.json.decode(record.value, type=ApiKey)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
