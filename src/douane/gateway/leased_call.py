"""One call on a session leased to it: what its server asks meanwhile, and how it ends. An `Exchange` for `Parking`."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from msgspec.structs import replace

from ..flow.chain import Emit
from ..flow.rounds import AnswerFault
from ..protocol.call import JSON, Call, Event
from ..protocol.eras.handshake import plain_question
from ..protocol.outcome import Failed, InputRequired, Outcome
from ..protocol.questions import ELICIT, INPUT_KEY, answer_fault
from ..sdk.respondent import NoReply
from ..wire.codes import CANCELLED, UPSTREAM_UNAVAILABLE
from ..wire.json import is_object
from .leases import Lease, Leases

__all__ = ["LeasedCall"]

logger = logging.getLogger(__name__)

_GRACE_S = 1.0
"""How long a server that is told that nobody answers may take to end its call by itself."""
_MAX_KEPT_EVENTS = 64
"""Of those said while nobody listens. The oldest go first."""


class LeasedCall:
    def __init__(
        self,
        lease: Lease,
        leases: Leases,
        call: Call,
        emit: Emit,
        *,
        window_s: float,
        max_rounds: int,
        abandoned: Callable[[Call, str], None],
    ) -> None:
        """`window_s`: what is asked within it of the first question is one round. `abandoned` is told a call whose
        questions nobody has answered, and by which endpoint it came."""
        self.capabilities = call.capabilities
        self._lease, self._leases, self.call = lease, leases, call
        self.endpoint = emit.trail.endpoint
        self._window_s, self._max_rounds, self._abandoned = window_s, max_rounds, abandoned
        self._emit: Emit | None = emit
        self._missed: deque[Event] = deque(maxlen=_MAX_KEPT_EVENTS)
        self._numbers = count(1)
        self._pending: dict[str, tuple[JSON, asyncio.Future[JSON]]] = {}
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Future[None] = self._loop.create_future()
        self._rounds = 0
        lease.asked = self
        self._task = self._begin(call, emit)

    async def next(self) -> Outcome:
        outcome = await self._said()
        if not isinstance(outcome, InputRequired):
            self._end(outcome)
            return outcome
        self._rounds += 1
        if self._rounds > self._max_rounds:
            await self.abandon()
            return Failed(UPSTREAM_UNAVAILABLE, f"upstream: still asking after {self._max_rounds} rounds", "yes")
        self._emit = None
        self._leases.wait(self._lease)
        return outcome

    async def answer(self, call: Call, emit: Emit) -> None:
        for key, (question, _) in self._pending.items():
            fault = answer_fault(question, call.answers[key]) if key in call.answers else None
            if fault is not None:
                raise AnswerFault(f"the answer to {key!r} {fault}")
        self.call, self._emit, self._lease.waits = call, emit, False
        self.capabilities = call.capabilities
        while self._missed:
            emit(self._missed.popleft())
        if self._task.done():
            ended = self._task.result()
            if isinstance(ended, InputRequired):
                # It was not run: pages had to be visited first.
                self._task = self._begin(replace(call, state=ended.state), emit)
            return
        for key in call.answers.keys() & self._pending.keys():
            _, reply = self._pending.pop(key)
            # Its session may have ended a moment ago.
            if not reply.done():
                reply.set_result(call.answers[key])

    async def abandon(self) -> None:
        """Nobody answers: the server is told so, its call is cancelled and the session is given up."""
        parked, self._lease.asked = self._emit is None, None
        if parked:
            self._abandoned(self.call, self.endpoint)
        try:
            if self._pending:
                self._refuse_all()
                await asyncio.wait({self._task}, timeout=_GRACE_S)
            if self._task.cancel():
                await asyncio.wait({self._task}, timeout=_GRACE_S)
        finally:
            self._leases.destroy(self._lease)

    async def ask(self, method: str, params: JSON) -> JSON:
        """A question of the server; its answer. Raises NoReply when nobody gives one."""
        key, reply = self._key_of(method, params), self._loop.create_future()
        self._pending[key] = ({"method": method, "params": plain_question(params)}, reply)
        if not self._news.done():
            self._news.set_result(None)
        try:
            return await reply
        finally:
            # Answered, or the server has withdrawn it.
            self._pending.pop(key, None)

    async def _said(self) -> Outcome:
        """What it asks, all that comes within the window together, or how it ended."""
        while not self._task.done():
            if self._pending:
                await asyncio.wait({self._task}, timeout=self._window_s)
            else:
                self._news = self._loop.create_future()
                await asyncio.wait({self._task, self._news}, return_when=asyncio.FIRST_COMPLETED)
                continue
            # It may have been withdrawn meanwhile.
            if self._pending and not self._task.done():
                return InputRequired({key: question for key, (question, _) in self._pending.items()})
        ended = self._task.result()
        # Pages it wants visited: kept here, because the session has to be the same.
        return InputRequired(ended.asks) if isinstance(ended, InputRequired) else ended

    def _begin(self, call: Call, emit: Emit) -> "asyncio.Task[Outcome]":
        return self._loop.create_task(self._run(call, Emit(self._hear, emit.trail)))

    async def _run(self, call: Call, emit: Emit) -> Outcome:
        try:
            return await self._lease.session(call, emit)
        except Exception:
            # The edge of this task: nobody may be there to hear of it.
            logger.exception("call %s broke on its leased session", call.id)
            return Failed(UPSTREAM_UNAVAILABLE, f"gateway: an internal error (call {call.id})", "unknown")

    def _end(self, outcome: Outcome) -> None:
        # What its server has not waited for is answered all the same: open, it would be the next call's.
        self._refuse_all()
        if isinstance(outcome, Failed) and outcome.sent != "yes":
            self._leases.destroy(self._lease)
        else:
            self._leases.give_back(self._lease)

    def _key_of(self, method: str, params: JSON) -> str:
        meta: object = params.get("_meta")
        wanted: object = meta.get(INPUT_KEY) if is_object(meta) else None
        if isinstance(wanted, str) and wanted not in self._pending:
            return wanted
        keys = (f"{method.partition('/')[0]}-{number}" for number in self._numbers)
        return next(key for key in keys if key not in self._pending)

    def _refuse_all(self) -> None:
        for question, reply in self._pending.values():
            if reply.done():
                continue
            if question["method"] == ELICIT:
                reply.set_result({"action": "cancel"})
            else:
                reply.set_exception(NoReply(CANCELLED, "client: nobody answered"))

    def _hear(self, event: Event) -> Any:
        if self._emit is not None:
            self._emit(event)
        else:
            self._missed.append(event)
