"""Ways to log in for programs that no user sits before: by a secret or a key of their own, by the identity their platform gives
them, or by who their user is at the identity provider of an enterprise.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any

from ..auth.dance import perform
from ..auth.discovery import find_authorization_server
from ..auth.dpop import DpopKey
from ..auth.exchange import Fetch
from ..auth.login import Found, Login
from ..auth.machine import assertion_grant, client_credentials, identity_assertion
from ..auth.oauth_client import OAuthClient, with_method
from .oauth_settings import Settings

__all__ = ["ClientCredentials", "EnterpriseIdentity", "Token", "WorkloadIdentity"]

Token = str | Callable[[str], str | Awaitable[str]]
"""A token of somebody else's, or what makes one for an audience: an issuer."""


class ClientCredentials(Settings, frozen=True, kw_only=True):
    """A program of its own, by a secret or a private key."""

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


class WorkloadIdentity(Settings, frozen=True, kw_only=True):
    """A program whose platform signs who it is: a Kubernetes service account, the identity of a cloud."""

    token: Token
    """The JWT of the platform, for the issuer of the authorization server."""

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


class EnterpriseIdentity(Settings, frozen=True, kw_only=True):
    """A user whom the identity provider of his enterprise knows, and which decides what he may use."""

    provider: str
    """The issuer of the identity provider."""
    provider_client_id: str
    provider_client_secret: str | None = None
    id_token: Token
    """What the provider said when the user logged in there."""

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
