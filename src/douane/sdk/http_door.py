"""Streamable HTTP, as it is served to clients: one endpoint, both eras.

A POST that carries its envelope is of the stateless era: no session, headers that mirror the body, and the end of
its connection cancels it. Everything else belongs to a session that `initialize` opened; there a lost connection
cancels nothing. The answer becomes an event stream with the first event, so that errors keep their status.
Spec: specification/2026-07-28/basic/transports/streamable-http.mdx, specification/2025-11-25/basic/transports.mdx.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from ..protocol.call import JSON, Call, Event, Principal
from ..protocol.eras import handshake, stateless
from ..protocol.eras.envelope import token_of
from ..protocol.outcome import Failed, Outcome, Refused
from ..protocol.versions import HANDSHAKE, MODERN
from ..transports.http_parse import encode_headers
from ..transports.http_server import Reply, Request
from ..wire import json, rpc, sse
from ..wire.codes import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_REQUEST, http_status
from .client_sessions import ClientSession, Sessions
from .listener import Listener, conversation_of, new_id

__all__ = ["Admit", "HttpDoor", "Turned"]

Header = tuple[bytes, bytes]
_MODERN = MODERN.encode()
_JSON = encode_headers([(b"content-type", b"application/json")])
_TEXT = encode_headers([(b"content-type", b"text/plain; charset=utf-8")])
_STREAM = encode_headers(
    [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
)


class Turned(Exception):
    """Nobody we know, or nobody who may come in by this door: how the request is answered."""

    def __init__(self, status: int, reason: str, headers: Sequence[Header] = ()) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


Admit = Callable[[Request], Principal]
"""Who sent a request. Raises Turned. Every method and every path of the endpoint goes through it."""


class HttpDoor:
    """The endpoint `/mcp`. An `Endpoint` of transports.http_server."""

    def __init__(
        self,
        listener: Listener,
        admit: Admit,
        sessions: Sessions,
        limits: rpc.Limits,
        *,
        papers_s: float = 1.0,
    ) -> None:
        """`papers_s`: how long what a head says is believed. A token that is withdrawn is good for no longer than that
        (FEATURES I10 wants five seconds)."""
        self._listener, self._admit, self._sessions, self._limits = listener, admit, sessions, limits
        self._papers_s = papers_s
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: dict[str, asyncio.Task[None]] = {}
        """Open calls of the stateless era, by id. Each takes itself off: a callback would be another turn of the loop."""

    @property
    def open_calls(self) -> int:
        return len(self._tasks) + len(self._calls)

    def hush(self) -> None:
        """End the streams that only listen: they would hold up a drain, and nothing is owed to them."""
        self._sessions.hush_all()

    async def aclose(self) -> None:
        """Cancel what is still open."""
        self._sessions.close_all()
        tasks = (*self._tasks, *self._calls.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def __call__(self, request: Request, reply: Reply) -> None:
        papers: object = request.memo.get("papers")
        if type(papers) is not _Papers or papers.until_s < self._loop.time():
            try:
                principal = self._admit(request)
            except Turned as turned:
                reply.send(turned.status, _TEXT.plus(*turned.headers), turned.reason.encode())
                return
            papers = request.memo["papers"] = _papers(request, principal, self._loop.time() + self._papers_s)
        if papers.calls:
            self._post(request, reply, papers)
            return
        principal = papers.principal
        if request.method == b"POST":
            reply.send(415, _TEXT, b"client: POST application/json")
        elif request.headers.get(b"mcp-protocol-version") == _MODERN:
            reply.send(405, ((b"allow", b"POST"),))
        elif request.method == b"GET":
            self._get(request, reply, principal)
        elif request.method == b"DELETE":
            self._delete(request, reply, principal)
        else:
            reply.send(405, ((b"allow", b"POST, GET, DELETE"),))

    # --- POST ---

    def _post(self, request: Request, reply: Reply, papers: "_Papers") -> None:
        try:
            frame = rpc.read(request.body, self._limits)
        except rpc.FrameError as fault:
            reply.send(400, _JSON, rpc.write_error(fault.id, fault.code, f"client: {fault}"))
            return
        modern, principal = papers.modern, papers.principal
        if isinstance(frame, rpc.Request):
            if modern or stateless.is_enveloped(frame.params):
                self._stateless(frame, request, reply, papers)
            else:
                self._handshake(frame, request, reply, principal)
        elif isinstance(frame, rpc.Notification):
            self._note(frame, request, reply, principal, modern)
        elif modern:
            reply.send(400, _JSON, rpc.write_error(None, INVALID_REQUEST, "client: answers are not posted any more"))
        else:
            reply.send(202, ())

    def _stateless(self, frame: rpc.Request, request: Request, reply: Reply, papers: "_Papers") -> None:
        call = stateless.read_call(
            frame, id=new_id(), root=None, principal=papers.principal, conversation=papers.conversation
        )
        if isinstance(call, Refused):
            # A fault of the envelope is answered 400 (basic/index.mdx:380); elsewhere the status of -32602 is free.
            _send_refusal(reply, _refusal(frame.id, call), call, modern=True, malformed=True)
            return
        if (call.method, call.target) != papers.mirrored:
            fault = stateless.mirror_fault(frame, request.headers)
            if fault is not None:
                _refuse(reply, frame.id, Refused(HEADER_MISMATCH, f"client: {fault}"))
                return
            papers.mirrored = (call.method, call.target)
        if call.method == "server/discover":
            self._begin(self._discover(reply, frame.id))
        else:
            id_ = call.id
            self._calls[id_] = self._loop.create_task(self._serve_stateless(frame, call, reply))
            reply.gone = partial(self._give_up, id_)

    async def _serve_stateless(self, frame: rpc.Request, call: Call, reply: Reply) -> None:
        stream = _Answer(reply, frame.params)
        try:
            outcome = await self._listener.run(call, stream.deliver)
            stream.finish(stateless.write_outcome(frame.id, call, outcome), outcome, modern=True)
        except Exception:
            self._broke(frame, call, stream)
        finally:
            self._calls.pop(call.id, None)

    def _give_up(self, id_: str) -> None:
        # Off the table here: a task that is cancelled before its first step never gets to its `finally`.
        task = self._calls.pop(id_, None)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.cancel()

    def _handshake(self, frame: rpc.Request, request: Request, reply: Reply, principal: Principal) -> None:
        if frame.method == "initialize":
            self._initialize(frame, reply, principal)
            return
        session = self._session(request, reply, principal)
        if session is None:
            return
        said = session.greeted.read(frame, principal, conversation_of(principal, session.id))
        if isinstance(said, Refused):
            _refuse(reply, frame.id, said, modern=False)
        elif isinstance(said, bytes):
            reply.send(200, _JSON, rpc.write_result(frame.id, said))
        elif frame.id in session.open:
            _refuse(reply, frame.id, Refused(INVALID_REQUEST, "client: a request with this id is still open"))
        else:
            task = self._begin(self._serve_session(frame, said, reply, session))
            session.open[frame.id] = task

            def ended(_: object) -> None:
                del session.open[frame.id]
                if not reply.begun:
                    # It was cancelled before its first step, so it never got to say that it was.
                    reply.send(202, ())

            task.add_done_callback(ended)

    async def _serve_session(self, frame: rpc.Request, call: Call, reply: Reply, session: ClientSession) -> None:
        stream = _Answer(reply, frame.params)
        try:
            outcome = await self._listener.run_driven(call, stream.deliver)
            answer = self._listener.write_older(frame.id, call, outcome, session.greeted.revision)
            stream.finish(answer, outcome, modern=False)
        except asyncio.CancelledError:
            # Cancelled by the client: nothing more is said of the call (2025-11-25/basic/utilities/cancellation.mdx).
            stream.abandon()
            raise
        except Exception:
            self._broke(frame, call, stream)

    def _broke(self, frame: rpc.Request, call: Call, stream: "_Answer") -> None:
        # The edge of the task: a fault of ours is still an answer to whoever waits.
        fault = Failed(INTERNAL_ERROR, self._listener.internal_fault(call.id), "unknown")
        stream.finish(rpc.write_error(frame.id, fault.code, fault.message), fault, modern=True)

    def _initialize(self, frame: rpc.Request, reply: Reply, principal: Principal) -> None:
        hello = handshake.read_hello(frame)
        if isinstance(hello, Refused):
            _refuse(reply, frame.id, hello, modern=False)
            return
        session = self._sessions.open(principal, *hello)
        if isinstance(session, str):
            why = f"{self._listener.about.layer}: {session}; end one with DELETE, or close its stream"
            _refuse(reply, frame.id, Refused(INVALID_REQUEST, why), modern=False)
        else:
            self._begin(self._greet(reply, frame.id, session))

    def _note(self, note: rpc.Notification, request: Request, reply: Reply, principal: Principal, modern: bool) -> None:
        if modern:
            reply.send(202, ())
            return
        session = self._session(request, reply, principal)
        if session is None:
            return
        id_: object = note.params.get("requestId")
        if note.method == "notifications/cancelled" and isinstance(id_, str | int) and id_ in session.open:
            session.open[id_].cancel()
        reply.send(202, ())

    # --- GET and DELETE: the handshake era only ---

    def _get(self, request: Request, reply: Reply, principal: Principal) -> None:
        if b"text/event-stream" not in request.headers.get(b"accept", b""):
            reply.send(406, _TEXT, b"client: GET accepts text/event-stream")
            return
        session = self._session(request, reply, principal)
        if session is not None:
            reply.open(200, _STREAM)
            session.listen(reply)

    def _delete(self, request: Request, reply: Reply, principal: Principal) -> None:
        session = self._session(request, reply, principal)
        if session is not None:
            self._sessions.end(session)
            reply.send(204, ())

    def _session(self, request: Request, reply: Reply, principal: Principal) -> ClientSession | None:
        """The session a request names; None when the request has been answered with why there is none."""
        version = request.headers.get(b"mcp-protocol-version")
        if version is not None and version.decode("latin-1") not in HANDSHAKE:
            supported = ", ".join((*HANDSHAKE, MODERN))
            reply.send(400, _TEXT, f"client: MCP-Protocol-Version must be one of {supported}".encode())
            return None
        id_ = request.headers.get(b"mcp-session-id")
        if id_ is None:
            reply.send(400, _TEXT, b"client: Mcp-Session-Id is missing; initialize opens a session")
            return None
        session = self._sessions.find(id_.decode("latin-1"), principal)
        if session is None:
            reply.send(404, _TEXT, b"client: no such session, or it has ended; initialize again")
        return session

    # --- answers ---

    def _begin(self, work: Any) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _discover(self, reply: Reply, id_: rpc.Id) -> None:
        try:
            frame = rpc.write_result(id_, json.encode(await self._listener.discover()))
        except Exception:
            # As in `_broke`.
            frame = rpc.write_error(id_, INTERNAL_ERROR, self._listener.internal_fault(new_id()))
        reply.send(200, _JSON, frame)

    async def _greet(self, reply: Reply, id_: rpc.Id, session: ClientSession) -> None:
        try:
            result = await self._listener.initialize(session.greeted.revision, list_changed=True)
            frame = rpc.write_result(id_, json.encode(result))
        except Exception:
            # As in `_broke`; and a session that nobody was told of is none.
            self._sessions.end(session)
            reply.send(200, _JSON, rpc.write_error(id_, INTERNAL_ERROR, self._listener.internal_fault(new_id())))
        else:
            reply.send(200, _JSON.plus((b"mcp-session-id", session.id.encode())), frame)


class _Papers(msgspec.Struct):
    """What a head says, whoever asks with it again: who it is, and of what the body must be the mirror."""

    principal: Principal
    conversation: str
    calls: bool
    """It posts JSON."""
    modern: bool
    until_s: float
    """Looked at anew after this, on the loop's clock."""
    mirrored: tuple[str, str | None] | None = None
    """Method and target of a body that its `Mcp-*` headers were seen to mirror."""


