"""A session with one server over a line (stdio, socket, memory): a `Handler` whose tools live over there.

It speaks the era it was opened with, keeps the deadline of every call, tells the server when nobody waits any more,
and fails every open call the moment the line ends. What a server asks is put to the respondent it was opened with
(handshake era), or is how the call ends (stateless era): there a call's capabilities are what is declared for it.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from ..flow.chain import Emit
from ..protocol.call import JSON, Call, Event
from ..protocol.eras import handshake, stateless
from ..protocol.eras.envelope import SUBSCRIPTION
from ..protocol.eras.older_tasks import offers_older_tasks
from ..protocol.outcome import Failed, Outcome
from ..protocol.peer import Answered, Batch, Peer, Progressed, Stray
from ..protocol.tasks import accepts
from ..protocol.versions import BATCHING, Era
from ..transports.link import Link, LinkClosed
from ..wire import rpc
from ..wire.batch import write_batch
from ..wire.codes import DEADLINE_EXCEEDED, UNSUPPORTED_VERSION, UPSTREAM_UNAVAILABLE
from ..wire.json import is_object
from .respondent import NOBODY, Questions, Respondent

__all__ = ["LEVELS", "LineSession", "Noted", "Session", "Welcome", "emit_note", "nothing_missed", "subscription_of"]

logger = logging.getLogger(__name__)

LEVELS = {
    level: rank
    for rank, level in enumerate(("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"))
}
_SWEEP_S = 0.1
"""How late a deadline may be noticed."""

Noted = Callable[[str, JSON], None]
"""Told of a notification that belongs to no call: method, params."""


class Welcome(msgspec.Struct, frozen=True):
    """What a server said of itself when the session was opened."""

    era: Era
    revision: str
    capabilities: JSON
    server: JSON
    instructions: str | None = None

    @property
    def abilities(self) -> frozenset[str]:
        """What can be asked of it, by the names of the capabilities; `tasks` in whichever way its era says it."""
        found = frozenset(name for name in self.capabilities if name not in ("extensions", "tasks", "ui"))
        defers = accepts(self.capabilities) if self.era is Era.STATELESS else offers_older_tasks(self.capabilities)
        return found | {"tasks"} if defers else found

    @property
    def extensions(self) -> Sequence[str]:
        """What it offers beyond the protocol, by identifier."""
        said: object = self.capabilities.get("extensions")
        return sorted(said) if is_object(said) else ()


class Session(Protocol):
    """What the gateway needs of a session with an upstream, whatever carries it."""

    welcome: Welcome
    ended: "asyncio.Future[str]"
    """Resolved with the reason, in words, when the session cannot be used any more."""
    missed: Callable[[], None]
    """Called when something that belongs to no call may not have been heard. For whoever has to make it good."""

    async def __call__(self, call: Call, emit: Emit) -> Outcome: ...

    async def ask(self, method: str, params: JSON, deadline_s: float) -> rpc.Response | rpc.Error:
        """A request of our own, for no caller. Raises TimeoutError, or LinkClosed."""
        ...

    def usable(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Of a list of tools as it came, those that can be called this way."""
        ...

    async def listen(self, notifications: JSON, hear: Noted) -> rpc.Response | rpc.Error:
        """One `subscriptions/listen`, of the stateless era only: `hear` is told what comes on its stream, from the
        acknowledgement on, until it ends. The answer is its graceful end, or a refusal. Raises LinkClosed."""
        ...

    async def aclose(self) -> None: ...


class _Waiter:
    """A call of ours that is open on the line."""

    __slots__ = ("allowance_s", "answer", "call", "cancels", "deadline_s", "emit", "hard_s", "id")

    def __init__(self, answer: "asyncio.Future[rpc.Response | rpc.Error]", deadline_s: float, hard_s: float) -> None:
        self.answer, self.deadline_s, self.hard_s = answer, deadline_s, hard_s
        self.allowance_s = 0.0
        self.id = 0
        self.cancels = True
        """A request that nobody waits for any more is cancelled; all but `initialize` (2025-11-25 cancellation.mdx)."""
        self.call: Call | None = None
        self.emit: Emit | None = None


