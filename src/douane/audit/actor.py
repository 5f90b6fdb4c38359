"""Pseudonyms: the log names people so that the mapping can be erased and the tree need not know."""

from __future__ import annotations

import hmac

_MOST_REMEMBERED = 65_536


class Pseudonyms:
    """HMAC-SHA256(key, subject), as hex; remembers who it has named."""

    def __init__(self, key: bytes) -> None:
        """Raises ValueError: a short key can be guessed, and then so can everybody."""
        if len(key) < 32:
            raise ValueError("the actor key must have at least 32 bytes")
        self._key = key
        self._named: dict[str, str] = {}

    def known(self, subject: str) -> str | None:
        return self._named.get(subject)

    def name(self, subject: str) -> str:
        if len(self._named) >= _MOST_REMEMBERED:
            self._named.clear()
        pseudonym = self._named[subject] = hmac.digest(self._key, subject.encode(), "sha256").hex()
        return pseudonym
