"""Where the gateway's tokens for one upstream come from; what goes wrong is said by whose fault it is.

A caller is told the layer and the remedy. What the other side said stands in the log.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from .credentials import LoginFailed
from .dance import Dance, perform
from .discovery import AuthorizationServer, find_authorization_server
from .exchange import Fetch
from .oauth_client import OAuthClient, with_method
from .token_request import TokenRefused, Tokens, request_tokens

__all__ = ["ACCESS_TOKEN", "TokenSource"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_KEPT_S = 3600.0
"""How long an issuer's metadata are believed."""
_OF_THE_CALLER = frozenset({"invalid_grant", "invalid_request"})
"""What an endpoint says to a token that it does not exchange. Spec: RFC 8693 §2.2.2."""


class TokenSource:
    def __init__(
        self,
        upstream: str,
        client: OAuthClient,
        server: AuthorizationServer | str,
        *,
        fetch: Fetch,
        now: Callable[[], float],
        scopes: tuple[str, ...] = (),
        resource: str = "",
    ) -> None:
        """`upstream`: its name, for what is said. `server`: or its issuer, then it is asked for its metadata. `now`: Unix
        seconds."""
        self._upstream, self._client, self._fetch, self._now = upstream, client, fetch, now
        self._scopes, self._resource = scopes, resource
        self._issuer = server if isinstance(server, str) else server.issuer
        self._known = None if isinstance(server, str) else server
        self._known_until_s = 0.0 if self._known is None else float("inf")

    async def own(self, more: frozenset[str]) -> Tokens:
        """A token for the gateway itself. Raises LoginFailed."""
        try:
            return await self._asked({"grant_type": "client_credentials"}, more)
        except TokenRefused as exc:
            raise self._refused(exc) from None

    async def exchanged(self, subject_token: str, more: frozenset[str], kind: str, audience: str = "") -> Tokens:
        """A token for whose `subject_token`, of `kind`, it is. Raises LoginFailed. Spec: RFC 8693."""
        form = {
            "grant_type": _EXCHANGE,
            "subject_token": subject_token,
            "subject_token_type": kind,
            "requested_token_type": ACCESS_TOKEN,
        }
        try:
            return await self._asked(form | ({"audience": audience} if audience else {}), more)
        except TokenRefused as exc:
            if exc.error not in _OF_THE_CALLER:
                raise self._refused(exc) from None
            logger.warning("upstream %s: a caller's token is not exchanged: %s", self._upstream, exc)
            said = (
                f"client: your token is not taken in exchange for one of upstream {self._upstream}, so nothing was sent"
            )
            raise LoginFailed(f"{said}; log in again, or ask the operator whether you may use it") from None

    async def _asked(self, form: dict[str, str], more: frozenset[str]) -> Tokens:
        scopes = tuple(dict.fromkeys((*self._scopes, *sorted(more))))
        form |= {"resource": self._resource} if self._resource else {}
        form |= {"scope": " ".join(scopes)} if scopes else {}
        server = await self._server()
        return await self._perform(
            request_tokens(server, with_method(self._client, server, None), form, now_s=self._now(), scopes=scopes)
        )

    async def _server(self) -> AuthorizationServer:
        if self._known is None or self._known_until_s <= self._now():
            self._known = await self._perform(find_authorization_server(self._issuer))
            self._known_until_s = self._now() + _KEPT_S
        return self._known

    async def _perform(self, dance: Dance[T]) -> T:
        try:
            return await perform(dance, self._fetch)
        except TokenRefused:
            raise
        except LoginFailed as exc:
            logger.warning("upstream %s: no token can be had: %s", self._upstream, exc)
            layer = "network" if str(exc).startswith("network:") else "upstream"
            said = f"{layer}: no token can be had for upstream {self._upstream}, so nothing was sent; try again later"
            raise LoginFailed(f"{said}, the gateway's log says why") from None

    def _refused(self, refused: TokenRefused) -> LoginFailed:
        logger.warning("upstream %s: no token is given: %s", self._upstream, refused)
        said = (
            f"gateway: its credentials for upstream {self._upstream} are not taken ({refused.error}), nothing was sent"
        )
        return LoginFailed(f"{said}; the operator has to set upstreams.{self._upstream}.auth")