class LineSession:
    """Calls over one `Link`. Made by `sdk.connect`, which has settled the era."""

    def __init__(
        self, link: Link, *, noted: Noted, max_deadline_s: float, limits: rpc.Limits, respondent: Respondent = NOBODY
    ) -> None:
        self._link, self._noted, self._max_deadline_s = link, noted, max_deadline_s
        self._loop = asyncio.get_running_loop()
        self._peer: Peer[_Waiter] = Peer(limits)
        self._open: dict[int, _Waiter] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._envelope: stateless.Envelope | None = None
        self._level = ""
        self._replies: list[bytes] | None = None
        """While a batch is read: what answers it."""
        self._hearing: dict[int, Noted] = {}
        """Who is told what comes on each open listen stream."""
        self.missed = nothing_missed
        self._declared = respondent.capabilities
        self._questions = Questions(respondent, self._reply, self._turned)
        self.welcome: Welcome
        self.ended: asyncio.Future[str] = self._loop.create_future()
        link.start(self._on_frame, self._on_close)

    @property
    def strays(self) -> int:
        """Frames that belonged to nothing."""
        return self._peer.strays

    @property
    def is_idle(self) -> bool:
        """No call is open."""
        return not self._open

    def settle(self, welcome: Welcome, envelope: stateless.Envelope) -> None:
        """The era is known from here on."""
        self.welcome, self._envelope = welcome, envelope
        self._peer.batches = welcome.revision in BATCHING

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        now = self._loop.time()
        waiter = _Waiter(self._loop.create_future(), call.deadline_s or now, now + self._max_deadline_s)
        waiter.allowance_s = waiter.deadline_s - now
        waiter.call, waiter.emit = call, emit
        if call.state is not None and self.welcome.era is Era.HANDSHAKE:
            unfit = handshake.retry_fault(call)
            if unfit is not None:
                return unfit
        try:
            self._raise_level(call)
            self._send(waiter, lambda id_: self._written(id_, call))
        except LinkClosed as exc:
            self._end(str(exc))
            logger.info("call %s found the line closed: %s", call.id, exc)
            return Failed(UPSTREAM_UNAVAILABLE, "upstream: its line is closed, so nothing was sent", "no")
        try:
            answer = await waiter.answer
        except asyncio.CancelledError:
            self._give_up(waiter, "the caller cancelled")
            raise
        except TimeoutError:
            return Failed(DEADLINE_EXCEEDED, f"upstream: no answer within {waiter.allowance_s:g} s", "unknown")
        except LinkClosed as exc:
            logger.info("call %s was open when the line ended: %s", call.id, exc)
            return Failed(UPSTREAM_UNAVAILABLE, "upstream: ended before it answered; it may have run", "unknown")
        if type(answer) is rpc.Error and answer.code == UNSUPPORTED_VERSION:
            self._end("the server does not speak this revision any more")
        if self.welcome.era is Era.STATELESS:
            return stateless.read_outcome(answer, call)
        return handshake.read_outcome(answer, self._declared)

    async def ask(self, method: str, params: JSON, deadline_s: float) -> rpc.Response | rpc.Error:
        waiter = self._start(method, params, deadline_s)
        try:
            return await waiter.answer
        finally:
            self._give_up(waiter, "")

    async def listen(self, notifications: JSON, hear: Noted) -> rpc.Response | rpc.Error:
        assert self._envelope is not None
        waiter = _Waiter(self._loop.create_future(), math.inf, math.inf)
        params = stateless.listening(notifications, self._envelope)
        # It stands beside the open calls: it has no deadline, and nothing that is logged belongs to it.
        self._send_unbounded(waiter, lambda id_: rpc.write_request(id_, "subscriptions/listen", params))
        self._hearing[waiter.id] = hear
        try:
            return await waiter.answer
        finally:
            del self._hearing[waiter.id]
            self._give_up(waiter, "nobody listens any more")

    def start(self, method: str, params: JSON, deadline_s: float) -> "asyncio.Future[rpc.Response | rpc.Error]":
        """Like `ask`, without waiting: nobody has to look at the answer. Raises LinkClosed."""
        return self._start(method, params, deadline_s).answer

    def tell(self, method: str, params: JSON) -> None:
        """A notification of ours. Silent when the line is gone."""
        try:
            self._link.send(rpc.write_notification(method, params))
        except LinkClosed:
            return

    def usable(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return tools

    async def aclose(self) -> None:
        await self._questions.aclose()
        await self._link.aclose()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    # --- what goes out ---

    def _start(self, method: str, params: JSON, deadline_s: float) -> _Waiter:
        waiter = _Waiter(self._loop.create_future(), deadline_s, deadline_s)
        waiter.cancels = method != "initialize"
        waiter.answer.add_done_callback(_look_away)
        envelope = self._envelope
        if envelope is not None and self.welcome.era is Era.STATELESS:
            params = {**params, "_meta": envelope.own}
        self._send(waiter, lambda id_: rpc.write_request(id_, method, params))
        return waiter

    def _written(self, id_: int, call: Call) -> bytes:
        if self.welcome.era is Era.STATELESS:
            assert self._envelope is not None
            return stateless.write_call(id_, call, self._envelope.offering(call.capabilities))
        return handshake.write_call(id_, call, self.welcome.revision)

    def _send_unbounded(self, waiter: _Waiter, write: Callable[[int], bytes]) -> None:
        waiter.id, frame = self._peer.ask(waiter, write)
        try:
            self._link.send(frame)
        except LinkClosed:
            self._peer.forget(waiter.id)
            raise

    def _send(self, waiter: _Waiter, write: Callable[[int], bytes]) -> None:
        self._send_unbounded(waiter, write)
        self._open[waiter.id] = waiter
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)

    def _raise_level(self, call: Call) -> None:
        # A session of the handshake era has one log level: the most verbose that anybody asked for.
        wanted = call.log_level
        if wanted is None or self.welcome.era is Era.STATELESS or "logging" not in self.welcome.capabilities:
            return
        if self._level == "" or LEVELS[wanted] < LEVELS[self._level]:
            before, self._level = self._level, wanted
            told = self._start("logging/setLevel", {"level": wanted}, self._loop.time() + 5.0).answer
            told.add_done_callback(partial(self._levelled, wanted, before))

    def _levelled(self, wanted: str, before: str, told: "asyncio.Future[rpc.Response | rpc.Error]") -> None:
        # It was not taken: the next call that wants it asks again.
        failed = told.cancelled() or told.exception() is not None or type(told.result()) is rpc.Error
        if failed and self._level == wanted:
            self._level = before

    def _give_up(self, waiter: _Waiter, reason: str) -> None:
        self._open.pop(waiter.id, None)
        if self._peer.forget(waiter.id) and reason and waiter.cancels:
            self.tell("notifications/cancelled", {"requestId": waiter.id, "reason": reason})

    def _sweep(self) -> None:
        now = self._loop.time()
        for waiter in [w for w in self._open.values() if w.deadline_s <= now]:
            self._give_up(waiter, "the deadline has passed")
            if not waiter.answer.done():
                waiter.answer.set_exception(TimeoutError())
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep) if self._open else None

    # --- what comes in ---

    def _on_frame(self, data: bytes) -> None:
        said = self._peer.receive(data)
        if isinstance(said, Answered):
            self._open.pop(said.waiter.id, None)
            if not said.waiter.answer.done():
                said.waiter.answer.set_result(said.answer)
        elif isinstance(said, Progressed):
            self._on_progress(said.waiter, said.params)
        elif isinstance(said, rpc.Notification):
            self._on_note(said)
        elif isinstance(said, rpc.Request):
            self._on_request(said)
        elif isinstance(said, Batch):
            self._on_batch(said)
        else:
            self._on_stray(said)

    def _on_batch(self, batch: Batch) -> None:
        replies = self._replies = []
        for frame in batch.frames:
            self._on_frame(frame)
        self._replies = None
        if replies:
            self._reply(write_batch(replies))

    def _on_progress(self, waiter: _Waiter, params: JSON) -> None:
        extended_s = min(self._loop.time() + waiter.allowance_s, waiter.hard_s)
        waiter.deadline_s = max(waiter.deadline_s, extended_s)
        if waiter.emit is not None and waiter.call is not None and waiter.call.wants_progress:
            waiter.emit(Event("notifications/progress", params))

    def _on_note(self, note: rpc.Notification) -> None:
        if note.method == "notifications/message":
            # On a line nothing says which call a message belongs to; with exactly one open there is no doubt.
            waiter = next(iter(self._open.values())) if len(self._open) == 1 else None
            if waiter is not None and waiter.call is not None and waiter.emit is not None:
                emit_note(waiter.call, waiter.emit, note.params)
                return
        elif note.method == "notifications/cancelled" and self._questions.withdraw(note.params.get("requestId")):
            return
        subscription = subscription_of(note.params)
        if subscription is None:
            self._noted(note.method, note.params)
        elif (hear := self._hearing.get(subscription)) is not None:
            hear(note.method, note.params)

    def _on_request(self, request: rpc.Request) -> None:
        at_once = self._questions.ask(request)
        if at_once is not None:
            self._reply(at_once)

    def _turned(self) -> None:
        # On a line nothing says which call a question belongs to: none of them runs out of time while it is open.
        now = self._loop.time()
        for waiter in self._open.values():
            if waiter.call is not None:
                waiter.deadline_s = waiter.hard_s if self._questions else min(now + waiter.allowance_s, waiter.hard_s)

    def _on_stray(self, stray: Stray) -> None:
        if self._peer.strays in (1, 10, 100) or self._peer.strays % 1000 == 0:
            logger.warning("upstream sent what belongs to nothing (%d so far): %s", self._peer.strays, stray.reason)

    def _reply(self, frame: bytes) -> None:
        if self._replies is not None:
            self._replies.append(frame)
            return
        try:
            self._link.send(frame)
        except LinkClosed:
            return

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    def _on_close(self, reason: str) -> None:
        # First `ended`: whoever is woken by the loss of a call finds the session gone already.
        self._end(reason)
        self._questions.drop_all()
        self._open.clear()
        for waiter in self._peer.drop_all():
            if not waiter.answer.done():
                waiter.answer.set_exception(LinkClosed(reason))


def _look_away(answer: "asyncio.Future[rpc.Response | rpc.Error]") -> None:
    # Not every answer is waited for (a log level, a probe that came too late); its failure is no news.
    if not answer.cancelled():
        answer.exception()


def nothing_missed() -> None:
    return


def subscription_of(params: JSON) -> int | None:
    """The listen stream of ours that a notification came on; 0 for one that was never ours."""
    meta: object = params.get("_meta")
    found: object = meta.get(SUBSCRIPTION) if is_object(meta) else None
    if found is None:
        return None
    return found if type(found) is int else 0


def emit_note(call: Call, emit: Emit, params: Mapping[str, Any]) -> None:
    """Pass on a log message if the caller wants one of that severity."""
    if call.log_level is not None and LEVELS.get(str(params.get("level")), 0) >= LEVELS[call.log_level]:
        emit(Event("notifications/message", params))
