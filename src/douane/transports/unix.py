"""A line over a stream socket on this machine: how `douane stdio` joins a gateway that already runs.

Who may connect is said by the file system: a socket of mode 0600 in a directory of mode 0700. Frames are
lines, as on stdio. Both ends write what waits before they close, and hold no more than a bound for a peer
that does not read.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import stat
import sys
from collections.abc import Callable
from typing import cast

from douane.transports.lines import DEFAULT_MAX_FRAME_BYTES, Lines
from douane.transports.link import Link, LinkClosed, OnClose, OnFrame

__all__ = ["SocketRefused", "UnixServer", "connect_unix", "serve_unix"]

_MAX_UNREAD_BYTES = 8 * 1024 * 1024
_FLUSH_GRACE_S = 2.0
_CONNECT_DEADLINE_S = 5.0
_BACKLOG = 128
_MAX_PATH_BYTES = 103 if sys.platform == "darwin" else 107


class SocketRefused(Exception):
    """The socket cannot be made or reached at this path. The text says why, and what to do."""


async def serve_unix(
    path: str,
    on_link: Callable[[Link], None],
    *,
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
    max_unread_bytes: int = _MAX_UNREAD_BYTES,
) -> "UnixServer":
    """Listen at `path` and hand each new link to `on_link`, on the loop; nothing is read before its `start`.

    A missing directory is made. A socket file that nobody listens on is replaced. Raises SocketRefused.
    """
    links: set[_StreamLink] = set()

    def accept() -> asyncio.Protocol:
        return _StreamLink(Lines(max_frame_bytes), max_unread_bytes, links, on_link)

    listening = _listen(path)
    return UnixServer(path, await asyncio.get_running_loop().create_unix_server(accept, sock=listening), links)


async def connect_unix(
    path: str,
    *,
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
    max_unread_bytes: int = _MAX_UNREAD_BYTES,
) -> Link:
    """Connect to the gateway that listens at `path`. Raises SocketRefused when none does."""
    _check_length(path)
    loop = asyncio.get_running_loop()

    def make() -> _StreamLink:
        return _StreamLink(Lines(max_frame_bytes), max_unread_bytes, set(), None)

    try:
        async with asyncio.timeout(_CONNECT_DEADLINE_S):
            _, link = await loop.create_unix_connection(make, path)
    except TimeoutError:
        raise SocketRefused(f"nobody answered at {path} within {_CONNECT_DEADLINE_S:g} s") from None
    except OSError as fault:
        raise SocketRefused(f"no gateway listens at {path}: {fault.strerror}; start one first") from fault
    return link


class UnixServer:
    """A listening socket and the links that came through it. Made by `serve_unix`."""

    def __init__(self, path: str, server: asyncio.AbstractServer, links: "set[_StreamLink]") -> None:
        self.path = path
        self._server = server
        self._links = links
        self._file = os.stat(path).st_ino

    def stop_listening(self) -> None:
        """Remove the socket file if it is still ours, and take no further links. Idempotent."""
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self.path).st_ino == self._file:
                os.unlink(self.path)
        self._server.close()

    async def aclose(self) -> None:
        """Stop listening and close every link. Idempotent."""
        self.stop_listening()
        await asyncio.gather(*(link.aclose() for link in list(self._links)))
        await self._server.wait_closed()


class _StreamLink(asyncio.Protocol):
    """One connected socket."""

    _transport: asyncio.Transport

    def __init__(
        self,
        lines: Lines,
        max_unread_bytes: int,
        siblings: "set[_StreamLink]",
        on_link: Callable[[Link], None] | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines = lines
        self._max_unread_bytes = max_unread_bytes
        self._siblings = siblings
        self._on_link = on_link
        self._on_frame: OnFrame | None = None
        self._on_close: OnClose | None = None
        self._why_closed: str | None = None
        self._lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the shape of asyncio's, but not the class.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()
        self._siblings.add(self)
        if self._on_link is not None:
            self._on_link(self)

    def data_received(self, data: bytes) -> None:
        for frame in self._lines.feed(data):
            if self._why_closed is not None or self._on_frame is None:
                return
            self._on_frame(frame)
        if self._lines.overlong:
            self._end("the peer sent a line longer than the limit for one message")
            self._transport.abort()

    def eof_received(self) -> bool:
        self._end("the peer closed its end")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("the peer closed its end" if exc is None else f"the connection broke: {exc}")
        self._siblings.discard(self)
        self._lost.set()

    def start(self, on_frame: OnFrame, on_close: OnClose) -> None:
        if self._on_frame is not None:
            raise RuntimeError("the link was started before")
        self._on_frame, self._on_close = on_frame, on_close
        if self._why_closed is None:
            self._transport.resume_reading()
        else:
            self._loop.call_soon(self._tell_end)

    def send(self, frame: bytes) -> None:
        if b"\n" in frame:
            raise ValueError("a frame must not hold a newline")
        if self._why_closed is not None:
            raise LinkClosed(self._why_closed)
        waiting_bytes = self._transport.get_write_buffer_size()
        if waiting_bytes and waiting_bytes + len(frame) + 1 > self._max_unread_bytes:
            self._end("the peer does not read")
            self._transport.abort()
            raise LinkClosed("the peer does not read")
        self._transport.write(frame + b"\n")

    async def aclose(self) -> None:
        """Write what waits, at most two seconds; then close."""
        self._end("closed on this side")
        self._transport.close()
        try:
            async with asyncio.timeout(_FLUSH_GRACE_S):
                await self._lost.wait()
        except TimeoutError:
            self._transport.abort()
            await self._lost.wait()

    def _end(self, why: str) -> None:
        if self._why_closed is None:
            self._why_closed = why
            self._loop.call_soon(self._tell_end)

    def _tell_end(self) -> None:
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close(self._why_closed or "")


def _listen(path: str) -> socket.socket:
    _check_length(path)
    directory = os.path.dirname(path) or "."
    _own_directory(directory)
    # Two gateways that start at once must not each find the other's file stale.
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove_stale(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(path)
            os.chmod(path, 0o600)
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
    except BlockingIOError:
        raise SocketRefused(f"another gateway is starting in {directory}; try again") from None
    except OSError as fault:
        raise SocketRefused(f"cannot listen at {path}: {fault.strerror}") from fault
    finally:
        os.close(lock)
    return listening


def _check_length(path: str) -> None:
    length = len(os.fsencode(path))
    if length > _MAX_PATH_BYTES:
        raise SocketRefused(
            f"the socket path has {length} bytes and the system allows {_MAX_PATH_BYTES}: choose a shorter one"
        )


def _own_directory(directory: str) -> None:
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        found = os.stat(directory)
    except OSError as fault:
        raise SocketRefused(f"cannot use the directory {directory}: {fault.strerror}") from fault
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise SocketRefused(f"{directory} must be yours alone: owned by this user, mode 0700")


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketRefused(f"{path} exists and is not a socket: it is left alone")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        answer = probe.connect_ex(path)
    # A full backlog (EAGAIN) is a listener too.
    if answer != errno.ECONNREFUSED:
        raise SocketRefused(f"a gateway already listens at {path}")
    os.unlink(path)
