"""A server as a process: on its standard streams, or at a port, until it is told to stop."""

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, NamedTuple, Protocol

from ..auth.tokens import Bearer, Denied, Identity, is_loopback
from ..protocol.call import Principal
from ..transports import http_server
from ..transports.http_guard import Guard
from ..transports.http_server import Endpoint, Reply, Request
from ..transports.link import Link
from ..transports.stdio import connect_stdio
from ..wire.rpc import Limits
from .client_sessions import Sessions
from .held import Admit, Turned
from .http_door import HttpDoor
from .line_door import LineDoor
from .listener import Listener
from .sse_door import STREAM, SseDoor

__all__ = ["LOCAL", "PATH", "Http", "Served", "run_http", "run_stdio", "serve_http", "told_to_stop", "until_over"]

try:
    import uvloop
except ImportError:  # Windows has none.
    uvloop = None

PATH = b"/mcp"
LOCAL = Principal("local")
"""Who is on this machine, and was not asked for a token."""
_NO_TOKEN = "client: send the server's token as `Authorization: Bearer …`"
_DRAIN_S = 10.0
_LAST_ANSWERS_S = 10.0
"""A client that pipes its questions in and closes its end still wants the answers; one that has gone wants us gone."""
_STOP_S = 1.0
"""Clients kill two seconds after they have asked to end (2025-11-25 basic/lifecycle.mdx, shutdown)."""


class Http(NamedTuple):
    """Where to serve, and for whom."""

    host: str
    port: int
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    token: str | None = None
    legacy: bool = False
    """Serve HTTP+SSE, the transport of 2024-11-05, beside the newer endpoint."""


class Served(Protocol):
    """What can be run: a server."""

    listener: Listener

    def ready(self) -> AbstractAsyncContextManager[None]: ...

    def serve(self, link: Link, *, owes: bool = False) -> LineDoor: ...


def run_stdio(served: Served) -> None:
    _run(_stdio(served))


def run_http(served: Served, at: Http) -> None:
    """Raises ValueError for what may not be served, OSError for an address that cannot be had."""
    _run(_http(served, at))


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        if uvloop is None:
            asyncio.run(work)
        else:
            uvloop.run(work)
    except KeyboardInterrupt:
        return


async def _stdio(served: Served) -> None:
    async with served.ready():
        door = served.serve(await connect_stdio(), owes=True)
        with told_to_stop() as stop:
            await until_over(door, stop)


async def until_over(door: LineDoor, stop: "asyncio.Future[None]") -> None:
    """Until the client has gone or we are told to stop; then what is open has its time, and the door is closed."""
    await asyncio.wait({stop, door.ended}, return_when=asyncio.FIRST_COMPLETED)
    draining = asyncio.get_running_loop().create_task(door.drain(_LAST_ANSWERS_S))
    try:
        await asyncio.wait({stop, draining}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({draining}, timeout=_STOP_S)
    finally:
        draining.cancel()
        await asyncio.wait({draining})
        await door.aclose()


async def _http(served: Served, at: Http) -> None:
    # Who reads where we serve may tell us to stop at once, so we listen for that first.
    with told_to_stop() as stop:
        async with served.ready(), serve_http(served.listener, at) as port:
            path = STREAM if at.legacy else PATH
            print(f"serving at http://{_named(at.host)}:{port}{path.decode()}", file=sys.stderr, flush=True)
            await stop


@contextmanager
def told_to_stop() -> Generator["asyncio.Future[None]"]:
    """Resolved by the first SIGINT or SIGTERM; a second one has its usual effect. Signals reach the main thread only."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()

    def stop() -> None:
        if not told.done():
            told.set_result(None)
            for number in numbers:
                loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield told
    finally:
        stop()


@asynccontextmanager
async def serve_http(listener: Listener, at: Http) -> AsyncGenerator[int]:
    """Serve over Streamable HTTP until the block ends, which lets open calls end first. Yields the port.

    Raises ValueError for what may not be served, OSError for an address that cannot be had.
    """
    loop = asyncio.get_running_loop()
    if at.token is None and not is_loopback(at.host):
        raise ValueError(f"{at.host!r} can be reached from other machines: give a token=, or serve on 127.0.0.1")
    sessions = Sessions(listener.offer, loop.time)
    admit = _admit(at.token, loop.time)
    door = HttpDoor(listener, admit, sessions, Limits())
    older = SseDoor(listener, admit, Limits())
    paths = {PATH: door, **(older.paths if at.legacy else {})}
    sock = socket.create_server((at.host, at.port), family=socket.AF_INET6 if ":" in at.host else socket.AF_INET)
    port = sock.getsockname()[1]
    try:
        server = await http_server.serve(_routed(paths), guard=_guard(at, port), sock=sock)
    except BaseException:
        sock.close()
        raise
    try:
        yield port
    finally:
        door.hush()
        await asyncio.gather(older.drain(_DRAIN_S), server.aclose(_DRAIN_S))
        await older.aclose()
        await door.aclose()


def _guard(at: Http, port: int) -> Guard:
    names = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", _named(at.host))]
    # A page that this server has served itself is of no other site.
    origins = (*(f"http://{name}" for name in names), *at.origins)
    return Guard([name.encode() for name in (*names, *at.hosts)], [origin.encode() for origin in origins])


def _named(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _routed(paths: Mapping[bytes, Endpoint]) -> Endpoint:
    served = " and ".join(path.decode() for path in paths)

    def route(request: Request, reply: Reply) -> None:
        endpoint = paths.get(request.path)
        if endpoint is None:
            reply.send(404, [(b"content-type", b"text/plain")], f"client: this server answers at {served}\n".encode())
        else:
            endpoint(request, reply)

    return route


def _admit(token: str | None, clock: Callable[[], float]) -> Admit:
    if token is None:
        return lambda request: LOCAL
    bearer = Bearer({token: Identity("owner")}, clock)
    owner = Principal("owner")

    def admit(request: Request) -> Principal:
        who = bearer.verify(request.headers.get(b"authorization"), request.client)
        if isinstance(who, Denied):
            # Without a token, its own words would lead to the gateway's.
            reason = _NO_TOKEN if request.headers.get(b"authorization") is None else who.reason
            raise Turned(who.status, reason, _challenge(who))
        return owner

    return admit


def _challenge(denied: Denied) -> Sequence[tuple[bytes, bytes]]:
    if denied.challenge is not None:
        return [(b"www-authenticate", denied.challenge.encode())]
    return [(b"retry-after", b"%d" % (int(denied.retry_after_s) + 1))]
