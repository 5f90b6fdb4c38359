"""What a way of logging in has to be able to do, for `LoggedIn` to make credentials of it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..auth.discovery import AuthorizationServer
from ..auth.dpop import DpopKey
from ..auth.exchange import Fetch
from ..auth.login import Found, Login
from ..auth.oauth_client import OAuthClient

__all__ = ["Way"]


class Way(Protocol):
    """How tokens are got."""

    @property
    def issuer(self) -> str | None:
        """The one authorization server that may be asked, if it is known."""
        ...

    @property
    def scopes(self) -> Sequence[str]:
        """To ask for where the server does not say."""
        ...

    @property
    def knows_itself(self) -> bool:
        """It has brought its own client: that is not kept."""
        ...

    def itself(self, server: AuthorizationServer) -> OAuthClient: ...

    async def log_in(
        self,
        found: Found,
        scopes: tuple[str, ...],
        known: Mapping[str, OAuthClient],
        fetch: Fetch,
        dpop: DpopKey | None,
    ) -> Login:
        """Raises LoginFailed."""
        ...
