"""Two ends of a line inside one process: for tests, and for a server that lives in its host.

Promises the order and the bounds of any other link; nothing crosses a process, so there is nothing to reap.
"""

import asyncio
from collections import deque

from douane.transports.link import Link, LinkClosed, OnClose, OnFrame

__all__ = ["pair"]

_MAX_WAITING_BYTES = 8 * 1024 * 1024


def pair(*, max_waiting_bytes: int = _MAX_WAITING_BYTES) -> tuple[Link, Link]:
    """Make a line and return its two ends. Frames arrive on a later turn of the running loop, in order.

    An end that lets more than `max_waiting_bytes` wait (it was never started) loses the line.
    """
    loop = asyncio.get_running_loop()
    left, right = _End(loop, max_waiting_bytes), _End(loop, max_waiting_bytes)
    left.other, right.other = right, left
    return left, right


class _End:
    """One end: what the other end sent waits here."""

    other: "_End"

    def __init__(self, loop: asyncio.AbstractEventLoop, max_waiting_bytes: int) -> None:
        self._loop = loop
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._turn: asyncio.Handle | None = None
        self._on_frame: OnFrame | None = None
        self._on_close: OnClose | None = None
        self._why_closed: str | None = None

    def start(self, on_frame: OnFrame, on_close: OnClose) -> None:
        if self._on_close is not None:
            raise RuntimeError("the link was started before")
        self._on_frame, self._on_close = on_frame, on_close
        self._wake()

    def send(self, frame: bytes) -> None:
        if self._why_closed is not None:
            raise LinkClosed(self._why_closed)
        if not self.other.takes(frame):
            why = "the peer does not read"
            self.other.end(why)
            self.end(why)
            raise LinkClosed(why)

    async def aclose(self) -> None:
        self._waiting.clear()
        self.end("closed on this side")
        self.other.end("closed by the peer")
        if self._turn is not None:
            self._turn.cancel()
        self._deliver()

    def takes(self, frame: bytes) -> bool:
        """Queue a frame from the other end, if it fits."""
        if self._waiting and self._waiting_bytes + len(frame) > self._max_waiting_bytes:
            return False
        self._waiting.append(frame)
        self._waiting_bytes += len(frame)
        self._wake()
        return True

    def end(self, why: str) -> None:
        """Close this end; it hears of it after the frames that wait."""
        if self._why_closed is None:
            self._why_closed = why
            self._wake()

    def _wake(self) -> None:
        if self._turn is None and self._on_frame is not None:
            self._turn = self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._turn = None
        if self._on_frame is None:
            return
        while self._waiting:
            frame = self._waiting.popleft()
            self._waiting_bytes -= len(frame)
            self._on_frame(frame)
        if self._why_closed is not None and self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            self._on_frame = None
            on_close(self._why_closed)
