"""Ways to log in to a server by OAuth, for `Client(url, auth=...)`.

`OAuth` sends a user to his browser, `DeviceLogin` shows him a code to type in one elsewhere. Programs that no user sits before
log in by what is in `identities`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from ..auth import device_login
from ..auth.authorization import Pending
from ..auth.credentials import LoginFailed
from ..auth.dance import perform
from ..auth.device_login import Shown
from ..auth.dpop import DpopKey
from ..auth.exchange import Fetch
from ..auth.login import Found, Login, begin, settle
from ..auth.oauth_client import OAuthClient
from ..auth.registration import Applicant
from .oauth_settings import Settings
from .user_agent import Loopback, Show, show_in_browser

__all__ = ["DeviceLogin", "OAuth", "Visit"]

Visit = Callable[[str], Awaitable[str]]
"""Sends a user to a URL; the URL, or its query, that he was sent back to."""


class OAuth(Settings, frozen=True, kw_only=True):
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
            given=self.given() if self.knows_itself else None,
            issuer=self.issuer,
            method=self.token_endpoint_auth_method,
            document_url=self.client_metadata_url,
        )


def _port_before(client: OAuthClient | None) -> int:
    """Whoever registered with a port need not register again while he comes back to it."""
    return 0 if client is None or client.redirect_uri is None else urlsplit(client.redirect_uri).port or 0


class DeviceLogin(Settings, frozen=True, kw_only=True):
    """A user logs in elsewhere, by a code that this program shows."""

    tell: Callable[[Shown], None]
    """Shows the code, and where it is to be typed. Must not wait for anybody."""
    client_name: str = "Douane"

    async def log_in(
        self,
        found: Found,
        scopes: tuple[str, ...],
        known: Mapping[str, OAuthClient],
        fetch: Fetch,
        dpop: DpopKey | None,
    ) -> Login:
        given = self.given() if self.knows_itself else None
        who = Applicant(name=self.client_name, given=given, issuer=self.issuer, method=self.token_endpoint_auth_method)
        next_ = await perform(device_login.ask(found, who, known, scopes=scopes, now_s=time.time()), fetch)
        self.tell(next_)
        while isinstance(next_, Shown):
            await asyncio.sleep(next_.interval_s)
            if time.time() >= next_.expires_s:
                raise LoginFailed("client: nobody has typed the code in time; log in once more")
            next_ = await perform(device_login.poll(found, next_, now_s=time.time(), dpop=dpop), fetch)
        return next_
