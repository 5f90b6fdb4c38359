"""How a client describes itself, in a registration or in a document: read whole, or not at all. Spec: RFC 7591 §2."""

from typing import Any

import msgspec

from ...wire import json
from .assertions import key_set
from .redirects import is_loopback, registrable

__all__ = ["Described", "NotDescribed", "read_described"]

_MAX_URIS = 20


class NotDescribed(ValueError):
    """What is wrong with a description; `code` is of RFC 7591 §3.2.2."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Described(msgspec.Struct, frozen=True):
    redirect_uris: tuple[str, ...]
    client_id: str = ""
    client_name: str = ""
    client_secret: str | None = None
    application_type: str | None = None
    token_endpoint_auth_method: str = "none"
    """Where nothing is said RFC 7591 would have a secret; whoever says nothing of it is better off without."""
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    response_types: tuple[str, ...] = ("code",)
    jwks: dict[str, Any] | None = None

    @property
    def refreshes(self) -> bool:
        return "refresh_token" in self.grant_types


def read_described(body: bytes) -> Described:
    """Raises NotDescribed."""
    try:
        described = msgspec.convert(json.decode(body), Described)
    except msgspec.ValidationError as exc:
        code = "invalid_redirect_uri" if "redirect_uris" in str(exc) else "invalid_client_metadata"
        raise NotDescribed(code, _ascii(str(exc))) from None
    except ValueError:
        raise NotDescribed("invalid_client_metadata", "it must be one JSON object") from None
    _check_redirects(described)
    _check_use(described)
    return described


def _check_redirects(described: Described) -> None:
    uris = described.redirect_uris
    if not 0 < len(uris) <= _MAX_URIS:
        raise NotDescribed("invalid_redirect_uri", f"redirect_uris must list 1 to {_MAX_URIS} URIs")
    if not all(registrable(uri) for uri in uris):
        words = "a redirect URI must be https with a path, or http on 127.0.0.1, [::1] or localhost"
        raise NotDescribed("invalid_redirect_uri", words)
    # Where nothing is said it would be "web" too; older clients say nothing and listen on this machine.
    if described.application_type == "web" and any(is_loopback(uri) for uri in uris):
        raise NotDescribed("invalid_redirect_uri", "a redirect URI on this machine needs application_type native")


def _check_use(described: Described) -> None:
    if described.application_type not in (None, "web", "native"):
        raise NotDescribed("invalid_client_metadata", "application_type must be web or native")
    if "authorization_code" not in described.grant_types:
        raise NotDescribed("invalid_client_metadata", "grant_types must include authorization_code")
    if "code" not in described.response_types:
        raise NotDescribed("invalid_client_metadata", "response_types must include code")
    if described.token_endpoint_auth_method == "private_key_jwt" and not _has_keys(described.jwks):
        raise NotDescribed("invalid_client_metadata", "private_key_jwt needs its public keys (jwks)")


def _has_keys(jwks: dict[str, Any] | None) -> bool:
    try:
        return jwks is not None and bool(key_set(jwks).keys)
    except ValueError:
        return False


def _ascii(text: str) -> str:
    # Spec: RFC 6749 §5.2, of what an error_description may be written with.
    return "".join(char if " " <= char <= "~" and char not in '"\\' else "'" for char in text)[:200]
