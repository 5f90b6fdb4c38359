"""Commitments to payloads, and the records that open them.

A commitment is SHA-256(salt ‖ payload) with 32 fresh random bytes of salt: whoever holds salt and body can show what a
leaf committed to; once both are erased, not even a guess at a short payload can be checked. Leaves of version 1 hold
HMAC-SHA256(salt, payload) instead (docs/decisions/0014).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from hashlib import sha256
from struct import Struct, error

SALT_BYTES = 32
NO_PAYLOAD = b"\0\0\0\0"
_POOL_BYTES = 8192
_LARGE_BYTES = 4096
"""From here on a copy costs more than a call."""

u16 = Struct(">H")
u32 = Struct(">I")


class Salts:
    """Commits payloads, each under a salt of its own. Random bytes come in pools."""

    __slots__ = ("_salts",)

    def __init__(self) -> None:
        self._salts = _salts()

    def commit(self, body: bytes) -> tuple[bytes, str]:
        """A fresh salt, and the commitment as hex."""
        for salt in self._salts:
            if len(body) < _LARGE_BYTES:
                return salt, sha256(salt + body).hexdigest()
            hashed = sha256(salt)
            hashed.update(body)
            return salt, hashed.hexdigest()
        self._salts = _salts()
        return self.commit(body)


def _salts() -> Iterator[bytes]:
    pool = os.urandom(_POOL_BYTES)
    return iter([pool[at : at + SALT_BYTES] for at in range(0, _POOL_BYTES, SALT_BYTES)])


def opens(salt: bytes, body: bytes, commitment: str, version: int) -> bool:
    """Whether `body` is what a leaf of `version` committed to."""
    made = hmac.digest(salt, body, "sha256") if version < 2 else sha256(salt + body).digest()
    return hmac.compare_digest(made.hex(), commitment)


def unpacked_entries(raw: bytes) -> Iterator[bytes]:
    """The leaves of a bundle. *Spec:* C2SP tlog-tiles, entry bundles. Raises ValueError, after the entries that could be read."""
    at = 0
    while at < len(raw):
        if at + 2 > len(raw):
            raise ValueError("an entry ends within its length")
        (length,) = u16.unpack_from(raw, at)
        at += 2 + length
        if at > len(raw):
            raise ValueError("an entry is longer than its bundle")
        yield raw[at - length : at]


def unpacked_payloads(raw: bytes) -> Iterator[tuple[bytes, bytes] | None]:
    """(salt, body) per leaf; None where there is none. Raises ValueError."""
    at = 0
    while at < len(raw):
        try:
            (length,) = u32.unpack_from(raw, at)
        except error:
            raise ValueError("a payload ends within its length") from None
        at += 4 + length
        if at > len(raw) or 0 < length < SALT_BYTES:
            raise ValueError("a payload's length does not fit its bundle")
        yield ((raw[at - length : at - length + SALT_BYTES], raw[at - length + SALT_BYTES : at]) if length else None)
