"""A client on a line (its own stdio, or a socket that `douane stdio` joins): both eras, on one connection.

A request that carries its envelope is of the stateless era, whatever came before; without one the client has to say
`initialize` first. `notifications/cancelled` cancels; the end of the line cancels everything it asked for.
Spec: specification/2026-07-28/basic/transports/stdio.mdx, basic/versioning.mdx:149-190.
"""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any

from ..protocol.call import Call, Principal
from ..protocol.eras import handshake, stateless
from ..protocol.eras.envelope import token_of
from ..protocol.methods import Kind
from ..protocol.outcome import Refused
from ..transports.link import Link, LinkClosed
from ..wire import json, rpc
from ..wire.codes import INTERNAL_ERROR, INVALID_REQUEST, UPSTREAM_UNAVAILABLE
from .greeted import Greeted
from .listener import Listener, conversation_of, list_names, new_id

__all__ = ["LineDoor"]

logger = logging.getLogger(__name__)

MAX_OPEN = 256
"""Calls one client may have open on one line."""


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
        self._draining = False
        self.ended: asyncio.Future[str] = self._loop.create_future()
        listener.offer.on_change.append(self._on_change)
        link.start(self._on_frame, self._on_close)

    async def drain(self, within_s: float) -> None:
        """Take nothing new, let what is open end within that time, and close the line."""
        self._draining = True
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
        if not self._owes:
            for task in self._open.values():
                task.cancel()
        if not self.ended.done():
            self.ended.set_result(reason)

    def _on_change(self, kinds: frozenset[Kind]) -> None:
        if self._greeted is not None:
            for name in list_names(kinds):
                self._send(rpc.write_notification(f"notifications/{name}/list_changed", {}))

    # --- frames ---

    def _on_frame(self, data: bytes) -> None:
        try:
            frame = rpc.read(data, self._limits)
        except rpc.FrameError as fault:
            self._send(rpc.write_error(fault.id, fault.code, f"client: {fault}"))
            return
        if isinstance(frame, rpc.Request):
            self._on_request(frame)
        elif isinstance(frame, rpc.Notification):
            self._on_note(frame)
        else:
            logger.info("a client answered a question that nobody asked")

    def _on_note(self, note: rpc.Notification) -> None:
        if note.method == "notifications/cancelled":
            id_: object = note.params.get("requestId")
            task = self._open.get(id_) if isinstance(id_, str | int) else None
            if task is not None:
                task.cancel()

    def _on_request(self, request: rpc.Request) -> None:
        if self._draining:
            self._refuse(
                request.id, Refused(UPSTREAM_UNAVAILABLE, f"{self._layer}: it is stopping; call again in a moment")
            )
        elif request.id in self._open:
            self._refuse(request.id, Refused(INVALID_REQUEST, "client: a request with this id is still open"))
        elif len(self._open) >= MAX_OPEN:
            self._refuse(
                request.id, Refused(INVALID_REQUEST, f"{self._layer}: more than {MAX_OPEN} calls open on one line")
            )
        elif stateless.is_enveloped(request.params) or request.method == "server/discover":
            self._stateless(request)
        elif request.method == "initialize":
            self._initialize(request)
        elif self._greeted is not None:
            self._in_session(request, self._greeted)
        elif request.method == "ping":
            self._send(rpc.write_result(request.id, b"{}"))
        else:
            refusal = Refused(INVALID_REQUEST, "client: initialize first, or send the 2026-07-28 envelope in _meta")
            self._refuse(request.id, refusal)

    def _stateless(self, request: rpc.Request) -> None:
        call = stateless.read_call(
            request, id=new_id(), root=None, principal=self._principal, conversation=self._conversation
        )
        if isinstance(call, Refused):
            self._refuse(request.id, call)
        elif call.method == "server/discover":
            self._begin(request.id, self._say(request.id, self._listener.discover()))
        else:
            self._begin(request.id, self._serve(request, call, None))

    def _initialize(self, request: rpc.Request) -> None:
        hello = handshake.read_hello(request)
        if isinstance(hello, Refused):
            self._refuse(request.id, hello)
            return
        self._greeted = Greeted(*hello)
        result = self._listener.initialize(self._greeted.revision, list_changed=True)
        self._begin(request.id, self._say(request.id, result))

    def _in_session(self, request: rpc.Request, greeted: Greeted) -> None:
        said = greeted.read(request, self._principal, self._conversation)
        if isinstance(said, Refused):
            self._refuse(request.id, said)
        elif isinstance(said, bytes):
            self._send(rpc.write_result(request.id, said))
        else:
            self._begin(request.id, self._serve(request, said, greeted))

    # --- answers ---

    def _begin(self, id_: rpc.Id, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._open[id_] = task
        task.add_done_callback(lambda _: self._open.pop(id_, None))

    async def _serve(self, request: rpc.Request, call: Call, greeted: Greeted | None) -> None:
        token = token_of(request.params)
        run = self._listener.run if greeted is None else self._listener.run_driven
        try:
            outcome = await run(call, lambda event: self._send(stateless.write_event(event, token)))
            if greeted is None:
                self._send(stateless.write_outcome(request.id, call, outcome))
            else:
                self._send(self._listener.write_older(request.id, call, outcome, greeted.revision))
        except Exception:
            # The edge of this task: a fault of ours is still an answer to whoever waits.
            self._send(rpc.write_error(request.id, INTERNAL_ERROR, self._listener.internal_fault(call.id)))

    async def _say(self, id_: rpc.Id, result: Awaitable[dict[str, Any]]) -> None:
        try:
            frame = rpc.write_result(id_, json.encode(await result))
        except Exception:
            # As in `_serve`.
            frame = rpc.write_error(id_, INTERNAL_ERROR, self._listener.internal_fault(new_id()))
        self._send(frame)

    def _refuse(self, id_: rpc.Id, refusal: Refused) -> None:
        self._send(rpc.write_error(id_, refusal.code, refusal.reason, refusal.data))

    def _send(self, frame: bytes) -> None:
        try:
            self._link.send(frame)
        except LinkClosed:
            return
