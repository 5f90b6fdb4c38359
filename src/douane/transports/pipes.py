"""One descriptor, one direction: what the stdio transports read from and write to.

Descriptors are watched with the loop's own `add_reader` and `add_writer`, which asyncio and uvloop do alike,
so that a frame costs one system call and no task. The owner closes; nothing here outlives `close`.
"""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from itertools import islice

__all__ = ["READ_BYTES", "PipeFull", "ReadPipe", "WritePipe"]

READ_BYTES = 64 * 1024
"""A pipe's usual capacity: one read empties it."""
_SEGMENTS_AT_ONCE = 64


class PipeFull(Exception):
    """The other end does not read: what waits for it has reached its bound. Nothing was queued."""


class ReadPipe:
    """Hands on bytes as they come, and says once that no more will."""

    def __init__(self, fd: int, on_bytes: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._on_bytes = on_bytes
        self._on_end = on_end
        self._turn: asyncio.Handle | None = None

    def start(self) -> None:
        """Begin to read. Descriptors that cannot be watched (plain files) are read in turns on the loop."""
        if self._fd < 0:
            return
        try:
            self._loop.add_reader(self._fd, self._ready)
        except OSError:
            # epoll refuses plain files and /dev/null: they are always ready.
            self._turn = self._loop.call_soon(self._take_turn)

    def drain(self, max_bytes: int) -> None:
        """Hand on what is there now, without waiting. The descriptor must be non-blocking."""
        taken = 0
        while taken < max_bytes and self._fd >= 0:
            got = self._read()
            if not got:
                return
            taken += got

    def close(self) -> None:
        """Stop and close the descriptor. Idempotent; `on_end` is not called."""
        if self._fd < 0:
            return
        if self._turn is not None:
            self._turn.cancel()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1

    def _ready(self) -> None:
        self._read()

    def _take_turn(self) -> None:
        if self._read() and self._fd >= 0:
            self._turn = self._loop.call_soon(self._take_turn)

    def _read(self) -> int:
        try:
            data = os.read(self._fd, READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            # A terminal whose other side is gone answers EIO; for the reader that is an end like any other.
            data = b""
        if data:
            self._on_bytes(data)
        else:
            self.close()
            self._on_end()
        return len(data)


class WritePipe:
    """Writes frames as lines, at once if it can; what the other end has not taken yet is bounded."""

    def __init__(self, fd: int, *, max_pending_bytes: int, on_broken: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._max_pending_bytes = max_pending_bytes
        self._on_broken = on_broken
        self._pending: deque[bytes | memoryview] = deque()
        self._pending_bytes = 0
        self._finishing = False
        self._closed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether a frame may still be written."""
        return self._fd >= 0 and not self._finishing

    def write_line(self, frame: bytes) -> None:
        """Write one frame and a newline, or queue what does not fit.

        One frame is always taken when nothing waits, whatever its size. Raises PipeFull when the bound is
        reached, BrokenPipeError when nobody reads any more, ValueError for a frame that holds a newline.
        """
        if b"\n" in frame:
            raise ValueError("a frame must not hold a newline")
        if not self.is_open:
            raise BrokenPipeError("closed")
        if self._pending:
            if self._pending_bytes + len(frame) + 1 > self._max_pending_bytes:
                raise PipeFull
            self._queue(frame, b"\n")
            return
        try:
            sent = os.writev(self._fd, (frame, b"\n"))
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent > len(frame):
            return
        self._queue(memoryview(frame)[sent:], b"\n")
        self._loop.add_writer(self._fd, self._flush)

    def finish(self) -> None:
        """Close as soon as what waits is written. The owner bounds the wait by `close`."""
        self._finishing = True
        if not self._pending:
            self.close()

    def close(self) -> None:
        """Close at once; what waits is lost. Idempotent."""
        if self._fd < 0:
            return
        if self._pending:
            self._loop.remove_writer(self._fd)
        self._pending.clear()
        self._pending_bytes = 0
        os.close(self._fd)
        self._fd = -1
        self._closed.set()

    async def closed_within(self, seconds: float) -> bool:
        """After `finish`: wait until all is written and the descriptor closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        return self._closed.is_set()

    def _queue(self, *parts: bytes | memoryview) -> None:
        for part in parts:
            if part:
                self._pending.append(part)
                self._pending_bytes += len(part)

    def _flush(self) -> None:
        try:
            sent = os.writev(self._fd, list(islice(self._pending, _SEGMENTS_AT_ONCE)))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            self._on_broken()
            return
        self._pending_bytes -= sent
        while sent:
            part = self._pending.popleft()
            if len(part) > sent:
                self._pending.appendleft(memoryview(part)[sent:])
                break
            sent -= len(part)
        if not self._pending:
            self._loop.remove_writer(self._fd)
            if self._finishing:
                self.close()
