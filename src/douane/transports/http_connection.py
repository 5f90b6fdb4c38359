"""One client connection: a request at a time, its answer read in one way only, and what can go wrong with it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, cast

import msgspec

from ..wire import sse
from .http_parse import CHUNKED, UNTIL_CLOSE, ChunkedBody, Malformed, read_response
from .outbox import Outbox

Sent = Literal["no", "yes", "unknown"]


# HttpError
# ├── AddressRefused       no       the host, or an address of it, is out of reach by rule
# ├── ConnectFailed        no       no name, no route, refused
# ├── TlsFailed            no       no agreement, or a certificate that does not hold
# ├── HttpTimeout          no, unknown, yes    the deadline passed: before sending, before any answer, within it
# ├── ConnectionLost       unknown, yes        closed by the peer before the answer, or within it
# ├── MalformedResponse    yes      an answer that is no HTTP we accept, or beyond the limits
# └── ClientClosed         no, unknown, yes    `aclose` was called meanwhile
class HttpError(Exception):
    """No answer. `sent` says whether the peer may have acted on the request: only "no" may be tried again."""

    def __init__(self, message: str, sent: Sent) -> None:
        super().__init__(message)
        self.sent: Sent = sent


class AddressRefused(HttpError): ...


class ConnectFailed(HttpError): ...


class TlsFailed(HttpError): ...


class HttpTimeout(HttpError): ...


class ConnectionLost(HttpError): ...


class MalformedResponse(HttpError): ...


class ClientClosed(HttpError): ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer may weigh."""

    max_header_bytes: int = 32 * 1024
    max_headers: int = 100
    max_body_bytes: int = 4 * 1024 * 1024
    """Of a whole body, or of one event; a stream may be longer."""
    max_interim: int = 8
    """1xx answers before the real one."""


class Response(msgspec.Struct, gc=False):
    """An answer. `headers` have lower-case names and are read-only: the next answer with the same head shares them.

    `body` is empty if the answer was taken event by event.
    """

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Deadline(msgspec.Struct, eq=False):
    """A deadline that can be moved while the request runs, in seconds of the loop's clock.

    Moved later it counts at once; moved earlier, within a second.
    """

    at: float


_NOTHING = Response(0, {}, b"")

OnEvent = Callable[[sse.Event], None]
OnHeaders = Callable[[int, Mapping[bytes, bytes]], None]


class Owner(Protocol):
    """What a connection tells the pool it belongs to, and where it puts what it sends."""

    outbox: Outbox

    def made(self, connection: "Connection") -> None: ...
    def lost(self, connection: "Connection") -> None: ...
    def give_back(self, connection: "Connection") -> None: ...


