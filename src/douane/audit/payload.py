"""Commitments to payloads, and the records that open them.

A commitment is HMAC-SHA256(salt, payload) with 32 fresh random bytes of salt: whoever holds salt and body can
show what a leaf committed to; once both are erased, not even a guess at a short payload can be checked.
*Spec:* RFC 2104.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from hashlib import sha256
from struct import Struct, error
from typing import cast

SALT_BYTES = 32
NO_PAYLOAD = b"\0\0\0\0"
_POOL_BYTES = 8192
_LARGE_BYTES = 4096
"""From here on a copy costs more than a call."""

_INNER = bytes(b ^ 0x36 for b in range(256))
_OUTER = bytes(b ^ 0x5C for b in range(256))
_KEY_REST = bytes(32)

u16 = Struct(">H")
u32 = Struct(">I")
_salt, _block = Struct("32s"), Struct("64s")


class Salts:
    """Commits payloads, each under a salt of its own.

    Random bytes come in pools, and HMAC's key blocks are made for the whole pool: two plain hashes then cost
    half of `hmac.digest`, which looks its algorithm up anew each time.
    """

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys = _keys()

    def commit(self, body: bytes) -> tuple[bytes, str]:
        """A fresh salt, and the commitment as hex."""
        for (salt,), (inner,), (outer,) in self._keys:
            if len(body) < _LARGE_BYTES:
                return salt, sha256(outer + sha256(inner + body).digest()).hexdigest()
            hashed = sha256(inner)
            hashed.update(body)
            return salt, sha256(outer + hashed.digest()).hexdigest()
        self._keys = _keys()
        return self.commit(body)


_Key = tuple[tuple[bytes], tuple[bytes], tuple[bytes]]


def _keys() -> Iterator[_Key]:
    """Fresh salts, each with its inner and outer key block, as `iter_unpack` cuts them."""
    pool = os.urandom(_POOL_BYTES)
    padded = b"".join([salt + _KEY_REST for (salt,) in _salt.iter_unpack(pool)])
    blocks = _block.iter_unpack
    keys = zip(_salt.iter_unpack(pool), blocks(padded.translate(_INNER)), blocks(padded.translate(_OUTER)), strict=True)
    return cast("Iterator[_Key]", keys)


def opens(salt: bytes, body: bytes, commitment: str) -> bool:
    return hmac.compare_digest(hmac.digest(salt, body, "sha256").hex(), commitment)


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
