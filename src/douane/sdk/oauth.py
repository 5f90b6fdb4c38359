"""Ways to log in to a server by OAuth, for `Client(url, auth=...)`.

`OAuth` sends a user to his browser, `DeviceLogin` shows him a code to type in one elsewhere. The others are for programs that no user sits before: by a secret or a key of their own,
by the identity their platform gives them, or by who their user is at the identity provider of an enterprise.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..auth import device_login
from ..auth.authorization import Pending
from ..auth.credentials import LoginFailed
from ..auth.dance import Unseen, perform
from ..auth.device_login import Shown
from ..auth.discovery import AuthorizationServer, find_authorization_server
from ..auth.dpop import DpopKey
from ..auth.exchange import Fetch
from ..auth.login import Found, Login, begin, settle
from ..auth.machine import assertion_grant, client_credentials, identity_assertion
from ..auth.oauth_client import Method, OAuthClient, with_method
from ..auth.registration import Applicant
from .logged_in import LoggedIn
from .login_store import LoginFiles, LoginStore, MemoryLogins
from .user_agent import Loopback, Show, show_in_browser

__all__ = ["ClientCredentials", "DeviceLogin", "EnterpriseIdentity", "OAuth", "Token", "Visit", "WorkloadIdentity"]

Visit = Callable[[str], Awaitable[str]]
"""Sends a user to a URL; the URL, or its query, that he was sent back to."""
Token = str | Callable[[str], str | Awaitable[str]]
"""A token of somebody else's, or what makes one for an audience: an issuer."""


class _Settings(Unseen, frozen=True, kw_only=True):
    client_id: str | None = None
    """Where it was registered by hand."""
    client_secret: str | None = None
    private_key: str | None = None
    """PEM, in place of a secret."""
    algorithm: str | None = None
    """Of its signature; without, what is usual for the key."""
    token_endpoint_auth_method: Method | None = None
    """Without, the first that the authorization server takes."""
    issuer: str | None = None
    """The authorization server that gave the client id. No other is sent it."""
    scopes: Sequence[str] = ()
    """To ask for where the server does not say what it needs."""
    store: LoginStore | Path | None = None
    """Where the login is kept: a folder, for example. Without, until the program ends."""

    @property
    def knows_itself(self) -> bool:
        return self.client_id is not None

    def itself(self, server: AuthorizationServer) -> OAuthClient:
        if self.issuer is not None and server.issuer != self.issuer:
            raise LoginFailed(
                f"client: its client id was given by {self.issuer!r}, and the server wants a token of {server.issuer!r};"
                " nothing was sent there. Register with that one, and change the settings"
            )
        return with_method(self._given(), server, self.token_endpoint_auth_method)

    def _given(self) -> OAuthClient:
        return OAuthClient(
            id=self.client_id or "",
            secret=self.client_secret,
            private_key=self.private_key,
            algorithm=self.algorithm,
        )

    def _store(self) -> LoginStore:
        if self.store is None:
            return MemoryLogins()
        return LoginFiles(self.store) if isinstance(self.store, Path) else self.store


class OAuth(_Settings, frozen=True, kw_only=True):
    """A user logs in in his browser, and is asked whether he agrees."""

    client_metadata_url: str | None = None
    """Where the metadata of this client can be read (https): then that is its client id wherever it is understood."""
    client_name: str = "Douane"
    redirect_uri: str | None = None
    """With `visit`: where the user comes back to."""
    port: int = 0
    """On this machine, to come back to; 0 for any that is free."""
    visit: Visit | None = None
    """In place of a browser on this machine."""
    show: Show = show_in_browser
    patience_s: float = 300.0
    """How long a user may take."""

    def credentials(self, url: str, fetch: Fetch) -> LoggedIn:
        return LoggedIn(url, self, fetch, self._store())

    async def log_in(
        self,
        found: Found,
        scopes: tuple[str, ...],
        known: Mapping[str, OAuthClient],
        fetch: Fetch,
        dpop: DpopKey | None,
    ) -> Login:
        async def away(redirect_uri: str, visit: Callable[[Pending], Awaitable[str]]) -> Login:
            pending = await perform(
                begin(
                    found,
                    self._applicant(),
                    known,
                    redirect_uri=redirect_uri,
                    scopes=scopes,
                    now_s=time.time(),
                    dpop=dpop,
                ),
                fetch,
            )
            try:
                returned = await asyncio.wait_for(visit(pending), self.patience_s)
            except TimeoutError:
                raise LoginFailed(f"client: nobody logged in within {self.patience_s:g} s") from None
            return await perform(settle(pending, returned, now_s=time.time(), dpop=dpop), fetch)

        if self.visit is not None:
            visit = self.visit
            if self.redirect_uri is None:
                raise LoginFailed("client: who brings a `visit` has to say the `redirect_uri` that it waits at")
            return await away(self.redirect_uri, lambda pending: visit(pending.url))
        async with Loopback.listening(self.port or _port_before(known.get(found.server.issuer))) as back:
            return await away(back.redirect_uri, lambda pending: back.visit(pending.url, pending.state, self.show))

    def _applicant(self) -> Applicant:
        return Applicant(
            name=self.client_name,
            given=self._given() if self.knows_itself else None,
            issuer=self.issuer,
            method=self.token_endpoint_auth_method,
            document_url=self.client_metadata_url,
        )


