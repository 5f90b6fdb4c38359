"""An HTTP/1.1 server for one endpoint: requests in, whole or streamed answers out. No routing, no meaning.

Promises: a request reaches the endpoint only whole, within the limits and past the guard; hostile bytes are answered
400 (or 403, 408, 413, 417, 431, 505) with one line of text and the connection is closed; answers leave in the order of
their requests; what waits unsent is bounded; after `aclose` nothing is left. It does not speak HTTP/2, WebSocket or
compression, and does not follow `Upgrade`.

All time limits are kept by one sweep per server, a second apart: a timer per request would cost more than its parse.
"""

import asyncio
import socket
import ssl
import time

from .http_guard import Guard, Limits
from .http_parse import Request
from .http_peer import Connection, Endpoint, Reply
from .outbox import Outbox

__all__ = ["Endpoint", "Guard", "HttpServer", "Limits", "Reply", "Request", "serve"]

_DEFAULT_LIMITS = Limits()


class HttpServer:
    """A listening server. Made by `serve`."""

    def __init__(self, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(self._loop)
        self._limits = limits
        self._listening: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.port = 0
        self.draining = False
        self.sweep_s = min(1.0, limits.header_timeout_s / 4, limits.idle_timeout_s / 4)
        self._timer = self._loop.call_later(self.sweep_s, self._tick)
        self._set_clock()

    @property
    def connections(self) -> int:
        """How many peers are connected."""
        return len(self._connections)

    def listens(self, listening: asyncio.Server) -> None:
        """The socket is open. For `serve`."""
        self._listening = listening
        self.port = int(listening.sockets[0].getsockname()[1])

    async def aclose(self, drain_s: float) -> None:
        """Stop accepting, close idle connections, give the requests in hand `drain_s` seconds, close the rest.

        Returns when no connection, timer or socket is left. Idempotent.
        """
        self.outbox.flush()
        self.draining = True
        self.date = self.date_and_close
        if self._listening is not None:
            self._listening.close()
        for connection in tuple(self._connections):
            connection.close_idle()
        try:
            async with asyncio.timeout(drain_s):
                await self._empty.wait()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.abort()
            await self._empty.wait()
        self._timer.cancel()
        if self._listening is not None:
            await self._listening.wait_closed()

    # Called by connections.

    def admit(self, connection: Connection) -> bool:
        """Count a new connection. False if there are too many already; it must then say so and close."""
        self._connections.add(connection)
        self._empty.clear()
        return len(self._connections) <= self._limits.max_connections and not self.draining

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self.sweep_s, self._tick)
        self._set_clock()
        for connection in tuple(self._connections):
            connection.sweep(self.now)

    def _set_clock(self) -> None:
        self.now = self._loop.time()
        self.date = b"date: " + _http_date(time.time()) + b"\r\n"
        self.date_and_close = self.date + b"connection: close\r\n"
        if self.draining:
            self.date = self.date_and_close


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _http_date(epoch_s: float) -> bytes:
    # Not strftime: it follows the locale. Spec: RFC 9110 §5.6.7.
    at = time.gmtime(epoch_s)
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year} {clock} GMT".encode()


class _Peer(Connection, asyncio.Protocol):
    """What the event loop takes."""

    __slots__ = ()


async def serve(
    endpoint: Endpoint,
    *,
    guard: Guard,
    host: str = "127.0.0.1",
    port: int = 0,
    sock: socket.socket | None = None,
    limits: Limits = _DEFAULT_LIMITS,
    tls: ssl.SSLContext | None = None,
) -> HttpServer:
    """Serve `endpoint` on `sock`, or on `host` and `port` (0: any free one, see `HttpServer.port`).

    Raises OSError when the address cannot be had.
    """
    server = HttpServer(limits)
    loop = asyncio.get_running_loop()

    def connection() -> _Peer:
        return _Peer(server, endpoint, guard, limits)

    handshake_s = limits.header_timeout_s if tls is not None else None
    try:
        if sock is not None:
            listening = await loop.create_server(connection, sock=sock, ssl=tls, ssl_handshake_timeout=handshake_s)
        else:
            listening = await loop.create_server(connection, host, port, ssl=tls, ssl_handshake_timeout=handshake_s)
    except BaseException:
        await server.aclose(0)
        raise
    server.listens(listening)
    return server