def _papers(request: Request, principal: Principal, until_s: float) -> _Papers:
    kind = request.headers.get(b"content-type", b"")
    return _Papers(
        principal,
        conversation_of(principal, "http"),
        request.method == b"POST" and kind.partition(b";")[0].strip().lower() == b"application/json",
        request.headers.get(b"mcp-protocol-version") == _MODERN,
        until_s,
    )


class _Answer(msgspec.Struct):
    """How one call is answered: JSON at once, or an event stream from the first event on."""

    _reply: Reply
    _params: JSON
    """As the caller sent them: they hold its progress token."""
    _open: bool = False

    def deliver(self, event: Event) -> None:
        if not self._open:
            self._reply.open(200, _STREAM)
            self._open = True
        self._reply.write(sse.encode(stateless.write_event(event, token_of(self._params))))

    def finish(self, frame: bytes, outcome: Outcome, *, modern: bool) -> None:
        if self._open:
            self._reply.end(sse.encode(frame))
        elif isinstance(outcome, Refused):
            _send_refusal(self._reply, frame, outcome, modern=modern)
        else:
            self._reply.send(200, _JSON, frame)

    def abandon(self) -> None:
        if self._open:
            self._reply.end()
        else:
            self._reply.send(202, ())


def _refuse(reply: Reply, id_: rpc.Id, refusal: Refused, *, modern: bool = True) -> None:
    _send_refusal(reply, _refusal(id_, refusal), refusal, modern=modern)


def _refusal(id_: rpc.Id, refusal: Refused) -> bytes:
    return rpc.write_error(id_, refusal.code, refusal.reason, refusal.data)


def _send_refusal(reply: Reply, frame: bytes, refusal: Refused, *, modern: bool, malformed: bool = False) -> None:
    headers: list[Header] = []
    status = http_status(refusal.code) if modern else 200
    if malformed and status == 200:
        status = 400
    if refusal.challenge is not None:
        status = 403
        headers.append((b"www-authenticate", refusal.challenge.encode()))
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(refusal.retry_after_s))))
    reply.send(status, _JSON.plus(*headers) if headers else _JSON, frame)
