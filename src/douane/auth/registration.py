"""How a client gets its client id: it has one, it shows a document of its own, or it registers.

Spec: basic/authorization/client-registration.mdx; draft-ietf-oauth-client-id-metadata-document; RFC 7591; OpenID Connect
Registration §2 (`application_type`).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .credentials import LoginFailed
from .dance import Dance, Unseen, object_in, plain
from .discovery import AuthorizationServer
from .exchange import HttpRequest, HttpResponse
from .oauth_client import Method, OAuthClient, with_method
from .tokens import is_loopback

__all__ = ["Applicant", "client_for", "document_fault"]

_USUAL: tuple[Method, ...] = ("none", "client_secret_basic", "client_secret_post")
"""What is asked for, the first that the server takes: this client cannot keep a secret better than a token."""


class Applicant(Unseen, frozen=True, kw_only=True):
    """What we say of ourselves to an authorization server that we have not met."""

    name: str = "Douane"
    given: OAuthClient | None = None
    """That it was registered with by hand."""
    issuer: str | None = None
    """Who has given it."""
    method: Method | None = None
    """How to prove it; without, whatever the server takes."""
    document_url: str | None = None
    """Where our own metadata can be read: then this URL is our client id."""
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")


def document_fault(url: str) -> str | None:
    """Why `url` cannot be a client id, or None."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path in ("", "/"):
        return "is not an https URL with a path"
    if "#" in url or "@" in parts.netloc or any(part in (".", "..") for part in parts.path.split("/")):
        return "has a fragment, a user name or a dot segment"
    return None


def client_for(
    who: Applicant,
    server: AuthorizationServer,
    known: Mapping[str, OAuthClient],
    *,
    redirect_uri: str,
    now_s: float,
) -> Dance[OAuthClient]:
    """The client that `who` is to `server`. `known`: those it was given before, by issuer. Raises LoginFailed."""
    if who.given is not None:
        if who.issuer is not None and who.issuer != server.issuer:
            raise LoginFailed(
                f"client: its client id was given by {who.issuer!r}, and the server now wants a token of"
                f" {plain(server.issuer)!r}; nothing was sent there. Register with that one, and change the settings"
            )
        return with_method(who.given, server, who.method)
    if who.document_url is not None and server.client_id_metadata_document_supported:
        fault = document_fault(who.document_url)
        if fault is not None:
            raise LoginFailed(f"client: the client id {who.document_url!r} {fault}")
        return OAuthClient(id=who.document_url)
    before = known.get(server.issuer)
    if before is not None and before.redirect_uri == redirect_uri and not _has_ended(before, now_s):
        return before
    if server.registration_endpoint is None:
        raise LoginFailed(
            f"client: {server.issuer} registers nobody by itself; register there by hand, with the redirect URI"
            f" {redirect_uri}, and give the client id"
        )
    wanted = _wanted(server)
    response = yield _registration(who, server.registration_endpoint, redirect_uri, wanted)
    return _registered(server, response, redirect_uri, wanted)


def _has_ended(client: OAuthClient, now_s: float) -> bool:
    return client.expires_s is not None and client.expires_s <= now_s


def _wanted(server: AuthorizationServer) -> Method:
    taken = server.token_endpoint_auth_methods_supported
    for method in _USUAL:
        if taken is None or method in taken:
            return method
    return "client_secret_basic"


def _registration(who: Applicant, url: str, redirect_uri: str, method: Method) -> HttpRequest:
    host = urlsplit(redirect_uri).hostname or ""
    body = {
        "client_name": who.name,
        "redirect_uris": [redirect_uri],
        "grant_types": list(who.grant_types),
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
        "application_type": "native" if is_loopback(host) else "web",
    }
    headers = {"accept": "application/json", "content-type": "application/json"}
    return HttpRequest("POST", url, headers, msgspec.json.encode(body))


def _registered(server: AuthorizationServer, response: HttpResponse, redirect_uri: str, wanted: Method) -> OAuthClient:
    found = object_in(response) or {}
    if response.status not in (200, 201):
        why = plain(found.get("error_description") or found.get("error") or f"status {response.status}")
        raise LoginFailed(
            f"authorization server: {server.issuer} does not register this client with the redirect URI {redirect_uri}:"
            f" {why}"
        )
    id_, secret, method = found.get("client_id"), found.get("client_secret"), _method(found, wanted)
    if not isinstance(id_, str) or not id_ or method is None:
        raise LoginFailed(
            f"authorization server: {server.issuer} answers a registration with no client id that could be used"
        )
    if method != "none" and not isinstance(secret, str):
        raise LoginFailed(
            f"authorization server: {server.issuer} wants the client to prove itself and gave it no secret"
        )
    ends = found.get("client_secret_expires_at")
    return OAuthClient(
        id=id_,
        method=method,
        secret=secret if isinstance(secret, str) and method != "none" else None,
        redirect_uri=redirect_uri,
        expires_s=float(ends) if isinstance(ends, int | float) and ends > 0 else None,
    )


def _method(found: Mapping[str, Any], wanted: Method) -> Method | None:
    """None: one that we cannot use."""
    said = found.get("token_endpoint_auth_method", wanted)
    return next((method for method in _USUAL if method == said), None)
