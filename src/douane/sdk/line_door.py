"""A client on a line (its own stdio, or a socket that `douane stdio` joins): both eras, on one connection.

A request that carries its envelope is of the stateless era, whatever came before; without one the client has to say
`initialize` first. `notifications/cancelled` cancels; the end of the line cancels everything it asked for.
Spec: specification/2026-07-28/basic/transports/stdio.mdx, basic/versioning.mdx:149-190.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..protocol.call import JSON, Call, Event, Principal
from ..protocol.eras import handshake, stateless
from ..protocol.eras.envelope import token_of
from ..protocol.methods import Kind
from ..protocol.outcome import InputRequired, Refused
from ..transports.link import Link, LinkClosed
from ..wire import json, rpc
from ..wire.batch import is_batch, split, write_batch
from ..wire.codes import INTERNAL_ERROR, INVALID_REQUEST, UPSTREAM_UNAVAILABLE
from .answers import Answers, out_of_place
from .greeted import Greeted
from .listen import Subscription
from .listener import Listener, conversation_of, list_names, new_id
from .refusals import NOT_ASKED, STILL_OPEN
from .subscriptions import SUBSCRIBING, Ear, owner_of

__all__ = ["LineDoor"]

MAX_OPEN = 256
"""Calls one client may have open on one line."""

Say = Callable[[bytes], None]
"""Where an answer goes: on the line, or among those of its batch."""


class LineDoor:
    """Serves one client over one link until the line ends; `ended` is then resolved with the reason."""

    def __init__(
        self, link: Link, listener: Listener, principal: Principal, limits: rpc.Limits, *, owes: bool = False
    ) -> None:
        """`owes`: a client that has said its last still gets what it asked for, until `drain` or `aclose`."""
        self._owes = owes
        self._link, self._listener, self._principal, self._limits = link, listener, principal, limits
        self._layer = listener.about.layer
        self._loop = asyncio.get_running_loop()
        self._conversation = conversation_of(principal, new_id())
        self._open: dict[rpc.Id, asyncio.Task[None]] = {}
        self._greeted: Greeted | None = None
        self._ear = Ear(owner_of(principal), self._on_update, self._on_task)
        self._subscriptions: set[Subscription] = set()
        self._draining = False
        self.ended: asyncio.Future[str] = self._loop.create_future()
        listener.offer.on_change.append(self._on_change)
        link.start(self._on_frame, self._on_close)

    @property
    def busy(self) -> bool:
        """Whether a call is open."""
        return bool(self._open)

    async def drain(self, within_s: float) -> None:
        """Take nothing new, let what is open end within that time, and close the line."""
        self._draining = True
        for subscription in tuple(self._subscriptions):
            subscription.end()
        if self._open:
            await asyncio.wait(tuple(self._open.values()), timeout=within_s)
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel what is open and close the line."""
        open_ = tuple(self._open.values())
        for task in open_:
            task.cancel()
        if open_:
            await asyncio.wait(open_)
        await self._link.aclose()

    def _on_close(self, reason: str) -> None:
        self._listener.offer.on_change.remove(self._on_change)
        self._listener.subscriptions.forget(self._ear)
        if self._greeted is not None:
            self._greeted.asked.close()
        if not self._owes:
            for task in self._open.values():
                task.cancel()
        if not self.ended.done():
            self.ended.set_result(reason)

    def _on_change(self, kinds: frozenset[Kind]) -> None:
        if self._greeted is not None:
            for name in list_names(kinds):
                self._send(rpc.write_notification(f"notifications/{name}/list_changed", {}))

    def _on_update(self, uri: str) -> None:
        self._send(rpc.write_notification("notifications/resources/updated", {"uri": uri}))

    def _on_task(self, task: JSON) -> None:
        self._send(rpc.write_notification("notifications/tasks/status", task))

    # --- frames ---

    def _on_frame(self, data: bytes) -> None:
        try:
            frame = rpc.read(data, self._limits)
        except rpc.FrameError as fault:
            if self._greeted is not None and self._greeted.batches and is_batch(data):
                self._on_batch(data)
            else:
                self._turned(fault.code, f"client: {fault}")
                self._send(rpc.write_error(fault.id, fault.code, f"client: {fault}"))
            return
        if isinstance(frame, rpc.Request):
            self._on_request(frame, self._send)
        elif isinstance(frame, rpc.Notification):
            self._on_note(frame)
        else:
            self._on_answer(frame)

    def _on_batch(self, data: bytes) -> None:
        try:
            messages = split(data, self._limits)
        except rpc.FrameError as fault:
            self._turned(fault.code, f"client: {fault}")
            self._send(rpc.write_error(None, fault.code, f"client: {fault}"))
            return
        answers = Answers(self._send_batch)
        for message in messages:
            self._in_batch(message, answers)
        answers.seal()

    def _in_batch(self, message: bytes, answers: Answers) -> None:
        try:
            frame = rpc.read(message, self._limits)
        except rpc.FrameError as fault:
            self._turned(fault.code, f"client: {fault}")
            answers.refuse(fault.id, f"client: {fault}", fault.code)
            return
        if isinstance(frame, rpc.Notification):
            self._on_note(frame)
        elif isinstance(frame, rpc.Request):
            if (fault := out_of_place(frame)) is not None:
                answers.refuse(frame.id, fault)
            elif (task := self._on_request(frame, answers.add)) is not None:
                answers.owe(task)
        else:
            self._on_answer(frame)

    def _send_batch(self, frames: list[bytes], last: bool) -> None:
        if frames:
            self._send(write_batch(frames))

    def _on_note(self, note: rpc.Notification) -> None:
        if note.method == "notifications/cancelled":
            id_ = rpc.as_id(note.params.get("requestId"))
            task = None if id_ is None else self._open.get(id_)
            if task is not None:
                task.cancel()

    def _on_answer(self, answer: rpc.Response | rpc.Error) -> None:
        if self._greeted is None or not self._greeted.asked.answered(answer):
            self._turned(INVALID_REQUEST, NOT_ASKED)

    def _on_request(self, request: rpc.Request, say: Say) -> "asyncio.Task[None] | None":
        """Returns the task that will answer it, unless it has been answered."""
        if self._draining:
            reason = f"{self._layer}: it is stopping; call again in a moment"
            return _refuse(say, request.id, Refused(UPSTREAM_UNAVAILABLE, reason))
        if request.id in self._open:
            return self._refuse(say, request.id, Refused(INVALID_REQUEST, STILL_OPEN))
        if len(self._open) >= MAX_OPEN:
            reason = f"{self._layer}: more than {MAX_OPEN} calls open on one line"
            return self._refuse(say, request.id, Refused(INVALID_REQUEST, reason))
        if stateless.is_enveloped(request.params) or request.method == "server/discover":
            return self._stateless(request, say)
        if request.method == "initialize":
            return self._initialize(request, say)
        if self._greeted is not None:
            return self._in_session(request, self._greeted, say)
        if request.method == "ping":
            return say(rpc.write_result(request.id, b"{}"))
        reason = "client: initialize first, or send the 2026-07-28 envelope in _meta"
        return self._refuse(say, request.id, Refused(INVALID_REQUEST, reason))

    def _stateless(self, request: rpc.Request, say: Say) -> "asyncio.Task[None] | None":
        call = stateless.read_call(
            request, id=new_id(), root=None, principal=self._principal, conversation=self._conversation
        )
        if isinstance(call, Refused):
            return self._refuse(say, request.id, call)
        if call.state is not None:
            call = self._listener.resumed(call)
            if isinstance(call, Refused):
                return _refuse(say, request.id, call)
        if call.method == "server/discover":
            return self._begin(request.id, self._say(request.id, self._listener.discover(), say))
        if call.method == "subscriptions/listen":
            return self._begin(request.id, self._listen(request, call, say))
        return self._begin(request.id, self._serve(request, call, None, say))

    def _initialize(self, request: rpc.Request, say: Say) -> "asyncio.Task[None] | None":
        hello = handshake.read_hello(request)
        if isinstance(hello, Refused):
            return self._refuse(say, request.id, hello)
        after = 0
        if self._greeted is not None:
            # Its answers would not find the old session's questions; nor may one that comes late find a new one.
            after = self._greeted.asked.last_id
            self._greeted.asked.close()
        self._greeted = Greeted(*hello, after)
        result = self._listener.initialize(self._greeted.revision, list_changed=True)
        return self._begin(request.id, self._say(request.id, result, say))

    def _in_session(self, request: rpc.Request, greeted: Greeted, say: Say) -> "asyncio.Task[None] | None":
        said = greeted.read(request, self._principal, self._conversation)
        if isinstance(said, Refused):
            return self._refuse(say, request.id, said)
        if isinstance(said, bytes):
            return say(rpc.write_result(request.id, said))
        return self._begin(request.id, self._serve(request, said, greeted, say))

    def _turned(self, code: int, reason: str) -> None:
        self._listener.refusals.turned("line", self._principal, code, reason)

    def _refuse(self, say: Say, id_: rpc.Id, refusal: Refused) -> None:
        """What was said is no call."""
        self._turned(refusal.code, refusal.reason)
        _refuse(say, id_, refusal)

    # --- answers ---

    def _begin(self, id_: rpc.Id, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._open[id_] = task
        task.add_done_callback(lambda _: self._forget(id_, task))
        return task

    def _forget(self, id_: rpc.Id, task: "asyncio.Task[None]") -> None:
        # Answered, an id may be in use again.
        if self._open.get(id_) is task:
            del self._open[id_]

    async def _serve(self, request: rpc.Request, call: Call, greeted: Greeted | None, say: Say) -> None:
        token = token_of(request.params)

        def deliver(event: Event) -> None:
            self._send(stateless.write_event(event, token))

        try:
            if greeted is not None and call.method in SUBSCRIBING:
                outcome = await self._listener.run_subscribing(call, self._ear)
                frame = self._listener.write_older(request.id, call, outcome, greeted.revision)
            elif greeted is None:
                outcome = await self._listener.run(call, deliver)
                if type(outcome) is InputRequired:
                    outcome = self._listener.asking(call, outcome)
                frame = stateless.write_outcome(request.id, call, outcome)
            else:
                outcome = await self._listener.run_driven(call, deliver, greeted.asked, self._ear, self._send)
                frame = self._listener.write_older(request.id, call, outcome, greeted.revision)
        except Exception:
            # The edge of this task: a fault of ours is still an answer to whoever waits.
            frame = rpc.write_error(request.id, INTERNAL_ERROR, self._listener.internal_fault(call.id))
        # Before it leaves: who hears the answer may use the id again.
        self._open.pop(request.id, None)
        say(frame)

    async def _listen(self, request: rpc.Request, call: Call, say: Say) -> None:
        subscription = Subscription(self._listener, call, request.id, self._send)
        self._subscriptions.add(subscription)
        try:
            frame = stateless.write_outcome(request.id, call, await subscription.run())
        except Exception:
            # As in `_serve`.
            frame = rpc.write_error(request.id, INTERNAL_ERROR, self._listener.internal_fault(call.id))
        finally:
            self._subscriptions.discard(subscription)
        self._open.pop(request.id, None)
        say(frame)

    async def _say(self, id_: rpc.Id, result: Awaitable[dict[str, Any]], say: Say) -> None:
        try:
            frame = rpc.write_result(id_, json.encode(await result))
        except Exception:
            # As in `_serve`.
            frame = rpc.write_error(id_, INTERNAL_ERROR, self._listener.internal_fault(new_id()))
        self._open.pop(id_, None)
        say(frame)

    def _send(self, frame: bytes) -> None:
        try:
            self._link.send(frame)
        except LinkClosed:
            return


def _refuse(say: Say, id_: rpc.Id, refusal: Refused) -> None:
    say(rpc.write_error(id_, refusal.code, refusal.reason, refusal.data))
