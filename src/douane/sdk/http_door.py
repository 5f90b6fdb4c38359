"""Streamable HTTP, as it is served to clients: one endpoint, both eras.

A POST that carries its envelope is of the stateless era: no session, headers that mirror the body, and the end of
its connection cancels it. Everything else belongs to a session that `initialize` opened; there a lost connection
cancels nothing. The answer becomes an event stream with the first event, so that errors keep their status.
Spec: specification/2026-07-28/basic/transports/streamable-http.mdx, specification/2025-11-25/basic/transports.mdx.
"""

import asyncio
from functools import partial
from typing import Any

import msgspec

from ..protocol.call import Call, Principal
from ..protocol.eras import handshake, stateless
from ..protocol.outcome import Failed, InputRequired, Refused
from ..protocol.param_headers import param_fault
from ..protocol.versions import HANDSHAKE, MODERN
from ..transports.http_server import Reply, Request
from ..wire import json, rpc
from ..wire.batch import is_batch, split
from ..wire.codes import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_REQUEST, UPSTREAM_UNAVAILABLE
from .answers import out_of_place
from .asked_client import Say
from .client_sessions import ClientSession, Sessions
from .event_store import Unresumable
from .held import Admit, Held, Turned
from .http_answer import AS_JSON, AS_TEXT, Answer, refuse, send_refusal, written
from .listen import Subscription
from .listener import Listener, conversation_of, new_id
from .refusals import NOT_ASKED, STILL_OPEN
from .session_answer import BatchAnswer, Part, SessionAnswer
from .subscriptions import SUBSCRIBING

__all__ = ["HttpDoor", "turn_away"]