def _port_before(client: OAuthClient | None) -> int:
    """Whoever registered with a port need not register again while he comes back to it."""
    return 0 if client is None or client.redirect_uri is None else urlsplit(client.redirect_uri).port or 0


class DeviceLogin(_Settings, frozen=True, kw_only=True):
    """A user logs in elsewhere, by a code that this program shows."""

    tell: Callable[[Shown], None]
    """Shows the code, and where it is to be typed. Must not wait for anybody."""
    client_name: str = "Douane"

    def credentials(self, url: str, fetch: Fetch) -> LoggedIn:
        return LoggedIn(url, self, fetch, self._store())

    async def log_in(
        self,
        found: Found,
        scopes: tuple[str, ...],
        known: Mapping[str, OAuthClient],
        fetch: Fetch,
        dpop: DpopKey | None,
    ) -> Login:
        given = self._given() if self.knows_itself else None
        who = Applicant(name=self.client_name, given=given, issuer=self.issuer, method=self.token_endpoint_auth_method)
        next_ = await perform(device_login.ask(found, who, known, scopes=scopes, now_s=time.time()), fetch)
        self.tell(next_)
        while isinstance(next_, Shown):
            await asyncio.sleep(next_.interval_s)
            if time.time() >= next_.expires_s:
                raise LoginFailed("client: nobody has typed the code in time; log in once more")
            next_ = await perform(device_login.poll(found, next_, now_s=time.time(), dpop=dpop), fetch)
        return next_


class ClientCredentials(_Settings, frozen=True, kw_only=True):
    """A program of its own, by a secret or a private key."""

    def credentials(self, url: str, fetch: Fetch) -> LoggedIn:
        return LoggedIn(url, self, fetch, self._store())

    async def log_in(
        self,
        found: Found,
        scopes: tuple[str, ...],
        known: Mapping[str, OAuthClient],
        fetch: Fetch,
        dpop: DpopKey | None,
    ) -> Login:
        client = self.itself(found.server)
        return await perform(
            client_credentials(found, client, _without_offline(scopes), now_s=time.time(), dpop=dpop), fetch
        )


class WorkloadIdentity(_Settings, frozen=True, kw_only=True):
    """A program whose platform signs who it is: a Kubernetes service account, the identity of a cloud."""

    token: Token
    """The JWT of the platform, for the issuer of the authorization server."""

    def credentials(self, url: str, fetch: Fetch) -> LoggedIn:
        return LoggedIn(url, self, fetch, self._store())

    async def log_in(
        self,
        found: Found,
        scopes: tuple[str, ...],
        known: Mapping[str, OAuthClient],
        fetch: Fetch,
        dpop: DpopKey | None,
    ) -> Login:
        client = self.itself(found.server)
        assertion = await _made(self.token, found.server.issuer)
        dance = assertion_grant(found, client, assertion, _without_offline(scopes), now_s=time.time(), dpop=dpop)
        return await perform(dance, fetch)


class EnterpriseIdentity(_Settings, frozen=True, kw_only=True):
    """A user whom the identity provider of his enterprise knows, and which decides what he may use."""

    provider: str
    """The issuer of the identity provider."""
    provider_client_id: str
    provider_client_secret: str | None = None
    id_token: Token
    """What the provider said when the user logged in there."""

    def credentials(self, url: str, fetch: Fetch) -> LoggedIn:
        return LoggedIn(url, self, fetch, self._store())

    async def log_in(
        self,
        found: Found,
        scopes: tuple[str, ...],
        known: Mapping[str, OAuthClient],
        fetch: Fetch,
        dpop: DpopKey | None,
    ) -> Login:
        client, scopes = self.itself(found.server), _without_offline(scopes)
        provider = await perform(find_authorization_server(self.provider), fetch)
        there = with_method(OAuthClient(id=self.provider_client_id, secret=self.provider_client_secret), provider, None)
        subject = await _made(self.id_token, self.provider)
        exchange = identity_assertion(provider, there, subject, found, scopes, now_s=time.time())
        assertion = await perform(exchange, fetch)
        return await perform(assertion_grant(found, client, assertion, scopes, now_s=time.time(), dpop=dpop), fetch)


def _without_offline(scopes: tuple[str, ...]) -> tuple[str, ...]:
    # Nobody is away: whoever has the credential can ask again.
    return tuple(scope for scope in scopes if scope != "offline_access")


async def _made(token: Token, audience: str) -> str:
    if isinstance(token, str):
        return token
    made: Any = token(audience)
    return await made if isawaitable(made) else made
