"""This process as an MCP peer of whoever started it: frames over its own standard streams.

The real standard output is kept for frames alone: while the link is open, descriptor 1 and `sys.stdout` lead
to standard error, and descriptor 0 to nothing, so that neither a stray `print` nor a stray `input` can touch
the line. Closing puts everything back. One link at a time.

The end of our input is told by `on_close`, but what is still owed may be sent until `aclose`: a peer that
pipes its questions in and closes its end still wants the answers.
"""

import asyncio
import os
import stat
import sys
from dataclasses import dataclass
from typing import TextIO

from douane.transports.lines import DEFAULT_MAX_FRAME_BYTES, Lines
from douane.transports.link import Link, LinkClosed, OnClose, OnFrame
from douane.transports.pipes import PipeFull, ReadPipe, WritePipe

__all__ = ["connect_stdio"]

_MAX_UNREAD_BYTES = 8 * 1024 * 1024
"""More than for a child: here a whole list of tools may wait for a host that is busy drawing."""
_FLUSH_GRACE_S = 2.0


async def connect_stdio(
    *,
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
    max_unread_bytes: int = _MAX_UNREAD_BYTES,
) -> Link:
    """Take this process's standard input and output for a link. Pipes, sockets, terminals and files serve.

    Raises OSError when one of them is not open.
    """
    return _StdioLink(_Streams.take(), Lines(max_frame_bytes), max_unread_bytes)


@dataclass(frozen=True, slots=True)
class _Streams:
    """The real streams, and what it takes to put them back."""

    frames_in: int
    frames_out: int
    kept_stdin: int
    kept_stdout: int
    python_stdout: TextIO
    unblocked: bool

    @staticmethod
    def take() -> "_Streams":
        python_stdout = sys.stdout
        python_stdout.flush()
        kept_stdin, kept_stdout = os.dup(0), os.dup(1)
        frames_out, unblocked = _writable(kept_stdout)
        frames_in = os.dup(kept_stdin)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return _Streams(frames_in, frames_out, kept_stdin, kept_stdout, python_stdout, unblocked)

    def give_back(self) -> None:
        """Restore descriptors 0 and 1 and `sys.stdout`; what is kept of them is closed."""
        self.python_stdout.flush()
        sys.stdout = self.python_stdout
        if self.unblocked:
            os.set_blocking(self.kept_stdout, True)
        for kept, place in ((self.kept_stdin, 0), (self.kept_stdout, 1)):
            os.dup2(kept, place)
            os.close(kept)


def _writable(fd: int) -> tuple[int, bool]:
    """A descriptor for the same output whose writes do not block, and whether `fd` itself was changed for it.

    The flag belongs to the open file, which standard error and other processes may share: where the system
    lets us, we open it anew (/proc) and change only our own.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return os.dup(fd), False
    if not stat.S_ISSOCK(mode):
        try:
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY), False
        except OSError:
            pass
    changed = os.get_blocking(fd)
    os.set_blocking(fd, False)
    return os.dup(fd), changed


class _StdioLink:
    def __init__(self, streams: _Streams, lines: Lines, max_unread_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._streams = streams
        self._lines = lines
        self._in = ReadPipe(streams.frames_in, self._on_bytes, lambda: self._end("the client closed its end"))
        self._out = WritePipe(
            streams.frames_out,
            max_pending_bytes=max_unread_bytes,
            on_broken=lambda: self._end("the client does not listen any more"),
        )
        self._on_frame: OnFrame | None = None
        self._on_close: OnClose | None = None
        self._why_ended: str | None = None
        self._closing: asyncio.Task[None] | None = None

    def start(self, on_frame: OnFrame, on_close: OnClose) -> None:
        if self._on_frame is not None:
            raise RuntimeError("the link was started before")
        self._on_frame, self._on_close = on_frame, on_close
        if self._why_ended is None:
            self._in.start()
        else:
            self._loop.call_soon(self._tell_end)

    def send(self, frame: bytes) -> None:
        try:
            self._out.write_line(frame)
        except PipeFull:
            why = "the client does not read"
            self._out.close()
            self._end(why)
            raise LinkClosed(why) from None
        except OSError:
            self._end("the client does not listen any more")
            raise LinkClosed(self._why_ended or "closed") from None

    async def aclose(self) -> None:
        """Write what waits (at most two seconds), put the streams back. Goes on when its caller is
        cancelled."""
        if self._closing is None:
            self._end("closed on this side")
            self._closing = self._loop.create_task(self._close(), name="close stdio")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            self._in.close()
            self._out.finish()
            await self._out.closed_within(_FLUSH_GRACE_S)
        finally:
            self._out.close()
            self._streams.give_back()

    def _on_bytes(self, data: bytes) -> None:
        for frame in self._lines.feed(data):
            if self._why_ended is None and self._on_frame is not None:
                self._on_frame(frame)
        if self._lines.overlong:
            self._end("the client sent a line longer than the limit for one message")

    def _end(self, why: str) -> None:
        if self._why_ended is not None:
            return
        self._why_ended = why
        self._in.close()
        self._loop.call_soon(self._tell_end)

    def _tell_end(self) -> None:
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close(self._why_ended or "")
