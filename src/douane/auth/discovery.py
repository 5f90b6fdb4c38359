"""Where a server sends those who want in: its own metadata first, then that of its authorization server.

Issuers are compared as they are written, and metadata that names another than it was asked of is not used.
Spec: basic/authorization/authorization-server-discovery.mdx; RFC 9728 §3, §7.3; RFC 8414 §3; OpenID Connect Discovery §4.
Of servers of 2025-03-26 there is no metadata of their own: they are taken for their authorization server.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .credentials import LoginFailed
from .dance import Dance, endpoint, object_in, origin_of, plain, same_origin
from .exchange import HttpRequest

__all__ = ["AuthorizationServer", "Protected", "find_authorization_server", "find_protected"]

_AS_JSON = {"accept": "application/json"}
_PROTECTED = "/.well-known/oauth-protected-resource"
_SERVER = "/.well-known/oauth-authorization-server"
_OPENID = "/.well-known/openid-configuration"
_MAX_NAMED = 8
_RETRIED = frozenset((429, 500, 502, 503, 504))
"""Says nothing of whether the document is there."""


class Protected(msgspec.Struct, frozen=True, kw_only=True):
    """A server, as its metadata describe it. Spec: RFC 9728 §2."""

    resource: str
    """What tokens are asked for."""
    issuers: tuple[str, ...]
    scopes: tuple[str, ...] | None = None
    wants_dpop: bool = False
    is_older: bool = False
    """It has no metadata, so its own origin is asked to be its authorization server."""


class _Said(msgspec.Struct, frozen=True):
    authorization_servers: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] | None = None
    dpop_signing_alg_values_supported: tuple[str, ...] | None = None
    dpop_bound_access_tokens_required: bool = False


class AuthorizationServer(msgspec.Struct, frozen=True, kw_only=True):
    """Spec: RFC 8414 §2, RFC 9207 §3, RFC 9449 §5.1, draft-ietf-oauth-client-id-metadata-document."""

    issuer: str
    token_endpoint: str
    authorization_endpoint: str | None = None
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    """Spec: RFC 8628 §4."""
    scopes_supported: tuple[str, ...] | None = None
    grant_types_supported: tuple[str, ...] | None = None
    code_challenge_methods_supported: tuple[str, ...] | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] | None = None
    dpop_signing_alg_values_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool = False
    client_id_metadata_document_supported: bool = False


def find_protected(url: str, named: str | None) -> Dance[Protected]:
    """The metadata of the server at `url`. `named`: where its challenge says that they are. Raises LoginFailed."""
    asked: list[str] = []
    for place in _protected_places(url, named):
        response = yield HttpRequest("GET", place, _AS_JSON)
        found = object_in(response) if response.status == 200 else None
        if found is not None:
            return _protected(url, found)
        if response.status in _RETRIED:
            raise LoginFailed(f"upstream: {place} is answered with status {response.status}; try again later")
        asked.append(f"{place} ({response.status})")
    if named is not None:
        raise LoginFailed(f"upstream: there are no metadata where it says they are: {', '.join(asked)}")
    return Protected(resource=url, issuers=(origin_of(url),), is_older=True)


def _protected_places(url: str, named: str | None) -> list[str]:
    if named is not None:
        # A server that is spoken to without TLS cannot hide more than it does already.
        return [
            named if same_origin(named, url) else endpoint(named, "upstream: the `resource_metadata` of its challenge")
        ]
    origin, path = origin_of(url), urlsplit(url).path
    return [f"{origin}{_PROTECTED}{path}", f"{origin}{_PROTECTED}"] if path.strip("/") else [f"{origin}{_PROTECTED}"]


def _protected(url: str, found: Mapping[str, Any]) -> Protected:
    resource = found.get("resource")
    if not isinstance(resource, str) or not _is_for(resource, url):
        raise LoginFailed(
            f"upstream: its metadata are of {plain(resource)!r}, not of {url}: a token for it could be used elsewhere;"
            " nothing was asked of its authorization server"
        )
    try:
        said = msgspec.convert(found, _Said)
    except msgspec.ValidationError as exc:
        raise LoginFailed(f"upstream: its metadata cannot be read: {exc}") from None
    if not said.authorization_servers:
        raise LoginFailed("upstream: its metadata name no authorization server (`authorization_servers`)")
    return Protected(
        resource=resource,
        issuers=said.authorization_servers[:_MAX_NAMED],
        scopes=said.scopes_supported,
        wants_dpop=said.dpop_bound_access_tokens_required or bool(said.dpop_signing_alg_values_supported),
    )


def _is_for(resource: str, url: str) -> bool:
    """Whether `resource` is the server at `url`, or all that is below a path of it."""
    try:
        if not same_origin(resource, url) or "#" in resource:
            return False
        named, used = urlsplit(resource), urlsplit(url)
    except ValueError:
        return False
    above = named.path.rstrip("/")
    is_below = used.path.rstrip("/") == above or used.path.startswith(above + "/")
    return is_below and named.query in ("", used.query)


def find_authorization_server(issuer: str, *, is_older: bool = False) -> Dance[AuthorizationServer]:
    """The metadata of `issuer`. Raises LoginFailed."""
    endpoint(issuer, "upstream: its authorization server")
    asked: list[str] = []
    for place in _server_places(issuer):
        response = yield HttpRequest("GET", place, _AS_JSON)
        found = object_in(response) if response.status == 200 else None
        if found is not None:
            return _server(issuer, found, is_older=is_older)
        if response.status in _RETRIED:
            raise LoginFailed(
                f"authorization server: {place} is answered with status {response.status}; try again later"
            )
        asked.append(f"{place} ({response.status})")
    if is_older:
        # Spec: 2025-03-26 basic/authorization.mdx §2.3.3. That revision has PKCE without saying so in metadata.
        return AuthorizationServer(
            issuer=issuer,
            authorization_endpoint=f"{issuer}/authorize",
            token_endpoint=f"{issuer}/token",
            registration_endpoint=f"{issuer}/register",
            code_challenge_methods_supported=("S256",),
        )
    raise LoginFailed(f"authorization server: {issuer} has no metadata: {', '.join(asked)}")


def _server_places(issuer: str) -> Iterator[str]:
    origin, path = origin_of(issuer), urlsplit(issuer).path.rstrip("/")
    yield f"{origin}{_SERVER}{path}"
    yield f"{origin}{_OPENID}{path}"
    if path:
        yield f"{origin}{path}{_OPENID}"


def _server(issuer: str, found: Mapping[str, Any], *, is_older: bool) -> AuthorizationServer:
    said = found.get("issuer")
    # Of a server of 2025-03-26 nobody has written an issuer, only its origin: with and without the slash it is the same.
    if said != issuer and not (is_older and said == issuer + "/"):
        raise LoginFailed(
            f"authorization server: the metadata of {issuer!r} say that they are of {plain(said)!r}; they must be equal,"
            " to the last character, and are not used"
        )
    try:
        server = msgspec.convert(found, AuthorizationServer)
    except msgspec.ValidationError as exc:
        raise LoginFailed(f"authorization server: the metadata of {issuer!r} cannot be read: {exc}") from None
    endpoint(server.token_endpoint, "authorization server: its token endpoint")
    for what in ("authorization", "registration", "revocation", "device_authorization"):
        url = getattr(server, f"{what}_endpoint")
        if url is not None:
            endpoint(url, f"authorization server: its {what} endpoint")
    return server
