"""What all ways of logging in by OAuth have in common: who the client is, where it is known, and where its login is kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..auth.credentials import LoginFailed
from ..auth.dance import Unseen
from ..auth.discovery import AuthorizationServer
from ..auth.dpop import DpopKey
from ..auth.exchange import Fetch
from ..auth.login import Found, Login
from ..auth.oauth_client import Method, OAuthClient, with_method
from .logged_in import LoggedIn
from .login_store import LoginFiles, LoginStore, MemoryLogins

__all__ = ["Settings"]


class Settings(Unseen, frozen=True, kw_only=True):
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

    def credentials(self, url: str, fetch: Fetch) -> LoggedIn:
        """For the server at `url`. `fetch` reaches as far as requests to it do."""
        return LoggedIn(url, self, fetch, self.kept_in())

    async def log_in(
        self,
        found: Found,
        scopes: tuple[str, ...],
        known: Mapping[str, OAuthClient],
        fetch: Fetch,
        dpop: DpopKey | None,
    ) -> Login:
        """See `Way`. Each way has its own."""
        raise NotImplementedError

    @property
    def knows_itself(self) -> bool:
        return self.client_id is not None

    def itself(self, server: AuthorizationServer) -> OAuthClient:
        if self.issuer is not None and server.issuer != self.issuer:
            raise LoginFailed(
                f"client: its client id was given by {self.issuer!r}, and the server wants a token of {server.issuer!r};"
                " nothing was sent there. Register with that one, and change the settings"
            )
        return with_method(self.given(), server, self.token_endpoint_auth_method)

    def given(self) -> OAuthClient:
        return OAuthClient(
            id=self.client_id or "",
            secret=self.client_secret,
            private_key=self.private_key,
            algorithm=self.algorithm,
        )

    def kept_in(self) -> LoginStore:
        if self.store is None:
            return MemoryLogins()
        return LoginFiles(self.store) if isinstance(self.store, Path) else self.store
