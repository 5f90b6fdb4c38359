"""Who we are to an authorization server: a client id, and how we prove that it is ours.

Spec: OAuth 2.1 §2.4; RFC 6749 §2.3.1; RFC 7523 §2.2, §3; draft-ietf-oauth-rfc7523bis (the audience is the issuer).
"""

import base64
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

import msgspec

from .credentials import LoginFailed
from .dance import Unseen
from .discovery import AuthorizationServer

__all__ = ["JWT_BEARER_ASSERTION", "Method", "OAuthClient", "proved", "signed", "with_method"]

Method = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]

JWT_BEARER_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_S = 60
_SIGN = {
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("Ed25519", "EdDSA"),
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
}
"""What keys sign with, the usual first. `EdDSA` is the name before RFC 9864."""


class OAuthClient(Unseen, frozen=True, kw_only=True):
    """As one authorization server knows it. What another one gave is nothing to it."""

    id: str
    method: Method = "none"
    secret: str | None = None
    private_key: str | None = None
    """PEM, for `private_key_jwt`."""
    algorithm: str | None = None
    """Of the signature; without, what is usual for the key."""
    redirect_uri: str | None = None
    """That it was registered with."""
    expires_s: float | None = None
    """Unix seconds: when its secret ends."""


def with_method(client: OAuthClient, server: AuthorizationServer, wanted: Method | None) -> OAuthClient:
    """`client`, proved in a way that `server` takes. Raises LoginFailed."""
    said = server.token_endpoint_auth_methods_supported
    able = [method for method in _able(client) if wanted is None or method == wanted]
    for method in able:
        # What is not said is `client_secret_basic` by the letter, and is not meant so.
        if said is None or method == "none" or method in said:
            return msgspec.structs.replace(client, method=method)
    raise LoginFailed(
        f"authorization server: {server.issuer} takes none of the ways in which this client can prove itself"
        f" ({', '.join(able) or 'as it was told'}); it takes {', '.join(said or ('client_secret_basic',))}"
    )


def _able(client: OAuthClient) -> tuple[Method, ...]:
    if client.private_key is not None:
        return ("private_key_jwt",)
    return ("none",) if client.secret is None else ("client_secret_basic", "client_secret_post")


def proved(
    client: OAuthClient, server: AuthorizationServer, form: dict[str, str], now_s: float
) -> tuple[dict[str, str], dict[str, str]]:
    """The headers and the form of a request to the token endpoint. Raises LoginFailed."""
    match client.method:
        case "client_secret_basic":
            pair = f"{quote(client.id, safe='')}:{quote(client.secret or '', safe='')}"
            # The id once more in the form: servers on the official SDK look for it there.
            basic = {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
            return basic, {**form, "client_id": client.id}
        case "client_secret_post":
            return {}, {**form, "client_id": client.id, "client_secret": client.secret or ""}
        case "private_key_jwt":
            assertion = _assertion(client, server, now_s)
            return {}, {
                **form,
                "client_id": client.id,
                "client_assertion_type": JWT_BEARER_ASSERTION,
                "client_assertion": assertion,
            }
        case "none":
            return {}, {**form, "client_id": client.id}


def _assertion(client: OAuthClient, server: AuthorizationServer, now_s: float) -> str:
    now = int(now_s)
    claims = {"iss": client.id, "sub": client.id, "aud": server.issuer, "jti": str(uuid4()), "iat": now}
    taken = server.token_endpoint_auth_signing_alg_values_supported or ()
    return signed({**claims, "exp": now + _ASSERTION_S}, client.private_key or "", client.algorithm, taken)


def signed(claims: dict[str, Any], pem: str, algorithm: str | None = None, taken: Sequence[str] = ()) -> str:
    """A JWT. `taken`: the algorithms of who reads it, if it is known. Raises LoginFailed when `pem` holds no private key."""
    # Nobody else pays for the import.
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    for kind in (ECKey, RSAKey, OKPKey):
        try:
            key = kind.import_key(pem)
        except (JoseError, ValueError, TypeError):
            continue
        able = _SIGN.get(getattr(key, "curve_name", "RSA"), ()) if key.is_private else ()
        if algorithm is not None and algorithm not in able:
            raise LoginFailed(f"client: its key cannot sign with {algorithm}, but with {', '.join(able) or 'nothing'}")
        if able:
            signs = algorithm or next((one for one in able if one in taken), able[0])
            return jwt.encode({"alg": signs, "typ": "JWT"}, claims, key, algorithms=[signs])
        break
    raise LoginFailed("client: what this client signs with is no private key in PEM (RSA, EC or Ed25519)")
