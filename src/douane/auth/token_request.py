"""Asking an authorization server for tokens, whatever they are asked with, and reading what it answers.

Spec: RFC 6749 §5; RFC 8707 §2.2; RFC 9449 §5, §8.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from .challenge import scopes_of
from .credentials import LoginFailed
from .dance import Dance, Unseen, object_in, plain
from .discovery import AuthorizationServer
from .dpop import DpopKey
from .exchange import HttpRequest, HttpResponse
from .oauth_client import OAuthClient, proved

__all__ = ["TokenRefused", "Tokens", "posted_form", "request_tokens", "token_response"]

_TOKEN = re.compile(r"[\x21-\x7e]+")
_SECONDS = re.compile(r"[0-9]{1,10}")
_MAX_TOKEN = 64 * 1024


class TokenRefused(LoginFailed):
    """The authorization server said no; `error` is its word for why. Spec: RFC 6749 §5.2."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


class Tokens(Unseen, frozen=True, kw_only=True):
    access: str
    kind: str = "Bearer"
    """Or `DPoP`."""
    expires_s: float | None = None
    """Unix seconds; None: it was not said."""
    refresh: str | None = None
    scopes: tuple[str, ...] = ()
    """That were granted, as far as it was said; else those that were asked for."""


def request_tokens(
    server: AuthorizationServer,
    client: OAuthClient,
    form: Mapping[str, str],
    *,
    now_s: float,
    scopes: Sequence[str] = (),
    dpop: DpopKey | None = None,
) -> Dance[Tokens]:
    """Raises TokenRefused, LoginFailed. `scopes`: those asked for."""
    url = server.token_endpoint
    for is_last in (False, True):
        response = yield posted_form(server, client, form, now_s, dpop)
        wants_nonce = dpop is not None and dpop.hear(url, response.header("dpop-nonce"))
        # Nothing was used up: it was not even looked at.
        if not (wants_nonce and not is_last and _error_of(response) == "use_dpop_nonce"):
            return _tokens(server, token_response(server.issuer, response), now_s, scopes, dpop)
    raise AssertionError("the last one returns")


def posted_form(
    server: AuthorizationServer, client: OAuthClient, form: Mapping[str, str], now_s: float, dpop: DpopKey | None = None
) -> HttpRequest:
    """`form`, to the token endpoint, from a client that proves itself. Raises LoginFailed."""
    url = server.token_endpoint
    headers, body = proved(client, server, dict(form), now_s)
    headers |= {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    if dpop is not None:
        headers["dpop"] = dpop.proof("POST", url, now_s)
    return HttpRequest("POST", url, headers, urlencode(body).encode())


def token_response(issuer: str, response: HttpResponse) -> dict[str, Any]:
    """What a token endpoint granted. Raises TokenRefused, LoginFailed."""
    found = object_in(response)
    if response.status == 200 and found is not None:
        return found
    error = found.get("error") if found is not None else None
    if found is not None and isinstance(error, str) and 400 <= response.status < 500:
        why = found.get("error_description")
        said = f"{plain(error, 60)}: {plain(why)}" if isinstance(why, str) and why else plain(error, 60)
        raise TokenRefused(error, f"authorization server: {issuer} gives no token: {said}")
    raise LoginFailed(f"authorization server: {issuer} answers a request for a token with status {response.status}")


def _error_of(response: HttpResponse) -> object:
    return (object_in(response) or {}).get("error") if response.status in (400, 401) else None


def _tokens(
    server: AuthorizationServer, found: Mapping[str, Any], now_s: float, asked: Sequence[str], dpop: DpopKey | None
) -> Tokens:
    access, refresh, scope = found.get("access_token"), found.get("refresh_token"), found.get("scope")
    if not isinstance(access, str) or len(access) > _MAX_TOKEN or not _TOKEN.fullmatch(access):
        raise LoginFailed(f"authorization server: {server.issuer} grants a token that is none")
    kind = {"bearer": "Bearer", "dpop": "DPoP"}.get(str(found.get("token_type")).lower())
    if kind is None or (kind == "DPoP" and dpop is None):
        raise LoginFailed(
            f"authorization server: {server.issuer} grants a token of type {plain(found.get('token_type'), 40)!r},"
            " which nobody here knows how to use"
        )
    return Tokens(
        access=access,
        kind=kind,
        expires_s=_ends(found.get("expires_in"), now_s),
        refresh=refresh if isinstance(refresh, str) and refresh else None,
        scopes=scopes_of(scope) if isinstance(scope, str) else tuple(asked),
    )


def _ends(said: object, now_s: float) -> float | None:
    # Some write the number as text.
    seconds = (
        float(said) if isinstance(said, int | float) or (isinstance(said, str) and _SECONDS.fullmatch(said)) else None
    )
    return None if seconds is None or seconds <= 0 else now_s + seconds
