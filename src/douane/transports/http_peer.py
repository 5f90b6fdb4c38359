"""One peer of an HTTP server: its requests read whole, past the guard, and each answered exactly once.

One connection handles one request at a time. Pipelined bytes wait unread, so a peer cannot make it hold more than one.
"""

import asyncio
import http
import logging
from collections.abc import Callable
from typing import Literal, Protocol, cast

import msgspec

from .http_guard import Guard, Limits
from .http_parse import CHUNKED, ChunkedBody, HeaderBlock, Headers, Malformed, Request, header_block, read_request
from .outbox import Outbox

__all__ = ["Connection", "Endpoint", "House", "Reply"]

_log = logging.getLogger(__name__)

_PLAIN = header_block([(b"content-type", b"text/plain")])
_STATUS = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in http.HTTPStatus}
_NO_BODY = frozenset((204, 304))
_AHEAD_BYTES = 64 * 1024
"""How much may be read beyond the request in hand. Reading goes on during a request, or a hang-up would go unseen."""
_LINGER_BYTES = 1024 * 1024
"""How much is read and thrown away after a refusal, so that the peer gets to see it: a close over unread bytes is a
reset, and a reset discards what was sent."""
_APART_BYTES = 64 * 1024
"""A body so long is not copied behind its head."""
_LINGER_S = 2.0
_METHOD_BYTES = 24
_UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-"

_Part = Literal["idle", "head", "body", "answer", "linger", "closed"]


