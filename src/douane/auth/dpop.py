"""DPoP: a token that is worth nothing without the key it was given for, and the proofs that the key is here.

A proof is for one request, at one time. Spec: RFC 9449 §4, §5, §7, §8, §9.
"""

import base64
import hashlib
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from ..wire import json
from .dance import origin_of

__all__ = ["DpopKey", "nonce_of"]

_ALGORITHM = "ES256"
_MAX_NONCES = 16


class DpopKey:
    """A key pair, and the nonces that servers want to find in its proofs."""

    __slots__ = ("_key", "_nonces", "_public")

    def __init__(self, jwk: dict[str, Any] | None = None) -> None:
        """A new one; or that of `jwk`, which `kept` gave."""
        # Nobody else pays for the import.
        from joserfc.jwk import ECKey

        self._key = ECKey.generate_key("P-256", private=True) if jwk is None else ECKey.import_key(jwk)
        self._public = {name: str(self._key.as_dict(private=False)[name]) for name in ("kty", "crv", "x", "y")}
        self._nonces: dict[str, str] = {}

    def kept(self) -> dict[str, Any]:
        """To be kept where secrets are."""
        return {str(name): value for name, value in self._key.as_dict(private=True).items()}

    @property
    def thumbprint(self) -> str:
        """What a token names the key by. Spec: RFC 7638."""
        return self._key.thumbprint()

    def hear(self, url: str, nonce: str | None) -> bool:
        """Whether `nonce` is another than the server at `url` was last sent."""
        origin = origin_of(url)
        if nonce is None or nonce == self._nonces.get(origin):
            return False
        if len(self._nonces) >= _MAX_NONCES:
            self._nonces.clear()
        self._nonces[origin] = nonce
        return True

    def proof(self, method: str, url: str, now_s: float, token: str | None = None) -> str:
        """That this very request comes from who holds the key; with `token`, for the resource it opens."""
        parts = urlsplit(url)
        claims: dict[str, Any] = {
            "jti": str(uuid4()),
            "htm": method,
            "htu": f"{parts.scheme}://{parts.netloc}{parts.path}",
            "iat": int(now_s),
        }
        nonce = self._nonces.get(origin_of(url))
        if nonce is not None:
            claims["nonce"] = nonce
        if token is not None:
            digest = hashlib.sha256(token.encode("ascii")).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        from joserfc import jwt

        header = {"typ": "dpop+jwt", "alg": _ALGORITHM, "jwk": self._public}
        return jwt.encode(header, claims, self._key, algorithms=[_ALGORITHM])


def nonce_of(proof: bytes) -> object:
    """The nonce in a proof that was made here; None: it has none."""
    claims = proof.split(b".")[1]
    found = json.decode(base64.urlsafe_b64decode(claims + b"=" * (-len(claims) % 4)))
    return found.get("nonce") if json.is_object(found) else None