class Connection:
    """One connection to one origin, with at most one request on it. An asyncio.Protocol where it is one of a client's."""

    __slots__ = (
        "_again_bytes",
        "_body",
        "_decoder",
        "_head_only",
        "_interim",
        "_keep_alive",
        "_last",
        "_last_head",
        "_left",
        "_limits",
        "_on_event",
        "_on_headers",
        "_part",
        "_pool",
        "_reader",
        "_response",
        "_unread",
        "deadline",
        "future",
        "idle_since",
        "transport",
    )

    def __init__(self, pool: Owner, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._unread = b""
        self._last_head = b""
        self._again_bytes = -1
        self._last: tuple[int, dict[bytes, bytes], int, bool]
        self._part: Literal["idle", "head", "body"] = "idle"
        self.future: asyncio.Future[Response] | None = None
        self.deadline: Deadline | float = 0.0
        self.idle_since = 0.0

    def ask(
        self,
        future: asyncio.Future[Response],
        data: bytes,
        deadline: Deadline | float,
        head_only: bool,
        on_event: OnEvent | None,
        on_headers: OnHeaders | None,
    ) -> None:
        """Send a request. `future` gets its Response or its HttpError."""
        self.future = future
        self.deadline = deadline
        self._head_only = head_only
        self._on_event = on_event
        self._on_headers = on_headers
        if head_only or on_headers is not None:
            self._again_bytes = -1
        self._part = "head"
        self._interim = 0
        self._pool.outbox.put(self.transport, data)

    def fail(self, error: Exception) -> None:
        """The request failed, and this connection with it."""
        future, self.future = self.future, None
        if future is not None and not future.done():
            future.set_exception(error)
        self.drop()

    def drop(self) -> None:
        """Close at once. A request on it is no longer wanted."""
        self.future = None
        self.transport.abort()

    @property
    def sent(self) -> Sent:
        """Whether the peer can have seen the request that is running."""
        return "unknown" if self._part == "head" else "yes"

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._pool.made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.lost(self)
        if self.future is None:
            return
        if self._part == "body" and self._left == UNTIL_CLOSE and exc is None:
            self._response.body = bytes(self._body)
            self._done()
        else:
            self.fail(ConnectionLost("upstream: the connection was closed before the answer was whole", self.sent))

    def data_received(self, data: bytes) -> None:
        if self.future is None:
            # Nobody asked. Whatever it is, it must not become the answer to the next request.
            self.drop()
            return
        head = self._last_head
        if len(data) == self._again_bytes and self._part == "head" and not self._unread and data.startswith(head):
            # Servers repeat themselves to the byte, for as long as their Date stands still.
            self._response = Response(self._last[0], self._last[1], data[len(head) :])
            self._done()
            return
        try:
            if self._part == "head":
                if self._unread:
                    data = self._unread + data
                    self._unread = b""
                self._read_head(data)
            else:
                self._read_body(data)
        except (Malformed, sse.EventTooLarge) as fault:
            self.fail(MalformedResponse(f"upstream: {fault}", "yes"))
        except Exception as fault:
            # A callback of the caller failed: that is the answer to its own request, and no one else's.
            self.fail(fault)

    # Reading.

    def _read_head(self, data: bytes) -> None:
        limits = self._limits
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end > limits.max_header_bytes or (end == 3 and len(data) > limits.max_header_bytes):
                raise Malformed("the head of the answer is too large")
            if end == 3:
                if not data.startswith(b"HTTP/1."[: len(data)]):
                    raise Malformed("the answer is not HTTP/1.1")
                self._unread = data
                return
            rest = b"" if end == len(data) else data[end:]
            head = data[:end]
            if head != self._last_head:
                self._again_bytes = -1
                self._last = read_response(head, limits.max_headers)
                self._last_head = head
            status, headers, length, self._keep_alive = self._last
            if status >= 200:
                break
            self._interim += 1
            if status == 101 or self._interim > limits.max_interim:
                raise Malformed("unexpected 1xx answers")
            data = rest
            if not data:
                return
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Malformed("the answer is compressed, which was not asked for")
        if length > limits.max_body_bytes:
            raise Malformed(f"the answer has more than {limits.max_body_bytes} bytes")
        response = self._response = Response(status, headers, b"")
        self._part = "body"
        is_stream = headers.get(b"content-type", b"").startswith(b"text/event-stream")
        streamed = is_stream and self._on_event is not None
        if self._on_headers is not None:
            self._on_headers(status, headers)
        if self._head_only:
            length = 0
        if length == len(rest) and not streamed:
            response.body = rest
            if self._keep_alive and not is_stream:
                self._again_bytes = end + length
            self._done()
            return
        self._reader = sse.Reader(limits.max_body_bytes) if streamed else None
        self._decoder = ChunkedBody() if length == CHUNKED else None
        self._body = bytearray()
        self._left = length
        if rest or not length:
            self._read_body(rest)

    def _read_body(self, data: bytes) -> None:
        whole = False
        decoder = self._decoder
        if decoder is not None:
            data = decoder.feed(data)
            whole = decoder.done
            if decoder.done and decoder.rest:
                self._keep_alive = False
        elif self._left >= 0:
            if len(data) > self._left:
                # More than was announced: nothing after it can be trusted.
                self._keep_alive = False
                data = data[: self._left]
            self._left -= len(data)
            whole = not self._left
        if self._reader is not None:
            on_event = self._on_event
            assert on_event is not None
            for event in self._reader.feed(data):
                on_event(event)
        else:
            self._body += data
            if len(self._body) > self._limits.max_body_bytes:
                raise Malformed(f"the answer has more than {self._limits.max_body_bytes} bytes")
        if whole:
            self._response.body = bytes(self._body)
            self._body = bytearray()
            self._done()

    def _done(self) -> None:
        future, self.future = self.future, None
        response, self._response = self._response, _NOTHING
        # An idle connection holds on to nothing of what it carried.
        self.deadline, self._on_event = 0.0, None
        self._part = "idle"
        if self._keep_alive and not self.transport.get_write_buffer_size():
            self._pool.give_back(self)
        else:
            self.drop()
        if future is not None and not future.done():
            future.set_result(response)
