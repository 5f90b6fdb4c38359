"""Proofs that who sends a token has the key it is bound to: one for each request, each good once.

Spec: RFC 9449 §4.3 (what is checked), §7 (at a resource), §11.1 (replay).
"""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from . import jws
from .claims import LEEWAY_S, number
from .jws import BadToken, Key, Signed

__all__ = ["ProofRefused", "Proofs"]

_MAX_KEPT = 100_000
_MAX_PER_KEY = 10_000
"""In two minutes. A tenth of all: whoever has one key leaves room for the others."""
_MAX_ID_CHARS = 256
_PORTS = {"http": 80, "https": 443}


class ProofRefused(Exception):
    """The text is for its sender."""


class _Used(NamedTuple):
    until_s: float
    thumbprint: str


class Proofs:
    """Which proofs were used: in this process, for as long as their time would let them be used again."""

    def __init__(self, now: Callable[[], float], *, max_kept: int = _MAX_KEPT, max_per_key: int = _MAX_PER_KEY) -> None:
        """`now`: Unix seconds."""
        self._now, self._max_kept, self._max_per_key = now, max_kept, max_per_key
        self._used: OrderedDict[bytes, _Used] = OrderedDict()
        self._per_key: Counter[str] = Counter()

    def check(self, proof: bytes | None, token: str, thumbprint: str, method: str, url: str) -> None:
        """Raises ProofRefused unless `proof` is for this request and made with the key of that thumbprint."""
        if proof is None:
            raise ProofRefused("the token is bound to a key; send a proof with it, as `DPoP: …`")
        try:
            signed, key = _read(proof.decode("latin-1"))
            jws.verify(signed, key)
            self._check_claims(signed, token, method, url)
        except BadToken as exc:
            raise ProofRefused(f"{exc}") from None
        if key.key.thumbprint() != thumbprint:
            raise ProofRefused("it is made with another key than the token is bound to")
        self._use(signed, thumbprint)

    def _check_claims(self, signed: Signed, token: str, method: str, url: str) -> None:
        claims = signed.claims
        made_s = number(claims, "iat")
        if made_s is None or abs(self._now() - made_s) > LEEWAY_S:
            raise BadToken("it was not made now")
        if claims.get("htm") != method:
            raise BadToken("it is for another method")
        named = claims.get("htu")
        if not isinstance(named, str) or _plain(named) != _plain(url):
            raise BadToken("it is for another URL")
        if claims.get("ath") != jws.b64(hashlib.sha256(token.encode("latin-1")).digest()):
            raise BadToken("it is for another token")
        id_ = claims.get("jti")
        if not isinstance(id_, str) or not 0 < len(id_) <= _MAX_ID_CHARS:
            raise BadToken("it has no id")

    def _use(self, signed: Signed, thumbprint: str) -> None:
        now_s = self._now()
        while self._used and next(iter(self._used.values())).until_s < now_s:
            _, gone = self._used.popitem(last=False)
            self._per_key[gone.thumbprint] -= 1
            if not self._per_key[gone.thumbprint]:
                del self._per_key[gone.thumbprint]
        mark = hashlib.sha256(f"{thumbprint} {signed.claims['jti']}".encode()).digest()
        if mark in self._used:
            raise ProofRefused("it was used before")
        # Forgetting one that is still good would let it be used again.
        if len(self._used) >= self._max_kept or self._per_key[thumbprint] >= self._max_per_key:
            raise ProofRefused("too many were used; wait a minute")
        self._used[mark] = _Used(now_s + 2 * LEEWAY_S, thumbprint)
        self._per_key[thumbprint] += 1


def _read(proof: str) -> tuple[Signed, Key]:
    signed = jws.read(proof)
    if signed.header.get("typ") != "dpop+jwt":
        raise BadToken("it is no proof")
    key = jws.public_key(signed.header.get("jwk"))
    if key is None:
        raise BadToken("it brings no public key that is accepted here")
    return signed, key


def _plain(url: str) -> tuple[object, ...]:
    """What two spellings of a URL have in common, without query and fragment. Raises BadToken."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme), parts.path or "/"
    except ValueError:
        raise BadToken("it is for another URL") from None
