"""Logging in to a server, from its refusal to tokens: dances, which somebody else performs.

`discover` finds out what the server wants; `begin` says where to send the user, and `settle` makes tokens of what came back
with him. Between the two may lie minutes and another process: all that is needed then is in `Pending`. `refresh` goes on
with what was granted before.
Spec: basic/authorization/index.mdx.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .authorization import Pending, redeem, send_away
from .challenge import Demand, scopes_of
from .credentials import LoginFailed
from .dance import Dance, Unseen, endpoint
from .discovery import AuthorizationServer, Protected, find_authorization_server, find_protected
from .dpop import DpopKey
from .oauth_client import OAuthClient
from .registration import Applicant, client_for
from .token_request import Tokens, request_tokens

__all__ = ["Found", "Login", "begin", "discover", "refresh", "settle", "wanted_scopes"]

_OFFLINE = "offline_access"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a server wants, and who can give it."""

    protected: Protected
    server: AuthorizationServer
    challenged: tuple[str, ...] = ()
    """The scopes that the refused request needs."""
    wants_dpop: bool = False


class Login(Unseen, frozen=True, kw_only=True):
    """What was granted, and by whom: to be kept where secrets are."""

    resource: str
    server: AuthorizationServer
    client: OAuthClient
    tokens: Tokens
    asked: tuple[str, ...] = ()
    """All scopes asked for so far."""
    dpop: Mapping[str, Any] | None = None
    """The key its tokens are bound to, as `DpopKey.kept` has it."""


def discover(url: str, demand: Demand | None, *, prefers: str | None = None) -> Dance[Found]:
    """What the server at `url` wants, that has answered with `demand`. Raises LoginFailed.

    `prefers`: the authorization server to take, where several are named.
    """
    params = demand.params if demand is not None else {}
    protected = yield from find_protected(url, params.get("resource_metadata"))
    issuer = prefers if prefers is not None and prefers in protected.issuers else protected.issuers[0]
    server = yield from find_authorization_server(issuer, is_older=protected.is_older)
    wants_dpop = protected.wants_dpop or (demand is not None and demand.scheme == "dpop")
    return Found(
        protected=protected,
        server=server,
        challenged=scopes_of(params.get("scope")),
        wants_dpop=wants_dpop and "ES256" in (server.dpop_signing_alg_values_supported or ()),
    )


def wanted_scopes(found: Found, before: Sequence[str] = (), instead: Sequence[str] = ()) -> tuple[str, ...]:
    """The scopes to ask for: what the request needs and what was asked for `before`.

    Where it does not say, all that the server has, or those of `instead`. Spec: index.mdx (scope selection strategy).
    """
    needed = found.challenged or tuple(instead) or found.protected.scopes or ()
    scopes = dict.fromkeys((*before, *needed))
    if scopes and _OFFLINE in (found.server.scopes_supported or ()):
        scopes[_OFFLINE] = None
    return tuple(scopes)


def begin(
    found: Found,
    who: Applicant,
    known: Mapping[str, OAuthClient],
    *,
    redirect_uri: str,
    scopes: tuple[str, ...],
    now_s: float,
    dpop: DpopKey | None = None,
) -> Dance[Pending]:
    """Where the user is to go. Raises LoginFailed. `known`: the clients we are already, by issuer."""
    endpoint(redirect_uri, "client: its redirect URI", "use https, or this machine")
    client = yield from client_for(who, found.server, known, redirect_uri=redirect_uri, now_s=now_s)
    return send_away(
        found.server,
        client,
        redirect_uri=redirect_uri,
        resource=found.protected.resource,
        scopes=scopes,
        dpop=dpop,
    )


def settle(pending: Pending, returned: str, *, now_s: float, dpop: DpopKey | None = None) -> Dance[Login]:
    """What was granted to the user who came back with `returned`, a URL or its query. Raises LoginFailed."""
    if dpop is None and pending.dpop is not None:
        dpop = DpopKey(dict(pending.dpop))
    tokens = yield from redeem(pending, returned, now_s=now_s, dpop=dpop)
    return Login(
        resource=pending.resource,
        server=pending.server,
        client=pending.client,
        tokens=tokens,
        asked=pending.scopes,
        dpop=pending.dpop,
    )


def refresh(login: Login, *, now_s: float, dpop: DpopKey | None = None) -> Dance[Login]:
    """`login` with new tokens. Raises TokenRefused when it has to be begun anew, LoginFailed."""
    before = login.tokens
    if before.refresh is None:
        raise LoginFailed(f"authorization server: {login.server.issuer} has granted nothing to refresh with")
    if dpop is None and login.dpop is not None:
        dpop = DpopKey(dict(login.dpop))
    form = {"grant_type": "refresh_token", "refresh_token": before.refresh, "resource": login.resource}
    tokens = yield from request_tokens(login.server, login.client, form, now_s=now_s, scopes=before.scopes, dpop=dpop)
    if tokens.refresh is None:
        # Spec: RFC 6749 §6. Not rotated: the old one stays.
        tokens = msgspec.structs.replace(tokens, refresh=before.refresh)
    return msgspec.structs.replace(login, tokens=tokens)
