"""What users have granted at one upstream, as the credentials of their calls; and what one still has to grant.

A grant is read again every other second, so that one that was revoked, here or by another process, is good for no longer.
"""

import logging
from collections.abc import Callable, Sequence

from ..stores.ports import StoreFailed
from .credentials import Challenge, Header, LoginFailed
from .dance import perform
from .exchange import Fetch
from .grants import GrantGone, Held, Holding, Owner, Vault
from .login import Login, refresh
from .obtained import bearer, lacking, renew_at_s
from .token_request import TokenRefused

__all__ = ["Granted", "UserGrants"]

logger = logging.getLogger(__name__)

_BELIEVED_S = 2.0
_MAX_KEPT = 10_000
_JUST_S = 60.0
"""What is refused within this time of being granted or refreshed is not asked for again: it would be refused again."""


class UserGrants:
    """Of one upstream."""

    def __init__(
        self, upstream: str, vault: Vault, fetch: Fetch, now: Callable[[], float], *, issuer: str | None = None
    ) -> None:
        """`issuer`: whose grants are good; None: of whoever the upstream has named to the user. `now`: Unix seconds."""
        self.upstream, self.vault, self.fetch, self.now, self._issuer = upstream, vault, fetch, now, issuer
        self._wanted: dict[Owner, frozenset[str]] = {}
        """Scopes that the upstream has asked for and nobody has granted yet."""
        self._allowed: dict[tuple[Owner, str], float] = {}
        self._read: dict[Owner, tuple[Held, float]] = {}
        self._known: dict[Owner, None] = {}
        self.on_known: list[Callable[[], None]] = []
        """Told when somebody has become known, or is known no more."""
        vault.changed.append(self._hear)

    def know(self, owner: Owner, *, there: bool = True) -> None:
        """`owner` has granted something, as far as it is known here; or has not."""
        if there == (owner in self._known):
            return
        if there:
            self._known[owner] = None
        else:
            del self._known[owner]
        for told in self.on_known:
            told()

    def knows(self, owner: Owner) -> bool:
        return owner in self._known

    def anybody(self) -> Owner | None:
        """One of those who are known: each time another, since what one has granted may be of no use."""
        owner = next(iter(self._known), None)
        if owner is not None:
            del self._known[owner]
            self._known[owner] = None
        return owner

    def _hear(self, holding: Holding, there: bool) -> None:
        if holding.upstream == self.upstream and self._issuer in (None, holding.issuer):
            self.changed(holding.owner)
            self.know(holding.owner, there=there)

    def lend(self, owner: Owner) -> "Granted":
        return Granted(self, owner)

    async def lacks(self, owner: Owner, client: str, scopes: frozenset[str] = frozenset()) -> frozenset[str] | None:
        """The scopes that have to be granted before `client` may call for `owner`, beside the usual; None: nothing has.

        `scopes`: that are wanted in any case. Raises StoreFailed.
        """
        wanted = self._wanted.get(owner, frozenset()) | scopes
        held = await self.held(owner)
        if held is None or wanted - frozenset(held.login.asked):
            return wanted
        self._wanted.pop(owner, None)
        return None if await self._is_allowed(owner, client) else frozenset()

    async def held(self, owner: Owner) -> Held | None:
        """As it was read a moment ago at the longest. Raises StoreFailed."""
        kept, until_s = self._read.get(owner, (None, 0.0))
        if kept is not None and until_s > self.now():
            return kept
        self._read.pop(owner, None)
        found = await self.vault.of(owner, self.upstream)
        held = next((held for held in found if self._issuer in (None, held.holding.issuer)), None)
        self.know(owner, there=held is not None)
        if held is not None:
            if len(self._read) >= _MAX_KEPT:
                self._read.clear()
            self._read[owner] = (held, self.now() + _BELIEVED_S)
        return held

    def changed(self, owner: Owner) -> None:
        """What `owner` has granted is not what it was."""
        self._read.pop(owner, None)

    def want(self, owner: Owner, scopes: frozenset[str]) -> None:
        """The upstream wants them for what `owner` has asked of it."""
        if len(self._wanted) >= _MAX_KEPT:
            self._wanted.clear()
        self._wanted[owner] = self._wanted.get(owner, frozenset()) | scopes

    async def _is_allowed(self, owner: Owner, client: str) -> bool:
        now_s = self.now()
        if self._allowed.get((owner, client), 0.0) > now_s:
            return True
        if not await self.vault.allows(owner, self.upstream, client):
            return False
        if len(self._allowed) >= _MAX_KEPT:
            self._allowed.clear()
        self._allowed[owner, client] = now_s + _BELIEVED_S
        return True


