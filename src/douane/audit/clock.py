"""The time of leaves as text, made once per millisecond."""

from __future__ import annotations

import time
from collections.abc import Callable

_MILLISECONDS = tuple(f".{ms:03d}Z" for ms in range(1000))


class Clock:
    __slots__ = ("_now_ns", "_second", "_second_text", "ms", "text")

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.ms = -1
        """As last read, Unix."""
        self.text = ""
        """The same in RFC 3339, UTC."""
        self._now_ns = now_ns
        self._second = -1
        self._second_text = ""

    def read(self) -> None:
        now_ms = self._now_ns() // 1_000_000
        if now_ms == self.ms:
            return
        self.ms = now_ms
        second, ms = divmod(now_ms, 1000)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        self.text = self._second_text + _MILLISECONDS[ms]
