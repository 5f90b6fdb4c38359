"""Commitments to payloads, and the records that open them.

A commitment is HMAC-SHA256(salt, payload) with 32 fresh random bytes of salt: whoever holds salt and body can
show what a leaf committed to; once both are erased, not even a guess at a short payload can be checked.
*Spec:* RFC 2104.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator, Sequence
from hashlib import sha256
from struct import Struct, error

SALT_BYTES = 32
NO_PAYLOAD = b"\0\0\0\0"
_POOL_BYTES = 8192

_INNER = bytes(b ^ 0x36 for b in range(256))
_OUTER = bytes(b ^ 0x5C for b in range(256))
_INNER_PAD = b"\x36" * 32
_OUTER_PAD = b"\x5c" * 32

u16 = Struct(">H")
u32 = Struct(">I")


class Salts:
    """Commits payloads, each under a salt of its own.

    Random bytes come in pools, and HMAC's key blocks are made for the whole pool: two plain hashes then cost
    three quarters of `hmac.digest`, which looks its algorithm up anew each time.
    """

    __slots__ = ("_at", "_inner", "_outer", "_pool")

    def __init__(self) -> None:
        self._at = _POOL_BYTES
        self._pool = self._inner = self._outer = b""

    def commit(self, body: bytes) -> tuple[bytes, str]:
        """A fresh salt, and the commitment as hex."""
        at = self._at
        if at == _POOL_BYTES:
            self._pool = os.urandom(_POOL_BYTES)
            self._inner = self._pool.translate(_INNER)
            self._outer = self._pool.translate(_OUTER)
            at = 0
        self._at = end = at + SALT_BYTES
        inner = sha256(self._inner[at:end] + _INNER_PAD + body).digest()
        return self._pool[at:end], sha256(self._outer[at:end] + _OUTER_PAD + inner).hexdigest()


def opens(salt: bytes, body: bytes, commitment: str) -> bool:
    return hmac.compare_digest(hmac.digest(salt, body, "sha256").hex(), commitment)


def packed_entries(leaves: Sequence[bytes]) -> bytes:
    """*Spec:* C2SP tlog-tiles, entry bundles."""
    return b"".join([part for leaf in leaves for part in (u16.pack(len(leaf)), leaf)])


def unpacked_entries(raw: bytes) -> Iterator[bytes]:
    """Raises ValueError, after the entries that could be read."""
    at = 0
    while at < len(raw):
        if at + 2 > len(raw):
            raise ValueError("an entry ends within its length")
        (length,) = u16.unpack_from(raw, at)
        at += 2 + length
        if at > len(raw):
            raise ValueError("an entry is longer than its bundle")
        yield raw[at - length : at]


def packed_payload(salt: bytes, body: bytes) -> bytes:
    return u32.pack(SALT_BYTES + len(body)) + salt + body


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