class Reply(msgspec.Struct, eq=False):
    """How one request is answered, exactly once: `send`, or `open`, any number of `write`, and `end`.

    After the peer has gone everything here does nothing. Set `gone` to hear of it: it is called once, when the
    connection ends before the answer did.
    """

    _connection: "Connection | None"
    _bodiless: bool
    """The request was HEAD."""
    _stage: Literal["new", "open", "done"] = "new"
    gone: Callable[[], object] | None = None

    def send(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """The whole answer. Raises ValueError for headers that cannot be sent."""
        block = headers if type(headers) is HeaderBlock else header_block(headers)
        if self._stage != "new":
            raise RuntimeError("a request is answered once")
        self._stage = "done"
        connection = self._connection
        if connection is None:
            return
        self._connection = self.gone = None
        length = b"" if status in _NO_BODY else b"content-length: %d\r\n" % len(body)
        if self._bodiless or status in _NO_BODY:
            body = b""
        if len(body) < _APART_BYTES:
            connection.answer(b"".join((_STATUS[status], connection.opening, block, length, b"\r\n", body)))
        else:
            connection.answer(b"".join((_STATUS[status], connection.opening, block, length, b"\r\n")), body)

    def open(self, status: int, headers: Headers) -> None:
        """Begin a stream; its head leaves at once. Raises ValueError for headers that cannot be sent."""
        connection = self._connection
        block = header_block(headers)
        if self._stage != "new":
            raise RuntimeError("a request is answered once")
        self._stage = "open"
        if connection is None:
            return
        coding = b"transfer-encoding: chunked\r\n\r\n" if connection.chunks else b"\r\n"
        connection.write(b"".join((_STATUS[status], connection.opening, block, coding)))

    def write(self, data: bytes, *, max_unsent_bytes: int | None = None) -> None:
        """Send one chunk. A peer that leaves more than `max_unsent_bytes` unread (else the server's
        `max_buffered_bytes`) loses the connection."""
        if self._stage != "open":
            raise RuntimeError("the stream is not open")
        connection = self._connection
        if connection is None or not data or self._bodiless:
            return
        connection.write(b"%x\r\n%b\r\n" % (len(data), data) if connection.chunks else data)
        connection.bound_unsent(max_unsent_bytes)

    def end(self, data: bytes = b"") -> None:
        """End the stream, with a last chunk if there is one (one system call less than `write` and `end`)."""
        if self._stage != "open":
            raise RuntimeError("the stream is not open")
        self._stage = "done"
        connection = self._connection
        if connection is None:
            return
        if self._bodiless:
            data = b""
        elif connection.chunks:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        if data:
            connection.write(data)
        self._connection = self.gone = None
        connection.answered()

    @property
    def begun(self) -> bool:
        """Whether any of the answer was given."""
        return self._stage != "new"

    @property
    def is_open(self) -> bool:
        """Whether it is a stream that its peer can still be told something on."""
        return self._stage == "open" and self._connection is not None

    def cut(self) -> None:
        """The connection is lost. For the server's own use."""
        self._connection = None
        gone, self.gone = self.gone, None
        if gone is not None:
            gone()


class House(Protocol):
    """The server a peer is connected to."""

    outbox: Outbox
    now: float
    """The loop's time, at the last sweep."""
    sweep_s: float
    date: bytes
    date_and_close: bytes
    draining: bool

    def admit(self, connection: "Connection") -> bool:
        """Count a new connection. False if there are too many already; it must then say so and close."""
        ...

    def forget(self, connection: "Connection") -> None:
        """The connection is gone."""
        ...


Endpoint = Callable[[Request, Reply], None]
"""Called for each request, on the event loop. Must not block; may start a task that answers later."""


class Connection:
    """One peer. `_part` says what it is waiting for; the bytes not yet used are in `_unread`, from `_at` on.

    An asyncio.Protocol where it is one of a server's; itself without a base, it compiles to a C struct.
    """

    __slots__ = (
        "_again",
        "_again_bytes",
        "_at",
        "_body",
        "_client",
        "_decoder",
        "_endpoint",
        "_guard",
        "_keep_alive",
        "_last_head",
        "_length",
        "_limits",
        "_part",
        "_reading_paused",
        "_reply",
        "_request",
        "_running",
        "_server",
        "_since",
        "_stalled_since",
        "_transport",
        "_unread",
        "chunks",
    )

    def __init__(self, server: "House", endpoint: Endpoint, guard: Guard, limits: Limits) -> None:
        self._server = server
        self._endpoint = endpoint
        self._guard = guard
        self._limits = limits
        # Not "idle": a new connection owes its first head within the header time-out.
        self._part: _Part = "head"
        self._unread = b""
        self._at = 0
        self._reply: Reply | None = None
        self._request: Request | None = None
        self._running = False
        self._since = server.now
        self._stalled_since: float | None = None
        self._last_head = b""
        self._again: Request
        self._again_bytes = -1
        self._reading_paused = False
        self._keep_alive = True
        self._length = 0
        self._decoder: ChunkedBody | None = None
        self._body = bytearray()
        self.chunks = True

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = cast("tuple[str, int] | str | None", transport.get_extra_info("peername"))
        self._client = peer[0] if isinstance(peer, tuple) else ""
        if not self._server.admit(self):
            self._refuse(503, "too many connections; try again later")

    def connection_lost(self, exc: Exception | None) -> None:
        self._part = "closed"
        self._unread = b""
        self._server.forget(self)
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.cut()

    def pause_writing(self) -> None:
        self._stalled_since = self._server.now

    def resume_writing(self) -> None:
        self._stalled_since = None
        self._go_on()

    def data_received(self, data: bytes) -> None:
        if (
            len(data) == self._again_bytes
            and self._part == "idle"
            and self._stalled_since is None
            and data.startswith(self._last_head)
        ):
            # Clients repeat themselves to the byte, and then reading and judging a head again would give the same.
            again = self._again
            body = data[len(self._last_head) :]
            self._answer(Request(again.method, again.path, again.query, again.headers, body, again.client, again.memo))
            return
        if self._part == "linger":
            self._length -= len(data)
            if self._length < 0:
                self._transport.abort()
            return
        self._unread = self._unread[self._at :] + data if self._unread else data
        self._at = 0
        if self._part != "answer" and self._stalled_since is None:
            self._read_on()
        elif len(self._unread) > _AHEAD_BYTES:
            self._reading_paused = True
            self._transport.pause_reading()

    # Reading.

    def _go_on(self) -> None:
        """After an answer, or when the peer reads again: use what waited unread."""
        if self._running or self._part == "answer" or self._stalled_since is not None:
            return
        if self._unread:
            self._read_on()
        if self._reading_paused and len(self._unread) - self._at <= _AHEAD_BYTES:
            self._reading_paused = False
            self._transport.resume_reading()

    def _read_on(self) -> None:
        self._running = True
        try:
            while self._unread and self._stalled_since is None:
                if self._part == "idle" or self._part == "head":
                    more = self._read_head()
                else:
                    more = self._part == "body" and self._read_body()
                if not more:
                    break
        except Malformed as fault:
            self._refuse(fault.status, str(fault))
        finally:
            self._running = False

    def _used(self, to: int) -> None:
        """What was read is used up to here."""
        if to == len(self._unread):
            self._unread = b""
            to = 0
        self._at = to

    def _read_head(self) -> bool:
        """Whether a whole head was there."""
        data, at, limits = self._unread, self._at, self._limits
        end = data.find(b"\r\n\r\n", at) + 4
        if end == 3:
            self._check_partial(data[at:])
            return False
        if end - at > limits.max_header_bytes:
            raise Malformed("the request head is too large", 431)
        head: bytes = data[at:end]
        request, length, keep_alive = read_request(head, limits.max_headers)
        self._guard.check(request)
        if length > limits.max_body_bytes:
            raise Malformed(f"a request body may have {limits.max_body_bytes} bytes", 413)
        request.client = self._client
        self._keep_alive = keep_alive
        self.chunks = keep_alive or head[: head.find(b"\r\n")].endswith(b"/1.1")
        if length >= 0 and len(data) - end >= length:
            if length:
                request.body = data[end : end + length]
            self._used(end + length)
            if keep_alive and len(data) == end - at + length:
                self._again_bytes, self._last_head = len(data), head
                # Without its body: that is not kept any longer than the request.
                self._again = msgspec.structs.replace(request, body=b"")
            self._answer(request)
            return True
        self._used(end)
        if b"expect" in request.headers and self.chunks:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._request = request
        self._length = length
        self._decoder = ChunkedBody() if length == CHUNKED else None
        self._since = self._server.now
        self._part = "body"
        return True

    def _check_partial(self, data: bytes) -> None:
        """Refuse early what will never become a head, instead of waiting for the rest of it."""
        if len(data) > self._limits.max_header_bytes:
            raise Malformed("the request head is too large", 431)
        if data[:_METHOD_BYTES].partition(b" ")[0].translate(None, _UPPER):
            raise Malformed("this is not HTTP/1.1; is TLS spoken to a plain port?")
        breaks = data.count(b"\r\n")
        if data.count(b"\n") != breaks or data.count(b"\r", 0, -1) > breaks:
            raise Malformed("lines end with CR LF")
        if self._part == "idle":
            self._part = "head"
            self._since = self._server.now

    def _read_body(self) -> bool:
        """Whether the body is whole."""
        data = self._unread[self._at :] if self._at else self._unread
        self._unread, self._at = b"", 0
        request, decoder, limit = self._request, self._decoder, self._limits.max_body_bytes
        assert request is not None
        if decoder is None:
            missing = self._length - len(self._body)
            self._body += data[:missing]
            self._unread = data[missing:]
            whole = len(self._body) == self._length
        else:
            self._body += decoder.feed(data)
            whole = decoder.done
            if len(self._body) > limit:
                raise Malformed(f"a request body may have {limit} bytes", 413)
            if whole:
                self._unread = decoder.rest
        if whole:
            request.body = bytes(self._body)
            self._body = bytearray()
            self._request = self._decoder = None
            self._answer(request)
        return whole

    def _answer(self, request: Request) -> None:
        self._part = "answer"
        reply = self._reply = Reply(self, request.method == b"HEAD")
        try:
            self._endpoint(request, reply)
        except Exception:
            _log.exception("the endpoint failed")
            self._keep_alive = False
            if reply.begun:
                self._transport.abort()
            else:
                reply.send(500, _PLAIN, b"gateway: an internal error; it is in the log\n")

    # Answering; called by Reply.

    @property
    def opening(self) -> bytes:
        """The header lines every answer begins with."""
        return self._server.date if self._keep_alive else self._server.date_and_close

    def write(self, data: bytes) -> None:
        self._server.outbox.flush()
        self._transport.write(data)

    def answer(self, data: bytes, rest: bytes = b"") -> None:
        """Write a whole answer, with those of other connections that end in this turn of the loop."""
        server = self._server
        if self._keep_alive and not self._unread and not server.draining and not self._reading_paused:
            server.outbox.put(self._transport, data)
            if rest:
                server.outbox.put(self._transport, rest)
            self._reply = None
            self._since = server.now
            self._part = "idle"
        else:
            self.write(data)
            if rest:
                self._transport.write(rest)
            self.answered()

    def bound_unsent(self, max_bytes: int | None) -> None:
        if self._transport.get_write_buffer_size() > (max_bytes or self._limits.max_buffered_bytes):
            self._transport.abort()
            # At once, not at the next turn of the loop: the endpoint may be about to write more.
            reply, self._reply = self._reply, None
            if reply is not None:
                reply.cut()

    def answered(self) -> None:
        """The answer is given: go on to the next request, or close."""
        self._reply = None
        self._since = self._server.now
        if not self._keep_alive or self._server.draining:
            self._part = "linger"
            self._length = _LINGER_BYTES
            self._transport.close()
            return
        self._part = "idle"
        if self._unread or self._reading_paused:
            self._go_on()

    def _refuse(self, status: int, message: str) -> None:
        """Answer a request that never reaches the endpoint, and close."""
        self._server.outbox.flush()
        self._keep_alive = False
        self._request = None
        self._unread = b""
        body = b"network: " + message.encode("ascii", "replace") + b"\n"
        length = b"content-length: %d\r\n\r\n" % len(body)
        self._transport.write(
            b"".join((_STATUS[status], self._server.date_and_close, b"content-type: text/plain\r\n", length, body))
        )
        self._part = "linger"
        self._length = _LINGER_BYTES
        self._since = self._server.now
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    # Time; called by the server.

    def sweep(self, now: float) -> None:
        """Close what has waited too long."""
        limits = self._limits
        # `_since` is the time of some sweep, so up to one sweep before the event.
        waited = now - self._since - self._server.sweep_s
        if self._part == "head" and waited > limits.header_timeout_s:
            self._refuse(408, "the request head came too slowly")
        elif self._part == "body" and waited > limits.header_timeout_s + len(self._body) / limits.body_floor_bytes_s:
            self._refuse(408, "the request body came too slowly")
        elif (self._part == "idle" and waited > limits.idle_timeout_s) or (
            self._part == "linger" and waited > _LINGER_S
        ):
            self._transport.abort()
        if self._stalled_since is not None and now - self._stalled_since > limits.idle_timeout_s:
            self._transport.abort()

    def close_idle(self) -> None:
        """Close unless a request is in hand."""
        if self._part == "idle" or self._part == "head":
            self._transport.abort()

    def abort(self) -> None:
        self._transport.abort()
