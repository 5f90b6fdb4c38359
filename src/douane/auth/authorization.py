"""Sending a user to an authorization server, and what comes back with him.

What is recorded before he leaves is compared when he returns: the state, and the issuer that may have sent him. Nothing of an
answer that is not from there is used or shown, not even its error.
Spec: OAuth 2.1 §4.1, §7.5; RFC 7636; RFC 9207 §2.4; RFC 8707 §2.1; basic/authorization/index.mdx (authorization response validation).
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from .credentials import LoginFailed
from .dance import Dance, Unseen, plain
from .discovery import AuthorizationServer
from .dpop import DpopKey
from .oauth_client import OAuthClient
from .token_request import Tokens, request_tokens

__all__ = ["Pending", "code_of", "redeem", "send_away"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_MAX_ANSWER = 16 * 1024
Draw = Callable[[int], bytes]


class Pending(Unseen, frozen=True, kw_only=True):
    """A user who was sent away. Whoever keeps it keeps what makes his answer worth something: nowhere but where secrets are."""

    url: str
    """Where he goes."""
    state: str
    verifier: str
    server: AuthorizationServer
    client: OAuthClient
    redirect_uri: str
    resource: str
    scopes: tuple[str, ...] = ()
    dpop: Mapping[str, Any] | None = None
    """The key, as `DpopKey.kept` has it."""


def send_away(
    server: AuthorizationServer,
    client: OAuthClient,
    *,
    redirect_uri: str,
    resource: str,
    scopes: tuple[str, ...] = (),
    dpop: DpopKey | None = None,
    draw: Draw = secrets.token_bytes,
) -> Pending:
    """Raises LoginFailed. `draw`: so many random bytes."""
    where = server.authorization_endpoint
    if where is None:
        raise LoginFailed(f"authorization server: {server.issuer} has no page where a user could log in")
    if "S256" not in (server.code_challenge_methods_supported or ()):
        raise LoginFailed(
            f"authorization server: {server.issuer} does not say that it has PKCE with S256, without which whoever sees"
            " the answer of a login can take it over (`code_challenge_methods_supported`)"
        )
    state, verifier = _text(draw(32)), _text(draw(32))
    asked = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": _text(hashlib.sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
        "resource": resource,
    }
    if scopes:
        asked["scope"] = " ".join(scopes)
    if "offline_access" in scopes:
        # Spec: OpenID Connect Core §11. Without, some grant no refresh token.
        asked["prompt"] = "consent"
    if dpop is not None:
        asked["dpop_jkt"] = dpop.thumbprint
    return Pending(
        url=f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}",
        state=state,
        verifier=verifier,
        server=server,
        client=client,
        redirect_uri=redirect_uri,
        resource=resource,
        scopes=scopes,
        dpop=None if dpop is None else dpop.kept(),
    )


def code_of(pending: Pending, returned: str) -> str:
    """The code in what came back: the URL that the user was sent to, or its query. Raises LoginFailed."""
    answer = _answer(returned)
    if not secrets.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
        raise LoginFailed("client: what came back does not belong to this login (`state`); nothing of it was used")
    issuer = answer.get("iss")
    if issuer is None and pending.server.authorization_response_iss_parameter_supported:
        raise LoginFailed(
            f"authorization server: {pending.server.issuer} says that it signs its answers (`iss`), and this one is not;"
            " nothing of it was used"
        )
    if issuer is not None and issuer != pending.server.issuer:
        raise LoginFailed(
            f"authorization server: the answer says that it is of {plain(issuer)!r}, and the user was sent to"
            f" {pending.server.issuer!r}; nothing of it was used"
        )
    if "error" in answer:
        why = f": {plain(answer['error_description'])}" if "error_description" in answer else ""
        raise LoginFailed(f"authorization server: the login was refused: {plain(answer['error'], 60)}{why}")
    code = answer.get("code")
    if not code:
        raise LoginFailed("authorization server: its answer holds no code")
    return code


def _answer(returned: str) -> dict[str, str]:
    query = urlsplit(returned).query if _URL.match(returned) else returned.removeprefix("?")
    try:
        pairs = parse_qsl(query[:_MAX_ANSWER], keep_blank_values=True, max_num_fields=32, errors="strict")
    except ValueError:
        raise LoginFailed("client: what came back from the login cannot be read; nothing of it was used") from None
    answer = dict(pairs)
    if len(answer) != len(pairs):
        # Spec: OAuth 2.1 §3.1. Of two that differ, somebody else may read the other one.
        raise LoginFailed("client: what came back from the login says something twice; nothing of it was used")
    return answer


def redeem(pending: Pending, returned: str, *, now_s: float, dpop: DpopKey | None = None) -> Dance[Tokens]:
    """Raises LoginFailed. `dpop`: the key the login began with, where there was one."""
    form = {
        "grant_type": "authorization_code",
        "code": code_of(pending, returned),
        "redirect_uri": pending.redirect_uri,
        "code_verifier": pending.verifier,
        "resource": pending.resource,
    }
    return (
        yield from request_tokens(pending.server, pending.client, form, now_s=now_s, scopes=pending.scopes, dpop=dpop)
    )


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
