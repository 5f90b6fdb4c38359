"""HTTP+SSE, as it is served to clients of revision 2024-11-05: GET opens a stream, POSTs bring what the client says.

Each stream is a line with a client of its own. Its id is 256 random bits and no credential: every POST proves its
principal anew, and another principal's stream does not exist for it. A stream that ends cancels what was asked on it.
Spec: specification/2024-11-05/basic/transports.mdx (HTTP with SSE).
"""

import asyncio
import secrets
from collections.abc import Mapping
from functools import partial

import msgspec

from ..protocol.call import Principal
from ..transports.http_legacy import ServerEnd
from ..transports.http_server import Endpoint, Reply, Request
from ..wire import rpc
from .held import Admit, Held, Turned
from .http_answer import AS_STREAM, AS_TEXT
from .line_door import LineDoor
from .listener import Listener

__all__ = ["MESSAGES", "STREAM", "SseDoor"]

STREAM, MESSAGES = b"/sse", b"/messages"
_ID = b"session_id="
_PULSE_S = 15.0
"""As often as sse-starlette, which most servers of this transport stand on. Clients give up after five minutes."""
_MAX_STREAMS = 1000
"""Each holds a connection for as long as its client likes; a tenth of what the server has."""
_MAX_PER_PRINCIPAL = 100
"""A person has a few clients, and each opens a stream for each of its windows."""


class _Stream(msgspec.Struct, eq=False):
    principal: Principal
    end: ServerEnd
    door: LineDoor
    last_used_s: float
    tending: asyncio.Task[None]


class SseDoor:
    """Two endpoints of transports.http_server, see `paths`."""

    def __init__(
        self,
        listener: Listener,
        admit: Admit,
        limits: rpc.Limits,
        *,
        below: bytes = b"",
        max_streams: int = _MAX_STREAMS,
        max_per_principal: int = _MAX_PER_PRINCIPAL,
        idle_s: float = 1800.0,
        pulse_s: float = _PULSE_S,
        held: Held | None = None,
    ) -> None:
        """`below`: the path under which both endpoints are. `idle_s`: a stream on which nothing was said, and nothing is
        open, for so long is ended."""
        self._listener, self._admit, self._limits, self._below = listener, admit, limits, below
        self._max_streams, self._max_per_principal = max_streams, max_per_principal
        self._idle_s, self._pulse_s = idle_s, pulse_s
        self._loop = asyncio.get_running_loop()
        self._streams: dict[str, _Stream] = {}
        self._pulse: asyncio.TimerHandle | None = None
        self._draining = False
        self._held = held or Held(admit, pulses=False)

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def paths(self) -> Mapping[bytes, Endpoint]:
        return {self._below + STREAM: self.open, self._below + MESSAGES: self.take}

    async def drain(self, within_s: float) -> None:
        """Take nothing new, let what is open end within that time, and end the streams."""
        self._draining = True
        if self._streams:
            await asyncio.gather(*(stream.door.drain(within_s) for stream in self._streams.values()))

    async def aclose(self) -> None:
        """Cancel what is open, and end the streams."""
        self._draining = True
        streams = tuple(self._streams.values())
        for stream in streams:
            await stream.door.aclose()
        if streams:
            await asyncio.wait({stream.tending for stream in streams})
        if self._pulse is not None:
            self._pulse.cancel()
        self._held.close()

    # --- GET ---

    def open(self, request: Request, reply: Reply) -> None:
        principal = self._let_in(request, reply)
        if principal is None:
            return
        if request.method != b"GET":
            # Clients of both transports POST here first, to see which one it is (2025-11-25/basic/transports.mdx).
            reply.send(405, AS_TEXT.plus((b"allow", b"GET")), b"client: GET opens a stream; the newer endpoint is /mcp")
        elif self._draining or len(self._streams) >= self._max_streams:
            why = f"{self._listener.about.layer}: no stream is free; try again later"
            reply.send(503, AS_TEXT.plus((b"retry-after", b"5")), why.encode())
        elif self._held_by(principal) >= self._max_per_principal:
            reply.send(429, AS_TEXT, f"client: you have {self._max_per_principal} streams open; end one".encode())
        else:
            end = self._begin(principal, reply)
            self._held.hold(request, principal, reply, partial(end.close, "its client is not let in any more"))

    def _held_by(self, principal: Principal) -> int:
        owner = (principal.tenant, principal.subject)
        return sum((stream.principal.tenant, stream.principal.subject) == owner for stream in self._streams.values())

    def _begin(self, principal: Principal, reply: Reply) -> ServerEnd:
        id_ = secrets.token_urlsafe(32)
        reply.open(200, AS_STREAM)
        end = ServerEnd(reply, (self._below + MESSAGES + b"?" + _ID).decode() + id_)
        door = LineDoor(end, self._listener, principal, self._limits)
        tending = self._loop.create_task(self._tend(id_, door))
        self._streams[id_] = _Stream(principal, end, door, self._loop.time(), tending)
        if self._pulse is None:
            self._pulse = self._loop.call_later(self._pulse_s, self._beat)
        return end

    async def _tend(self, id_: str, door: LineDoor) -> None:
        try:
            await door.ended
        finally:
            del self._streams[id_]
            await door.aclose()

    # --- POST ---

    def take(self, request: Request, reply: Reply) -> None:
        principal = self._let_in(request, reply)
        if principal is None:
            return
        if request.method != b"POST":
            reply.send(405, AS_TEXT.plus((b"allow", b"POST")), b"client: POST messages here")
            return
        if request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
            reply.send(415, AS_TEXT, b"client: POST application/json")
            return
        stream = self._find(request.query, principal)
        if stream is None or not stream.end.take(request.body):
            why = "client: no such session, or its stream has ended; GET /sse opens one"
            self._listener.refusals.turned("sse", principal, 404, why)
            reply.send(404, AS_TEXT, why.encode())
            return
        stream.last_used_s = self._loop.time()
        reply.send(202, AS_TEXT, b"Accepted")

    def _find(self, query: bytes, principal: Principal) -> _Stream | None:
        if not query.startswith(_ID):
            return None
        stream = self._streams.get(query.removeprefix(_ID).decode("latin-1"))
        return stream if stream is not None and stream.principal == principal else None

    def _let_in(self, request: Request, reply: Reply) -> Principal | None:
        try:
            return self._admit(request)
        except Turned as turned:
            reply.send(turned.status, AS_TEXT.plus(*turned.headers), turned.reason.encode())
            return None

    # --- time ---

    def _beat(self) -> None:
        self._pulse = self._loop.call_later(self._pulse_s, self._beat) if self._streams else None
        horizon_s = self._loop.time() - self._idle_s
        for stream in tuple(self._streams.values()):
            if stream.last_used_s < horizon_s and not stream.door.busy:
                stream.end.close("it was not used any more")
            else:
                stream.end.pulse()