_MODERN = MODERN.encode()
_OF_THE_DOOR = frozenset({"server/discover", "subscriptions/listen"})
"""Methods of the stateless era that do not go to what stands behind the door as they are."""


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
        held: Held | None = None,
        sweep_every_s: float = 30.0,
    ) -> None:
        """`papers_s`: how long what a head says is believed. A token that is withdrawn is good for no longer than that
        (FEATURES I10 wants five seconds), and `held` sees to it that no stream outlives it. `sweep_every_s`: how often
        sessions of clients that have left are looked for, while there are any."""
        self._listener, self._admit, self._sessions, self._limits = listener, admit, sessions, limits
        self._papers_s, self._held = papers_s, held or Held(admit)
        sessions.ended = lambda session: listener.subscriptions.forget(session.ear)
        self._subscriptions: set[Subscription] = set()
        self._hushed = False
        self._loop = asyncio.get_running_loop()
        self._sweep_every_s = sweep_every_s
        self._sweeping: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: dict[str, asyncio.Task[None]] = {}
        """Open calls of the stateless era, by id. Each takes itself off: a callback would be another turn of the loop."""

    @property
    def sessions(self) -> Sessions:
        return self._sessions

    @property
    def open_calls(self) -> int:
        return len(self._tasks) + len(self._calls)

    def hush(self) -> None:
        """End the streams that only listen: they would hold up a drain, and nothing is owed to them."""
        self._hushed = True
        self._sessions.hush_all()
        for subscription in tuple(self._subscriptions):
            subscription.end()

    async def aclose(self) -> None:
        """Cancel what is still open."""
        self._held.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
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
                turn_away(request, reply, turned)
                return
            papers = request.memo["papers"] = _papers(request, principal, self._loop.time() + self._papers_s)
        if papers.calls:
            self._post(request, reply, papers)
            return
        principal = papers.principal
        if request.method == b"POST":
            reply.send(415, AS_TEXT, b"client: POST application/json")
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
            if b"mcp-session-id" in request.headers and not papers.modern and is_batch(request.body):
                self._batch(request, reply, papers.principal)
            else:
                self._malformed(reply, papers.principal, fault)
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
            self._malformed(reply, principal, rpc.FrameError("answers are not posted any more"))
        else:
            self._answered(frame, request, reply, principal)

    def _stateless(self, frame: rpc.Request, request: Request, reply: Reply, papers: "_Papers") -> None:
        call = stateless.read_call(
            frame, id=new_id(), root=None, principal=papers.principal, conversation=papers.conversation
        )
        if isinstance(call, Refused):
            # A fault of the envelope is answered 400 (basic/index.mdx:380); elsewhere the status of -32602 is free.
            call = _mismatch(frame, request) or call
            self._turned(papers.principal, call.code, call.reason)
            send_refusal(reply, written(frame.id, call), call, modern=True, malformed=True)
            return
        if (call.method, call.target) != papers.mirrored:
            params = self._listener.offer.mirrored(call.target or "") if call.method == "tools/call" else ()
            fault = stateless.mirror_fault(frame, request.headers) or param_fault(
                params, call.params.get("arguments"), request.headers
            )
            if fault is not None:
                refused = Refused(HEADER_MISMATCH, f"client: {fault}")
                self._listener.refusals.refused(call, refused)
                refuse(reply, frame.id, refused)
                return
            # Arguments differ from call to call, so what mirrors them is looked at each time.
            papers.mirrored = None if params else (call.method, call.target)
        if call.state is not None:
            call = self._listener.resumed(call)
            if isinstance(call, Refused):
                refuse(reply, frame.id, call)
                return
        id_ = call.id
        if call.method not in _OF_THE_DOOR:
            self._calls[id_] = self._loop.create_task(self._serve_stateless(frame, call, reply))
            reply.gone = partial(self._give_up, id_)
        elif call.method == "server/discover":
            self._begin(self._discover(reply, frame.id))
        else:
            self._calls[id_] = self._loop.create_task(self._serve_listening(frame, call, request, reply))
            reply.gone = partial(self._give_up, id_)

    async def _serve_listening(self, frame: rpc.Request, call: Call, request: Request, reply: Reply) -> None:
        stream = Answer(reply, frame.params)
        subscription = Subscription(self._listener, call, frame.id, stream.say)

        def hold() -> None:
            self._held.hold(request, call.principal, reply, subscription.end)

        self._subscriptions.add(subscription)
        try:
            outcome = self._stopping() if self._hushed else await subscription.run(hold)
            stream.finish(stateless.write_outcome(frame.id, call, outcome), outcome, modern=True)
        except Exception:
            self._broke(frame, call, stream)
        finally:
            self._subscriptions.discard(subscription)
            self._calls.pop(call.id, None)

    def _stopping(self) -> Refused:
        return Refused(UPSTREAM_UNAVAILABLE, f"{self._listener.about.layer}: it is stopping; listen again in a moment")

    async def _serve_stateless(self, frame: rpc.Request, call: Call, reply: Reply) -> None:
        stream = Answer(reply, frame.params)
        try:
            outcome = await self._listener.run(call, stream.deliver)
            if type(outcome) is InputRequired:
                outcome = self._listener.asking(call, outcome)
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
        said = self._read(frame, session, principal)
        if isinstance(said, Refused):
            self._turned(principal, said.code, said.reason)
            refuse(reply, frame.id, said, modern=False)
        elif isinstance(said, bytes):
            reply.send(200, AS_JSON, rpc.write_result(frame.id, said))
        else:
            answer = SessionAnswer(reply, frame.params, session)
            task = self._begin_in(session, frame, said, answer, _asks_with(request, session, answer))
            # One that is cancelled before its first step never gets to say that it was.
            task.add_done_callback(lambda _: None if reply.begun else answer.abandon())

    def _read(self, frame: rpc.Request, session: ClientSession, principal: Principal) -> Call | Refused | bytes:
        if frame.id in session.open:
            return Refused(INVALID_REQUEST, STILL_OPEN)
        return session.greeted.read(frame, principal, conversation_of(principal, session.id))

    def _begin_in(
        self, session: ClientSession, frame: rpc.Request, call: Call, stream: SessionAnswer | Part, say: Say | None
    ) -> asyncio.Task[None]:
        task = self._begin(self._serve_session(frame, call, stream, session, say))
        session.open[frame.id] = task
        task.add_done_callback(lambda _: session.open.pop(frame.id, None))
        return task

    async def _serve_session(
        self, frame: rpc.Request, call: Call, stream: SessionAnswer | Part, session: ClientSession, say: Say | None
    ) -> None:
        greeted = session.greeted
        revision = greeted.revision
        try:
            if call.method in SUBSCRIBING:
                outcome = await self._listener.run_subscribing(call, session.ear)
            else:
                outcome = await self._listener.run_driven(call, stream.deliver, greeted.asked, session.ear, say, stream)
            answer = self._listener.write_older(frame.id, call, outcome, revision)
            stream.finish(answer, outcome, modern=False)
        except asyncio.CancelledError:
            # Cancelled by the client: nothing more is said of the call (2025-11-25/basic/utilities/cancellation.mdx).
            stream.abandon()
            raise
        except Exception:
            self._broke(frame, call, stream)

    def _broke(self, frame: rpc.Request, call: Call, stream: Answer | SessionAnswer | Part) -> None:
        # The edge of the task: a fault of ours is still an answer to whoever waits.
        fault = Failed(INTERNAL_ERROR, self._listener.internal_fault(call.id), "unknown")
        stream.finish(rpc.write_error(frame.id, fault.code, fault.message), fault, modern=True)

    def _initialize(self, frame: rpc.Request, reply: Reply, principal: Principal) -> None:
        hello = handshake.read_hello(frame)
        if isinstance(hello, Refused):
            self._turned(principal, hello.code, hello.reason)
            refuse(reply, frame.id, hello, modern=False)
            return
        session = self._sessions.open(principal, *hello)
        if isinstance(session, str):
            why = f"{self._listener.about.layer}: {session}; end one with DELETE, or close its stream"
            refuse(reply, frame.id, Refused(INVALID_REQUEST, why), modern=False)
        else:
            if self._sweeping is None:
                self._sweeping = self._loop.call_later(self._sweep_every_s, self._sweep)
            self._begin(self._greet(reply, frame.id, session))

    def _sweep(self) -> None:
        self._sessions.sweep()
        more = len(self._sessions) > 0
        self._sweeping = self._loop.call_later(self._sweep_every_s, self._sweep) if more else None

    def _note(self, note: rpc.Notification, request: Request, reply: Reply, principal: Principal, modern: bool) -> None:
        if modern:
            reply.send(202, ())
            return
        session = self._session(request, reply, principal)
        if session is None:
            return
        session.hear(note)
        reply.send(202, ())

    def _answered(self, answer: rpc.Response | rpc.Error, request: Request, reply: Reply, principal: Principal) -> None:
        session = self._session(request, reply, principal)
        if session is None:
            return
        if session.greeted.asked.answered(answer):
            reply.send(202, ())
        else:
            # What cannot be accepted is an error over HTTP, too (2025-11-25/basic/transports.mdx, sending messages).
            self._turned_away(reply, principal, 400, NOT_ASKED)

    # --- batches: revision 2025-03-26 only ---

    def _batch(self, request: Request, reply: Reply, principal: Principal) -> None:
        session = self._session(request, reply, principal)
        if session is None:
            return
        try:
            if not session.greeted.batches:
                raise rpc.FrameError(f"a batch is not accepted in revision {session.greeted.revision}")
            messages = split(request.body, self._limits)
        except rpc.FrameError as fault:
            self._malformed(reply, principal, fault)
            return
        whole = BatchAnswer(reply, session)
        for message in messages:
            self._in_batch(message, whole, request, session, principal)
        whole.answers.seal()

    def _in_batch(
        self, message: bytes, whole: BatchAnswer, request: Request, session: ClientSession, principal: Principal
    ) -> None:
        answers = whole.answers
        try:
            frame = rpc.read(message, self._limits)
        except rpc.FrameError as fault:
            self._turned(principal, fault.code, f"client: {fault}")
            answers.refuse(fault.id, f"client: {fault}", fault.code)
            return
        if isinstance(frame, rpc.Notification):
            session.hear(frame)
        elif isinstance(frame, rpc.Request):
            said = self._read(frame, session, principal) if (fault := out_of_place(frame)) is None else fault
            if isinstance(said, str):
                answers.refuse(frame.id, said)
            elif isinstance(said, Refused):
                self._turned(principal, said.code, said.reason)
                answers.add(written(frame.id, said))
            elif isinstance(said, bytes):
                answers.add(rpc.write_result(frame.id, said))
            else:
                part = whole.part(frame.params)
                answers.owe(self._begin_in(session, frame, said, part, _asks_with(request, session, part)))
        elif not session.greeted.asked.answered(frame):
            self._turned(principal, INVALID_REQUEST, NOT_ASKED)

    # --- GET and DELETE: the handshake era only ---

    def _get(self, request: Request, reply: Reply, principal: Principal) -> None:
        if b"text/event-stream" not in request.headers.get(b"accept", b""):
            reply.send(406, AS_TEXT, b"client: GET accepts text/event-stream")
            return
        session = self._session(request, reply, principal)
        if session is None:
            return
        after = request.headers.get(b"last-event-id", b"")
        whole = True
        try:
            if after:
                stream, whole = session.resume(reply, after.decode("latin-1"))
            else:
                stream = session.listen(reply)
        except Unresumable as exc:
            self._turned_away(reply, principal, 400, f"client: {exc}; GET without Last-Event-ID listens from now on")
            return
        self._held.hold(request, principal, reply, stream.leave)
        if not whole:
            self._sessions.refresh(session)

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
            return self._turned_away(reply, principal, 400, f"client: MCP-Protocol-Version must be one of {supported}")
        id_ = request.headers.get(b"mcp-session-id")
        if id_ is None:
            said = "client: Mcp-Session-Id is missing; initialize opens a session"
            return self._turned_away(reply, principal, 400, said)
        session = self._sessions.find(id_.decode("latin-1"), principal)
        if session is None:
            return self._turned_away(
                reply, principal, 404, "client: no such session, or it has ended; initialize again"
            )
        return session

    # --- what is no call ---

    def _turned(self, principal: Principal, code: int, reason: str) -> None:
        self._listener.refusals.turned("http", principal, code, reason)

    def _turned_away(self, reply: Reply, principal: Principal, status: int, reason: str) -> None:
        self._turned(principal, status, reason)
        reply.send(status, AS_TEXT, reason.encode())

    def _malformed(self, reply: Reply, principal: Principal, fault: rpc.FrameError) -> None:
        reason = f"client: {fault}"
        self._turned(principal, fault.code, reason)
        reply.send(400, AS_JSON, rpc.write_error(fault.id, fault.code, reason))

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
        reply.send(200, AS_JSON, frame)

    async def _greet(self, reply: Reply, id_: rpc.Id, session: ClientSession) -> None:
        try:
            result = await self._listener.initialize(session.greeted.revision, list_changed=True)
            frame = rpc.write_result(id_, json.encode(result))
        except Exception:
            # As in `_broke`; and a session that nobody was told of is none.
            self._sessions.end(session)
            reply.send(200, AS_JSON, rpc.write_error(id_, INTERNAL_ERROR, self._listener.internal_fault(new_id())))
        else:
            reply.send(200, AS_JSON.plus((b"mcp-session-id", session.id.encode())), frame)


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
        # A proof is good once: who repeats its head is looked at anew.
        until_s if b"dpop" not in request.headers else 0.0,
    )


