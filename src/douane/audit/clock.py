"""The time of leaves as text, of which there is one per millisecond."""

from __future__ import annotations

import time

_MILLISECONDS = tuple(f".{ms:03d}Z" for ms in range(1000))


class Clock:
    """Shows the time it was last set to."""

    __slots__ = ("_second", "_second_text", "ms", "text")

    def __init__(self) -> None:
        self._second = -1
        self._second_text = ""
        self.set(0)

    def set(self, ms: int) -> None:
        """Unix milliseconds."""
        self.ms = ms
        second, ms = divmod(ms, 1000)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        self.text = self._second_text + _MILLISECONDS[ms]
        """RFC 3339, UTC."""
