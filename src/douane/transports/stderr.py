"""What a child says on its standard error: kept short, made safe to print, never a reason to wait.

The last bytes are kept in a ring; lines are handed on as text with every control character escaped, because
they end up in terminals and logs.
"""

from collections import deque
from collections.abc import Callable

__all__ = ["LastWords", "printable"]

_MAX_LINE_BYTES = 8 * 1024
# Line ends, escapes and what turns the reading direction: a log line must stay one line that reads as it was
# written.
_UNSAFE = (
    *range(9),
    *range(10, 32),
    *range(0x7F, 0xA0),
    0x2028,
    0x2029,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
_ESCAPES = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _UNSAFE}


def printable(data: bytes) -> str:
    """Bytes of unknown origin as one line of text: bad UTF-8 replaced, control characters escaped."""
    return data.decode("utf-8", "replace").translate(_ESCAPES)


class LastWords:
    """The end of a stream of lines, and each line as it comes."""

    def __init__(self, ring_bytes: int, on_line: Callable[[str], None] | None) -> None:
        self._ring_bytes = ring_bytes
        self._on_line = on_line
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._unfinished = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        data = data[-self._ring_bytes :] if self._on_line is None else data
        self._kept.append(data)
        self._kept_bytes += len(data)
        while self._kept_bytes - len(self._kept[0]) >= self._ring_bytes:
            self._kept_bytes -= len(self._kept.popleft())
        if self._on_line is not None:
            self._hand_on(data, self._on_line)

    def end(self) -> None:
        """No more will come: an unfinished line is a line."""
        if self._on_line is not None and self._unfinished:
            self._on_line(printable(self._unfinished))
        self._unfinished = b""

    def tail(self) -> str:
        """What is kept, at most the ring's size, line by line."""
        data = b"".join(self._kept)[-self._ring_bytes :]
        return "\n".join(printable(line.removesuffix(b"\r")) for line in data.split(b"\n"))

    def last_lines(self, count: int, max_chars: int) -> str:
        """The last lines that say something, for a reason in one line."""
        lines = [line for line in self.tail().split("\n") if line.strip()]
        return " | ".join(lines[-count:])[-max_chars:]

    def _hand_on(self, data: bytes, on_line: Callable[[str], None]) -> None:
        *lines, rest = (self._unfinished + data).split(b"\n")
        while len(rest) > _MAX_LINE_BYTES:
            lines.append(rest[:_MAX_LINE_BYTES])
            rest = rest[_MAX_LINE_BYTES:]
        self._unfinished = rest
        for line in lines:
            on_line(printable(line.removesuffix(b"\r")))
