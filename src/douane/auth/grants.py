"""What users have granted the gateway at upstreams: the vault.

Each grant is sealed, bound to whose it is and where it is good, so that a row that was moved to another opens nothing. What it
is found by is a keyed digest: the file tells nobody's name. Several processes may use one vault: of many that want to refresh
a grant one does it, the others read what came of it, and no refresh token is used twice.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from ..stores.ports import NEW, Conflict, Record, Records
from .login import Login
from .seal import Broken, Seal

__all__ = ["Allowed", "GrantGone", "Held", "Holding", "Owner", "Vault"]

logger = logging.getLogger(__name__)

_KIND, _CONSENT = "grant", "consent"
_CLAIM_S = 45.0
"""How long who refreshes a grant may take; then another tries: it may have been killed."""
_LOOK_AGAIN_S = 0.1
"""For what another process is about to write."""
_PAGE = 200
_CLOSING_S = 5.0
"""A refresh whose answer is lost costs its user another login."""


class GrantGone(Exception):
    """The issuer takes the refresh token no more: only the user can grant anew."""


class Owner(msgspec.Struct, frozen=True):
    """Whose a grant is: the same whichever client calls for them."""

    tenant: str
    subject: str


class Holding(msgspec.Struct, frozen=True):
    """Whose a grant is, and where it is good."""

    owner: Owner
    upstream: str
    issuer: str
    """As it calls itself, never normalised."""


class Allowed(msgspec.Struct, frozen=True):
    """A client that may use what its user has granted at an upstream."""

    owner: Owner
    upstream: str
    client: str


class Held(msgspec.Struct, frozen=True):
    """A grant as it stands in the vault."""

    holding: Holding
    login: Login
    version: int
    claimed_until_s: float
    """Somebody is refreshing it, until then at most."""


class _Content(msgspec.Struct, frozen=True, array_like=True):
    holding: Holding
    login: Login
    claimed_until_s: float


_pack = msgspec.msgpack.Encoder().encode
_unpack_allowed = msgspec.msgpack.Decoder(Allowed).decode
_unpack = msgspec.msgpack.Decoder(_Content).decode
_bound = msgspec.json.Encoder().encode


class Vault:
    """Grants by holding, over records that may be shared with other processes."""

    def __init__(
        self,
        records: Records,
        seal: Seal,
        index_key: bytes,
        now: Callable[[], float],
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`seal`: of a ring that lies elsewhere than the records. `index_key`: of what grants are found by; it never
        changes. `now`: Unix seconds."""
        self._records, self._seal, self._index_key, self._now, self._pause = records, seal, index_key, now, pause
        self._renewing: dict[Holding, asyncio.Task[Login | None]] = {}
        self.changed: list[Callable[[Holding, bool], None]] = []
        """Told of each grant that this process has put or dropped, and which of the two."""

    async def get(self, holding: Holding) -> Held | None:
        """Raises StoreFailed. What cannot be opened is not there: it is of a key that was lost, or of somebody else."""
        record = await self._records.get(_KIND, self._key(holding))
        return None if record is None else self._opened(record, holding)

    async def put(self, holding: Holding, login: Login) -> None:
        """Instead of whatever was there: the user has just granted it. Raises StoreFailed."""
        key = self._key(holding)
        while True:
            record = await self._records.get(_KIND, key)
            try:
                await self._write(holding, login, version=NEW if record is None else record.version)
            except Conflict:
                continue
            self._tell(holding, there=True)
            return

    async def drop(self, holding: Holding) -> bool:
        """Whether there was one. Raises StoreFailed."""
        key = self._key(holding)
        while True:
            record = await self._records.get(_KIND, key)
            if record is None:
                return False
            try:
                await self._records.take(_KIND, key, version=record.version)
            except Conflict:
                continue
            self._tell(holding, there=False)
            return True

    async def of(self, owner: Owner, upstream: str) -> list[Held]:
        """What one has granted at one upstream: of several issuers, where it has changed its own. Raises StoreFailed."""
        records = await self._records.find(_KIND, f"{upstream}/{self._digest(owner.tenant, owner.subject)}/")
        opened = (self._opened(record, None) for record in records)
        return [held for held in opened if held is not None]

    async def all(self) -> AsyncGenerator[Held]:
        """Every grant that can be opened. Raises StoreFailed."""
        after = ""
        while page := await self._records.find(_KIND, after=after, most=_PAGE):
            after = page[-1].key
            for record in page:
                held = self._opened(record, None)
                if held is not None:
                    yield held

    # --- which of their clients may use what they have granted ---

    async def allow(self, owner: Owner, upstream: str, client: str) -> None:
        """Raises StoreFailed."""
        key = self._consent(owner, upstream, client)
        sealed = self._seal.close(f"{_CONSENT} {key}", _pack(Allowed(owner, upstream, client))).encode()
        try:
            await self._records.put(_CONSENT, key, sealed, version=NEW)
        except Conflict:
            return

    async def disallow(self, owner: Owner, upstream: str, client: str) -> bool:
        """Whether it was allowed. Raises StoreFailed."""
        key = self._consent(owner, upstream, client)
        record = await self._records.get(_CONSENT, key)
        if record is None:
            return False
        try:
            await self._records.take(_CONSENT, key, version=record.version)
        except Conflict:
            # Somebody else has just done it.
            return False
        return True

    async def all_allowed(self) -> AsyncGenerator[Allowed]:
        """Who has allowed which client what. Raises StoreFailed."""
        after = ""
        while page := await self._records.find(_CONSENT, after=after, most=_PAGE):
            after = page[-1].key
            for record in page:
                try:
                    yield _unpack_allowed(self._seal.open(f"{_CONSENT} {record.key}", record.value.decode()))
                except (Broken, ValueError):
                    logger.warning("a consent cannot be opened: its key is not in the ring any more")

    async def allows(self, owner: Owner, upstream: str, client: str) -> bool:
        """Raises StoreFailed."""
        return await self._records.get(_CONSENT, self._consent(owner, upstream, client)) is not None

    # --- refreshing ---

    async def renewed(self, holding: Holding, stale: str, renew: Callable[[Login], Awaitable[Login]]) -> Login | None:
        """A grant whose access token is not `stale`; None when there is none any more.

        `renew` asks the issuer, once however many want it, here and elsewhere; it raises GrantGone, or why it cannot be
        asked now, which is raised here too.
        """
        task = self._renewing.get(holding)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._renew(holding, stale, renew))
            self._renewing[holding] = task
            task.add_done_callback(lambda task: self._ended(holding, task))
        # Who gives up waiting does not end it: the issuer may have changed the refresh token already.
        return await asyncio.shield(task)

    async def reseal(self) -> int:
        """Seal with the newest key what an older one sealed; how many were. Then the older can leave the ring."""
        return await self._reseal_grants() + await self._reseal_consents()

    async def _reseal_grants(self) -> int:
        changed, after = 0, ""
        while page := await self._records.find(_KIND, after=after, most=_PAGE):
            after = page[-1].key
            for record in page:
                held = None if self._is_newest(record) else self._opened(record, None)
                if held is None:
                    continue
                try:
                    await self._write(held.holding, held.login, version=held.version, claim_s=held.claimed_until_s)
                    changed += 1
                except Conflict:
                    # Whoever was faster has sealed it with his newest.
                    continue
        return changed

    async def _reseal_consents(self) -> int:
        # One that cannot be opened still allows, and nobody would be told that it does.
        changed, after = 0, ""
        while page := await self._records.find(_CONSENT, after=after, most=_PAGE):
            after = page[-1].key
            for record in page:
                if self._is_newest(record):
                    continue
                purpose = f"{_CONSENT} {record.key}"
                try:
                    anew = self._seal.close(purpose, self._seal.open(purpose, record.value.decode())).encode()
                    await self._records.put(_CONSENT, record.key, anew, version=record.version)
                    changed += 1
                except (Broken, ValueError, Conflict):
                    continue
        return changed

    def _is_newest(self, record: Record) -> bool:
        try:
            return self._seal.is_newest(record.value.decode())
        except ValueError:
            # Nothing of ours: to be found out where it is opened.
            return False

    async def aclose(self) -> None:
        """Let what is being refreshed be written down. Bounded."""
        if self._renewing:
            await asyncio.wait(tuple(self._renewing.values()), timeout=_CLOSING_S)

    def _ended(self, holding: Holding, task: "asyncio.Task[Login | None]") -> None:
        del self._renewing[holding]
        if not task.cancelled():
            # Everybody who waited may have given up.
            task.exception()

    async def _renew(self, holding: Holding, stale: str, renew: Callable[[Login], Awaitable[Login]]) -> Login | None:
        while True:
            held = await self.get(holding)
            if held is None or held.login.tokens.access != stale:
                return None if held is None else held.login
            if held.claimed_until_s > self._now():
                await self._pause(_LOOK_AGAIN_S)
                continue
            try:
                claimed = await self._write(holding, held.login, version=held.version, claim_s=self._now() + _CLAIM_S)
            except Conflict:
                continue
            return await self._renew_claimed(holding, held.login, claimed, renew)

    async def _renew_claimed(
        self, holding: Holding, login: Login, version: int, renew: Callable[[Login], Awaitable[Login]]
    ) -> Login | None:
        try:
            renewed = await renew(login)
        except GrantGone:
            try:
                await self._records.take(_KIND, self._key(holding), version=version)
                self._tell(holding, there=False)
            except Conflict:
                logger.info("a grant at %s was changed while its issuer refused to refresh it", holding.upstream)
            return None
        except BaseException:
            # Not refreshed: the next may try at once.
            await asyncio.shield(self._unclaim(holding, login, version))
            raise
        try:
            await self._write(holding, renewed, version=version)
        except Conflict:
            # It was revoked, or granted anew, meanwhile: that holds.
            held = await self.get(holding)
            return None if held is None else held.login
        return renewed

    async def _unclaim(self, holding: Holding, login: Login, version: int) -> None:
        try:
            await self._write(holding, login, version=version)
        except Conflict:
            logger.info("a grant at %s was changed while it could not be refreshed", holding.upstream)

    async def _write(self, holding: Holding, login: Login, *, version: int, claim_s: float = 0.0) -> int:
        content = _pack(_Content(holding, login, claim_s))
        sealed = self._seal.close(_purpose(self._key(holding)), content).encode()
        # Without a refresh token it is worth nothing once it has expired.
        expires_s = None if login.tokens.refresh else login.tokens.expires_s
        return await self._records.put(_KIND, self._key(holding), sealed, version=version, expires_s=expires_s)

    def _opened(self, record: Record, holding: Holding | None) -> Held | None:
        try:
            content = _unpack(self._seal.open(_purpose(record.key), record.value.decode()))
        except (Broken, ValueError):
            logger.warning("a grant cannot be opened: its key is not in the ring any more, or it was changed")
            return None
        # The key is a digest of all of it: who could write rows could still not choose what they open as.
        if self._key(content.holding) != record.key or (holding is not None and holding != content.holding):
            logger.warning("a grant lies under the name of another: it is passed over")
            return None
        return Held(content.holding, content.login, record.version, content.claimed_until_s)

    def _key(self, holding: Holding) -> str:
        owner = holding.owner
        return f"{holding.upstream}/{self._digest(owner.tenant, owner.subject)}/{self._digest(holding.issuer)}"

    def _consent(self, owner: Owner, upstream: str, client: str) -> str:
        return f"{upstream}/{self._digest(owner.tenant, owner.subject)}/{self._digest(client)}"

    def _digest(self, *words: str) -> str:
        return hmac.new(self._index_key, _bound(words), hashlib.sha256).hexdigest()

    def _tell(self, holding: Holding, *, there: bool) -> None:
        for told in self.changed:
            told(holding, there)


def _purpose(key: str) -> str:
    return f"grant {key}"