class Granted:
    """What one user has granted. A `Credentials`."""

    def __init__(self, grants: UserGrants, owner: Owner) -> None:
        self._grants, self._owner = grants, owner
        self._version = 0
        self._got_s = self._refused_s = 0.0

    async def headers(self, method: str, url: str) -> Sequence[Header]:
        held = await self._read()
        if held is None:
            raise self._missing()
        tokens = held.login.tokens
        if tokens.refresh is not None and renew_at_s(tokens.expires_s, self._got_s) <= self._grants.now():
            return bearer((await self._renewed(held)).tokens)
        return bearer(tokens)

    async def renew(self, challenge: Challenge, method: str, url: str) -> bool:
        more = lacking(challenge)
        if challenge.status == 403:
            if not more:
                return False
            self._grants.want(self._owner, more)
            raise self._missing()
        held = await self._read()
        if held is None:
            raise self._missing()
        if tuple(challenge.sent) != bearer(held.login.tokens):
            return challenge.before == 0
        if challenge.before or self._grants.now() - self._refused_s < _JUST_S:
            return False
        if held.login.tokens.refresh is not None:
            await self._renewed(held)
            self._refused_s = self._grants.now()
            return True
        if self._grants.now() - self._got_s < _JUST_S:
            return False
        await self._grants.vault.drop(held.holding)
        raise self._missing()

    async def _read(self) -> Held | None:
        try:
            held = await self._grants.held(self._owner)
        except StoreFailed as exc:
            logger.error("what was granted at %s cannot be read: %s", self._grants.upstream, exc)
            raise LoginFailed("gateway: what you have granted cannot be read, so nothing was sent") from None
        if held is not None and held.version != self._version:
            self._version, self._got_s = held.version, self._grants.now()
        return held

    async def _renewed(self, held: Held) -> Login:
        try:
            login = await self._grants.vault.renewed(held.holding, held.login.tokens.access, self._refreshed)
        except StoreFailed as exc:
            logger.error("what was granted at %s cannot be kept: %s", self._grants.upstream, exc)
            raise LoginFailed("gateway: what you have granted cannot be kept, so nothing was sent") from None
        self._grants.changed(self._owner)
        if login is None:
            raise self._missing()
        return login

    async def _refreshed(self, login: Login) -> Login:
        try:
            return await perform(refresh(login, now_s=self._grants.now()), self._grants.fetch)
        except TokenRefused as exc:
            if exc.error == "invalid_grant":
                raise GrantGone from None
            raise self._not_now(exc) from None
        except LoginFailed as exc:
            raise self._not_now(exc) from None

    def _not_now(self, exc: LoginFailed) -> LoginFailed:
        upstream = self._grants.upstream
        logger.warning("what was granted at %s cannot be refreshed: %s", upstream, exc)
        layer = "network" if str(exc).startswith("network:") else "upstream"
        said = f"{layer}: what you have granted at {upstream} cannot be refreshed now, so nothing was sent"
        return LoginFailed(f"{said}; try again later, the gateway's log says why")

    def _missing(self) -> LoginFailed:
        return LoginFailed(f"client: you have to log in at {self._grants.upstream} before it can be called for you")
