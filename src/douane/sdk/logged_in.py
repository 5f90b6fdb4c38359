"""The credentials of one server that is logged in to: headers, and another login or a new token when they are refused.

Many requests that are refused at once cause one refresh: the first does it, the others find that it was done. A person is
sent away for one login at a time, and those who waited for it share what came of it.
Spec: basic/authorization/index.mdx (step-up authorization flow); RFC 9449 §7, §9; RFC 6750 §3.1.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ..auth.challenge import Demand, demand_of, scopes_of
from ..auth.credentials import Challenge, Header, LoginFailed
from ..auth.dance import Unseen, perform, plain
from ..auth.dpop import DpopKey, nonce_of
from ..auth.exchange import Fetch
from ..auth.login import Found, Login, discover, refresh, wanted_scopes
from ..auth.oauth_client import OAuthClient
from ..auth.token_request import TokenRefused
from .login_store import LoginStore
from .way import Way

__all__ = ["LoggedIn"]

T = TypeVar("T")

_EARLY_S = 30.0
"""So long before its end a token is not used any more: it has to arrive, too."""

_ENDED = frozenset(("invalid_grant", "invalid_client", "unauthorized_client"))
"""Why a token can not be refreshed now or later."""


class Kept(Unseen, frozen=True, kw_only=True):
    login: Login | None = None
    clients: Mapping[str, OAuthClient] = msgspec.field(default_factory=dict[str, OAuthClient])
    """That we are already, by issuer."""


class LoggedIn:
    """`Credentials` for the server at one URL."""

    def __init__(
        self, url: str, way: Way, fetch: Fetch, store: LoginStore, now: Callable[[], float] = time.time
    ) -> None:
        """`now`: Unix seconds."""
        self._url, self._way, self._fetch, self._store, self._now = url, way, fetch, store, now
        self._kept = Kept()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._dpop: DpopKey | None = None
        self._is_read = False
        self._is_new = False
        """Its token is of a whole login, not of a refresh."""
        self._refusals = 0
        """Logins that came to nothing."""
        self._refusal = ""
        """Why the last of them did."""

    async def headers(self, method: str, url: str) -> Sequence[Header]:
        if not self._is_read:
            await self._read()
        login = self._kept.login
        if login is None:
            return ()
        if self._has_ended(login) and login.tokens.refresh is not None:
            await self._to_its_end(self._refresh_alone(login))
            login = self._kept.login
        return () if login is None else self._headers(login, method, url)

    async def _refresh_alone(self, login: Login) -> None:
        async with self._store.alone(self._url):
            await self._read()
            if self._kept.login == login:
                await self._refreshed(login)

    def _has_ended(self, login: Login) -> bool:
        return login.tokens.expires_s is not None and login.tokens.expires_s - _EARLY_S <= self._now()

    def _headers(self, login: Login, method: str, url: str) -> Sequence[Header]:
        tokens = login.tokens
        header = (b"authorization", f"{tokens.kind} {tokens.access}".encode("ascii"))
        if tokens.kind != "DPoP" or self._dpop is None:
            return (header,)
        return header, (b"dpop", self._dpop.proof(method, url, self._now(), tokens.access).encode("ascii"))

    async def renew(self, challenge: Challenge, method: str, url: str) -> bool:
        demand = demand_of(challenge.www_authenticate)
        if self._dpop is not None:
            self._dpop.hear(url, challenge.dpop_nonce)
            if demand is not None and demand.params.get("error") == "use_dpop_nonce":
                # Another request may have been told of it first: what counts is what this one was sent with.
                sent = next((nonce_of(value) for name, value in challenge.sent if name == b"dpop"), None)
                return challenge.dpop_nonce is not None and challenge.dpop_nonce != sent
        return await self._to_its_end(self._renew_alone(demand, challenge, self._refusals))

    async def _renew_alone(self, demand: Demand | None, challenge: Challenge, refusals: int) -> bool:
        async with self._store.alone(self._url):
            await self._read()
            if self._refusals > refusals:
                raise LoginFailed(self._refusal)
            if self._is_done(challenge):
                return True
            if challenge.status == 403:
                return await self._step_up(demand)
            return await self._let_in(demand, challenge)

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` comes to. Whoever gives up waiting must not leave a token used up and its successor unread."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if task.cancelled() and waiting is not None and not waiting.cancelling():
                raise LoginFailed("client: it was closed before it was logged in") from None
            raise

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def aclose(self) -> None:
        """Give up what is under way. What is kept, stays."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _is_done(self, challenge: Challenge) -> bool:
        """Whether somebody has already got what the refused request did not carry."""
        login = self._kept.login
        if login is None:
            return False
        header = (b"authorization", f"{login.tokens.kind} {login.tokens.access}".encode("ascii"))
        return header not in challenge.sent

    async def _let_in(self, demand: Demand | None, challenge: Challenge) -> bool:
        login = self._kept.login
        # Asked again each time: the authorization server may be another one by now.
        found = await self._found(demand, login)
        if login is not None and login.server.issuer == found.server.issuer:
            if challenge.before > 0 and self._is_new:
                raise LoginFailed(
                    f"upstream: refuses the token that {found.server.issuer} has just granted for"
                    f" {plain(found.protected.resource)}: they do not agree about each other"
                )
            if challenge.before == 0 and login.tokens.refresh is not None and await self._refreshed(login):
                return True
            before = login.asked
        else:
            before = ()
        await self._log_in(found, wanted_scopes(found, before, self._way.scopes))
        return True

    async def _step_up(self, demand: Demand | None) -> bool:
        """Ask for what the request needs beside what we have. False: that was asked for before, or nothing is missing."""
        login = self._kept.login
        params: Mapping[str, str] = {} if demand is None else demand.params
        missing = scopes_of(params.get("scope"))
        if params.get("error") != "insufficient_scope" or not missing:
            return False
        if login is not None and set(missing) <= set(login.asked):
            raise LoginFailed(
                f"upstream: wants the scope {' '.join(missing)}, which was asked for and does not help; ask whoever"
                f" grants rights at {login.server.issuer}"
            )
        found = await self._found(demand, login)
        same = login is not None and login.server.issuer == found.server.issuer
        await self._log_in(found, wanted_scopes(found, login.asked if login is not None and same else ()))
        return True

    async def _found(self, demand: Demand | None, login: Login | None) -> Found:
        prefers = self._way.issuer or (login.server.issuer if login is not None else None)
        return await perform(discover(self._url, demand, prefers=prefers), self._fetch)

    async def _log_in(self, found: Found, scopes: tuple[str, ...]) -> None:
        dpop = None
        if found.wants_dpop:
            dpop = self._dpop = self._dpop or DpopKey()
        try:
            login = await self._way.log_in(found, scopes, self._kept.clients, self._fetch, dpop)
        except LoginFailed as exc:
            self._refusals += 1
            self._refusal = str(exc)
            raise
        clients = dict(self._kept.clients)
        if login.client.redirect_uri is not None and not self._way.knows_itself:
            clients[login.server.issuer] = login.client
        await self._keep(Kept(login=login, clients=clients))
        self._is_new = True

    async def _refreshed(self, login: Login) -> bool:
        """False: there is nothing to refresh any more, and somebody has to log in again."""
        try:
            login = await perform(refresh(login, now_s=self._now(), dpop=self._dpop), self._fetch)
        except TokenRefused as exc:
            if exc.error not in _ENDED:
                raise
            # Used before, by a thief or by us before a crash; or revoked, or too old. Or nobody knows the client any more.
            issuer = login.server.issuer if exc.error != "invalid_grant" else None
            clients = {known: client for known, client in self._kept.clients.items() if known != issuer}
            await self._keep(Kept(clients=clients))
            return False
        await self._keep(Kept(login=login, clients=self._kept.clients))
        self._is_new = False
        return True

    # --- what is kept ---

    async def _read(self) -> None:
        """Take over what is kept, where another process may have changed it."""
        self._is_read = True
        value = await self._store.get(self._url)
        if value is None:
            return
        try:
            kept = msgspec.json.decode(value, type=Kept)
        except msgspec.MsgspecError:
            # Of another version, or damaged. Nobody loses more than a login.
            return
        login = kept.login
        if login is not None and self._way.knows_itself:
            login = self._as_set(login)
            kept = msgspec.structs.replace(kept, login=login)
        if kept != self._kept:
            self._kept, self._is_new = kept, False
            if login is not None and login.dpop is not None:
                self._dpop = DpopKey(dict(login.dpop))

    def _as_set(self, login: Login) -> Login | None:
        """`login` with the secret of the settings; None where they are of another client by now."""
        try:
            client = self._way.itself(login.server)
        except LoginFailed:
            return None
        return msgspec.structs.replace(login, client=client) if client.id == login.client.id else None

    async def _keep(self, kept: Kept) -> None:
        self._kept = kept
        login = kept.login
        if login is not None and self._way.knows_itself:
            # Its secret is in the settings, and need not be in two places.
            bare = msgspec.structs.replace(login.client, secret=None, private_key=None)
            kept = msgspec.structs.replace(kept, login=msgspec.structs.replace(login, client=bare))
        await self._store.put(self._url, msgspec.json.encode(kept))
