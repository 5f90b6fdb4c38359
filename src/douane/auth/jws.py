"""Signed tokens, read in one way only, and verified with a key that was chosen by us and never by the token.

A header says which algorithm and which key; where a key might be fetched from (`jku`, `x5u`) and what it is (`jwk`, `x5c`) is
never looked at. Each algorithm fits one kind of key, so a public key is never taken for a shared secret, and there is no
algorithm without a key. Spec: RFC 7515, RFC 7518 §3.1, RFC 8037, RFC 9864; RFC 8725 §3 (what goes wrong).
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..wire import json

if TYPE_CHECKING:
    # Where nobody comes with a signed token, joserfc is never loaded: it takes 25 ms and some MB.
    from joserfc.jwk import ECKey, OKPKey, RSAKey

__all__ = ["ALGORITHMS", "MAX_TOKEN_BYTES", "BadToken", "Key", "Signed", "b64", "public_key", "read", "unb64", "verify"]

MAX_TOKEN_BYTES = 16 * 1024
"""Tokens with many groups have 4 to 8 KB; beyond that proxies refuse the header."""
_LIMITS = json.Limits(max_bytes=MAX_TOKEN_BYTES, max_depth=16, max_keys=1_000)
_MAX_KID_CHARS = 512
_PART = re.compile(r"[A-Za-z0-9_-]+")
_RSA_BITS = range(2048, 8193)
"""Below is weak; above costs more than a stranger should be able to make us spend."""

ALGORITHMS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", "")),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    **dict.fromkeys(("EdDSA", "Ed25519"), ("OKP", "Ed25519")),
}
"""Each with the one kind of key and curve it may be verified with."""


class BadToken(Exception):
    """It does not hold. The text is for its sender: what is wrong, and nothing that it says."""


class Key(NamedTuple):
    """A public key that signatures are verified with."""

    kind: tuple[str, str]
    id: str | None
    algorithm: str | None
    """The only one it is for, where its owner says so."""
    key: "RSAKey | ECKey | OKPKey"

    def fits(self, algorithm: str) -> bool:
        return ALGORITHMS.get(algorithm) == self.kind and self.algorithm in (None, algorithm)


class Signed(NamedTuple):
    """A token that has the right form. Nothing in it is true before `verify`."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    @property
    def algorithm(self) -> str:
        return self.header["alg"]

    @property
    def key_id(self) -> str | None:
        return self.header.get("kid")


def read(token: str) -> Signed:
    """Raises BadToken, also for an algorithm that is not one of ALGORITHMS."""
    parts = token.split(".")
    if len(token) > MAX_TOKEN_BYTES or len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
        raise BadToken("this is no signed token")
    header, claims = _object(parts[0]), _object(parts[1])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise BadToken("its algorithm is not accepted")
    if "crit" in header:
        raise BadToken("it has a critical header that is not understood here")
    kid = header.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _MAX_KID_CHARS):
        raise BadToken("its key id is none")
    return Signed(header, claims, f"{parts[0]}.{parts[1]}".encode(), unb64(parts[2]))


def verify(token: Signed, key: Key) -> None:
    """Raises BadToken unless `key` has signed it."""
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    if not key.fits(token.algorithm):
        raise BadToken("its key is not for its algorithm")
    # Two names of one thing.
    name = "Ed25519" if token.algorithm == "EdDSA" else token.algorithm
    try:
        holds = JWSRegistry.algorithms[name].verify(token.signed, token.signature, key.key)
    except (JoseError, ValueError, TypeError):
        holds = False
    if not holds:
        raise BadToken("its signature does not hold")


def public_key(jwk: object) -> Key | None:
    """The key of a JWK, or None when it is of no use here: of another kind, for encryption, too short, malformed."""
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    if not json.is_object(jwk) or jwk.get("use", "sig") != "sig" or "verify" not in _operations(jwk):
        return None
    kind = next((kind for kind in ALGORITHMS.values() if kind == (jwk.get("kty"), jwk.get("crv", ""))), None)
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    named = all(value is None or isinstance(value, str) for value in (kid, algorithm))
    if kind is None or not named:
        return None
    # Never a private key, not even one that was published: it proves nothing any more.
    if "d" in jwk:
        return None
    made = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}[kind[0]]
    try:
        key = made.import_key({name: jwk[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in jwk})
        if isinstance(key, RSAKey) and key.public_key.key_size not in _RSA_BITS:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return Key(kind, kid, algorithm, key)


def _operations(jwk: Mapping[str, Any]) -> Iterable[object]:
    operations = jwk.get("key_ops", ["verify"])
    return operations if isinstance(operations, list) else ()


def _object(part: str) -> Mapping[str, Any]:
    try:
        value = json.decode(unb64(part), _LIMITS)
    except json.FrameError:
        value = None
    if not json.is_object(value):
        raise BadToken("this is no signed token")
    return value


def unb64(part: str) -> bytes:
    """Base64url without padding, in its one spelling (RFC 7515 §2). Raises BadToken."""
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise BadToken("this is no signed token") from None
    if b64(data) != part:
        raise BadToken("this is no signed token")
    return data


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
