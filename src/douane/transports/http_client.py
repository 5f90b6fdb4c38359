"""A pooled HTTP/1.1 client for upstream servers: one future per request, no task and no timer of its own.

Promises: a connection goes only to an address judged by `address`; nothing is sent twice, whatever happens; every
error says whether the request may have been sent; an answer is read in one way only and within the limits; cancelling
the request closes its connection. It follows no redirect, takes no proxy from the environment (only one it is given), keeps
no cookies and speaks neither HTTP/2 nor compression.

An answer of type text/event-stream can be taken event by event. Its deadline can be moved while it runs: give a
`Deadline` and set its `at`.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from . import address
from .address import Reach, Resolver, system_resolver
from .http_connection import (
    AddressRefused,
    ClientClosed,
    ConnectFailed,
    Connection,
    ConnectionLost,
    Deadline,
    HttpError,
    HttpTimeout,
    Limits,
    MalformedResponse,
    OnEvent,
    OnHeaders,
    Response,
    TlsFailed,
)
from .http_parse import HeaderBlock, Headers, encode_headers, header_block
from .outbox import Outbox
from .proxy import Proxy, Tunnel, TunnelRefused

__all__ = [
    "AddressRefused",
    "ClientClosed",
    "ConnectFailed",
    "ConnectionLost",
    "Deadline",
    "HeaderBlock",
    "HttpClient",
    "HttpError",
    "HttpTimeout",
    "Limits",
    "MalformedResponse",
    "Origin",
    "Proxy",
    "Reach",
    "Requests",
    "Response",
    "TlsFailed",
    "encode_headers",
]

_DEFAULT_LIMITS = Limits()
_TARGET = re.compile(r"/[\x21\x22\x24-\x7e]*")
_METHOD = re.compile(r"[A-Z]{1,20}")
_TICK_S = 1.0
_MAX_ADDRESSES = 4
_MAX_OPENINGS = 256

_P = TypeVar("_P", bound=asyncio.Protocol)


class Origin(msgspec.Struct, frozen=True):
    """Where a connection goes. `host` is without brackets, lower-case."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> "tuple[Origin, str]":
        """The origin and the target (path and query) of `url`. Raises ValueError, with the reason."""
        if not url.isascii() or any(char <= " " or char == "\x7f" for char in url):
            raise ValueError("a URL is visible ASCII; write other characters percent-encoded, other names as xn--…")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError("a URL begins with http:// or https://")
        if "#" in url:
            raise ValueError("a URL of a server has no fragment")
        if "@" in parts.netloc or "\\" in url:
            raise ValueError("a URL holds no user name and no backslash; credentials belong in the configuration")
        if not parts.hostname:
            raise ValueError("a URL needs a host")
        port = parts.port if parts.port is not None else 443 if parts.scheme == "https" else 80
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        return cls(parts.scheme, parts.hostname, port), target

    @property
    def authority(self) -> str:
        """The Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


class _Pool:
    """The connections to one origin. At most `max_open`; who finds none free waits in line."""

    def __init__(self, client: "HttpClient", origin: Origin, max_open: int) -> None:
        self.connections: set[Connection] = set()
        self.waiting: deque[tuple[asyncio.Future[Connection | None], Deadline | float]] = deque()
        self.connecting = 0
        self.openings: dict[tuple[str, str], bytes] = {}
        self.outbox = client.outbox
        self._client = client
        self._origin = origin
        self._max_open = max_open
        self._idle: list[Connection] = []

    @property
    def in_use(self) -> bool:
        """Whether anything is open, being opened or waited for."""
        return bool(self.connections or self.connecting or self.waiting)

    def opening(self, method: str, target: str) -> bytes:
        """The request line and the headers every request to this origin has. Raises ValueError."""
        if not _METHOD.fullmatch(method) or not _TARGET.fullmatch(target):
            raise ValueError(
                "a request needs a method in capitals and a target that begins with / and is visible ASCII"
            )
        lines = f"{method} {target} HTTP/1.1\r\nhost: {self._origin.authority}\r\naccept-encoding: identity\r\n"
        if len(self.openings) >= _MAX_OPENINGS:
            self.openings.clear()
        self.openings[method, target] = encoded = lines.encode("ascii")
        return encoded

    def take(self) -> Connection | None:
        """An idle connection that is still open; the one used last, so that the others can age."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def wait(self, deadline: Deadline | float, beyond: bool) -> Connection:
        """A new connection, or the next free one. Raises HttpError with `sent` "no"."""
        while True:
            if beyond or len(self.connections) + self.connecting < self._max_open:
                self.connecting += 1
                return await self._connect(deadline)
            turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            self.waiting.append((turn, deadline))
            try:
                connection = await turn
            except asyncio.CancelledError:
                # Its turn may have come in the same moment: then it goes to the next in line.
                if turn.done() and not turn.cancelled() and turn.exception() is None:
                    self._pass_on(turn.result())
                raise
            if connection is None:
                return await self._connect(deadline)
            if not connection.transport.is_closing():
                return connection

    async def _connect(self, deadline: Deadline | float) -> Connection:
        """Open a connection in a place that was counted in `connecting`."""
        try:
            return await self._client.connect(self._origin, self, deadline)
        finally:
            self.connecting -= 1
            self._free_place()

    def _pass_on(self, connection: Connection | None) -> None:
        if connection is None:
            self.connecting -= 1
            self._free_place()
        elif not connection.transport.is_closing():
            self.give_back(connection)

    def _free_place(self) -> None:
        """A connection less: the next in line may open one."""
        while self.waiting and len(self.connections) + self.connecting < self._max_open:
            turn, _ = self.waiting.popleft()
            if not turn.done():
                self.connecting += 1
                turn.set_result(None)
        self._client.check_empty()

    # Called by connections.

    def made(self, connection: Connection) -> None:
        self.connections.add(connection)

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_place()

    def give_back(self, connection: Connection) -> None:
        while self.waiting:
            turn, _ = self.waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        connection.idle_since = self._client.now
        self._idle.append(connection)

    # Time and the end; called by the client.

    def sweep(self, now: float, idle_s: float) -> float:
        """Fail what is past its deadline, close what was idle too long. Returns the next deadline."""
        soonest = now + _TICK_S
        for connection in tuple(self.connections):
            if connection.future is None:
                if now - connection.idle_since > idle_s and connection in self._idle:
                    connection.drop()
            elif (at := _at(connection.deadline)) <= now:
                connection.fail(HttpTimeout("upstream: no answer before the deadline", connection.sent))
            else:
                soonest = min(soonest, at)
        for turn, deadline in self.waiting:
            if (at := _at(deadline)) > now:
                soonest = min(soonest, at)
            elif not turn.done():
                turn.set_exception(HttpTimeout("gateway: no connection to the upstream became free in time", "no"))
        return soonest

    def close(self) -> None:
        """Fail every request and close every connection."""
        for turn, _ in self.waiting:
            if not turn.done():
                turn.set_exception(ClientClosed("gateway: the client is closed", "no"))
        for connection in tuple(self.connections):
            connection.fail(ClientClosed("gateway: the client was closed before the answer", connection.sent))