def _asks_with(request: Request, session: ClientSession, answer: SessionAnswer | Part) -> Say | None:
    """Where the client can be asked something, if it can."""
    return answer.say if session.greeted.capabilities and _takes_streams(request) else None


def _takes_streams(request: Request) -> bool:
    # Every client has to, since there is this transport; one that takes JSON alone cannot be asked anything.
    accepted = request.headers.get(b"accept", b"*/*")
    return b"text/event-stream" in accepted or b"*/*" in accepted


def turn_away(request: Request, reply: Reply, turned: Turned) -> None:
    """Whose credentials are refused, when he posts, gets an error of JSON-RPC: the official Python client shows no other
    body. A 404 stays as it is at a path where nothing is."""
    if request.method == b"POST" and turned.status != 404:
        error = rpc.write_error(None, INVALID_REQUEST, turned.reason)
        reply.send(turned.status, AS_JSON.plus(*turned.headers), error)
    else:
        reply.send(turned.status, AS_TEXT.plus(*turned.headers), turned.reason.encode())


def _mismatch(frame: rpc.Request, request: Request) -> Refused | None:
    """Before anything else is said of its revision, the header must name the one that the body does."""
    if not stateless.is_enveloped(frame.params):
        return None
    fault = stateless.version_fault(frame, request.headers)
    return None if fault is None else Refused(HEADER_MISMATCH, f"client: {fault}")