class _Connected(Connection, asyncio.Protocol):
    """What the event loop takes."""

    __slots__ = ()


class Requests(Protocol):
    """What sends requests: an `HttpClient`, or what stands before one."""

    async def request(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Headers,
        body: bytes = b"",
        *,
        deadline: Deadline | float,
        on_event: OnEvent | None = None,
        on_headers: OnHeaders | None = None,
        beyond: bool = False,
    ) -> Response:
        """As `HttpClient.request`."""
        ...


class HttpClient:
    """Requests to any number of origins within one reach. Make it on the event loop it is used on.

    `tls` is shared by all connections; without it the system's roots are used. The `resolver` is asked at each new
    connection, and nothing else asks for names.
    """

    def __init__(
        self,
        *,
        reach: Reach,
        tls: ssl.SSLContext | None = None,
        limits: Limits = _DEFAULT_LIMITS,
        max_per_origin: int = 64,
        idle_s: float = 60.0,
        connect_timeout_s: float = 10.0,
        resolver: Resolver = system_resolver,
        proxy: Proxy | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(self._loop)
        self._reach = reach
        self._tls = tls
        self._limits = limits
        self._max_per_origin = max_per_origin
        self._idle_s = idle_s
        self._connect_timeout_s = connect_timeout_s
        self._resolver = resolver
        self._proxy = proxy
        self._pools: dict[Origin, _Pool] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_tick = float("inf")
        self._connects: set[asyncio.Timeout] = set()
        self._empty = asyncio.Event()
        self._closed = False
        self.now = self._loop.time()

    async def request(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Headers,
        body: bytes = b"",
        *,
        deadline: Deadline | float,
        on_event: OnEvent | None = None,
        on_headers: OnHeaders | None = None,
        beyond: bool = False,
    ) -> Response:
        """Send one request and wait for its answer, whatever its status; a redirect is an answer like others.

        `deadline` is a point of `loop.time()`. With `on_event`, an event stream is delivered event by event and the
        answer comes, without a body, at its end. `on_headers` is called when the head of the answer is there. An
        exception in either closes the connection and is raised here. With `beyond` it waits for no connection, however
        many there are: those that hold them may wait for it. Raises HttpError; ValueError, before anything is
        sent, for a request that cannot be written.
        """
        pool = self._pools.get(origin) or self._pool(origin)
        opening = pool.openings.get((method, target)) or pool.opening(method, target)
        block = headers if type(headers) is HeaderBlock else header_block(headers)
        length = b"content-length: %d\r\n\r\n" % len(body) if body or method == "POST" else b"\r\n"
        data = b"".join((opening, block, length, body))
        if (at := _at(deadline)) < self._next_tick:
            self._wake_at(at)
        connection = pool.take() or await pool.wait(deadline, beyond)
        future: asyncio.Future[Response] = self._loop.create_future()
        connection.ask(future, data, deadline, method == "HEAD", on_event, on_headers)
        try:
            return await future
        except asyncio.CancelledError:
            # If the answer came in the same moment the connection is somebody else's by now.
            if connection.future is future:
                connection.drop()
            elif not future.cancelled():
                future.exception()
            raise

    def use(self, tls: ssl.SSLContext) -> None:
        """For connections from now on."""
        self._tls = tls

    @property
    def open_connections(self) -> int:
        """How many connections are open, idle ones included."""
        return sum(len(pool.connections) for pool in self._pools.values())

    async def aclose(self) -> None:
        """Fail what is running, close every connection, and return when none is left. Idempotent."""
        self._closed = True
        for connect in tuple(self._connects):
            connect.reschedule(self._loop.time())
        for pool in self._pools.values():
            pool.close()
        self.check_empty()
        await self._empty.wait()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pool(self, origin: Origin) -> _Pool:
        self._pools = {known: pool for known, pool in self._pools.items() if pool.in_use}
        self._pools[origin] = pool = _Pool(self, origin, self._max_per_origin)
        return pool

    # Called by pools.

    async def connect(self, origin: Origin, pool: _Pool, deadline: Deadline | float) -> Connection:
        """A new connection to `origin`. Raises HttpError with `sent` "no"."""
        limit_at = min(_at(deadline), self._loop.time() + self._connect_timeout_s)
        timeout = asyncio.timeout_at(limit_at)
        try:
            async with timeout:
                self._connects.add(timeout)
                if self._closed:
                    raise ClientClosed("gateway: the client is closed", "no")
                return await self._open(origin, pool)
        except TimeoutError:
            if self._closed:
                raise ClientClosed("gateway: the client was closed while connecting", "no") from None
            raise HttpTimeout("network: no connection to the upstream in time", "no") from None
        finally:
            self._connects.discard(timeout)

    async def _open(self, origin: Origin, pool: _Pool) -> Connection:
        proxy = self._proxy
        tls = self._context() if origin.scheme == "https" else None
        if proxy is None or not proxy.serves(origin.host):
            addresses = await self._resolve(origin.host, origin.port, self._reach)
            return await self._to_first(addresses, lambda: _Connected(pool, self._limits), tls, origin.host)
        return await self._through(proxy, origin, pool, tls)

    async def _resolve(self, host: str, port: int, reach: Reach) -> Sequence[address.Address]:
        try:
            return await address.resolve(host, port, reach, self._resolver)
        except address.AddressRefused as refusal:
            raise AddressRefused(f"policy: {refusal}", "no") from None
        except address.NameNotFound as fault:
            raise ConnectFailed(f"network: {fault}", "no") from None

    async def _to_first(
        self, addresses: Sequence[address.Address], make: Callable[[], _P], tls: ssl.SSLContext | None, host: str
    ) -> _P:
        """A connection to the first of `addresses` that takes one."""
        reason = "refused"
        for ip, port, family in addresses[:_MAX_ADDRESSES]:
            try:
                _, connection = await self._loop.create_connection(
                    make, ip, port, family=family, ssl=tls, server_hostname=host if tls is not None else None
                )
            except ssl.SSLError as fault:
                raise _no_tls(fault) from None
            except OSError as fault:
                reason = fault.strerror or type(fault).__name__
            else:
                return connection
        raise ConnectFailed(f"network: the upstream cannot be reached ({reason})", "no")

    async def _through(self, proxy: Proxy, origin: Origin, pool: _Pool, tls: ssl.SSLContext | None) -> Connection:
        targets = await self._targets(proxy, origin)
        ways = await self._resolve(proxy.host, proxy.port, Reach.LOOPBACK)
        refusal = TunnelRefused("the proxy refused")
        for target in targets[:_MAX_ADDRESSES]:
            tunnel = await self._to_first(
                ways,
                lambda target=target: Tunnel(target, origin.port, proxy.authorization),
                self._context() if proxy.tls else None,
                proxy.host,
            )
            try:
                return await self._inside(await tunnel.wait(), _Connected(pool, self._limits), tls, origin.host)
            except TunnelRefused as fault:
                refusal = fault
                if not fault.temporary:
                    break
        raise ConnectFailed(f"network: {refusal}", "no")

    async def _targets(self, proxy: Proxy, origin: Origin) -> Sequence[str]:
        """What the proxy is asked for."""
        try:
            named = proxy.resolves and address.literal(origin.host) is None
        except address.AddressRefused as refusal:
            raise AddressRefused(f"policy: {refusal}", "no") from None
        if named:
            return (origin.host,)
        return [ip for ip, _, _ in await self._resolve(origin.host, origin.port, self._reach)]

    async def _inside(
        self, transport: asyncio.Transport, connection: _Connected, tls: ssl.SSLContext | None, host: str
    ) -> Connection:
        """`connection` at the near end of a tunnel."""
        try:
            if tls is None:
                transport.set_protocol(connection)
                inner: asyncio.BaseTransport | None = transport
            else:
                inner = await self._loop.start_tls(transport, connection, tls, server_hostname=host)
        except ssl.SSLError as fault:
            raise _no_tls(fault) from None
        except OSError as fault:
            raise ConnectFailed(f"network: the tunnel broke ({fault.strerror or fault})", "no") from None
        except BaseException:
            transport.abort()
            raise
        if inner is None:
            raise ConnectFailed("network: the tunnel was closed", "no")
        connection.connection_made(inner)
        transport.resume_reading()
        return connection

    def _context(self) -> ssl.SSLContext:
        # One for all: making it costs 17 ms of CPU, for the system's certificates.
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def check_empty(self) -> None:
        """After `aclose`: whether the last connection is gone."""
        if self._closed and not any(pool.connections or pool.connecting for pool in self._pools.values()):
            self._empty.set()

    # Time.

    def _wake_at(self, at: float) -> None:
        """The clock must tick before its next tick, or does not tick yet."""
        now = self.now = self._loop.time()
        if at <= now:
            raise HttpTimeout("gateway: the deadline had passed before the request was sent", "no")
        if self._timer is not None:
            self._timer.cancel()
        self._next_tick = min(at, now + _TICK_S)
        self._timer = self._loop.call_at(self._next_tick, self._tick)

    def _tick(self) -> None:
        now = self.now = self._loop.time()
        soonest = now + _TICK_S
        for pool in self._pools.values():
            soonest = min(soonest, pool.sweep(now, self._idle_s))
        if any(pool.in_use for pool in self._pools.values()):
            self._next_tick = soonest
            self._timer = self._loop.call_at(soonest, self._tick)
        else:
            self._next_tick = float("inf")
            self._timer = None


def _no_tls(fault: ssl.SSLError) -> TlsFailed:
    why = getattr(fault, "verify_message", "") or fault.reason or "handshake failed"
    return TlsFailed(f"network: no TLS with the upstream: {why}", "no")


def _at(deadline: Deadline | float) -> float:
    return deadline if type(deadline) is float else cast("Deadline", deadline).at
