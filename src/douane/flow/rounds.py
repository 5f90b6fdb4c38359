"""Questions in mid-call, as rounds of the newest revision.

Whoever asks while the call it belongs to stays open (a server of the handshake era, a function of ours) is an
`Exchange`. `Parking` keeps it under a token and answers `InputRequired`; the next call that bears the token resumes it.
`drive_rounds` is the other edge: it serves a caller that knows no rounds by asking it directly. So a chain sees only
calls and outcomes: each question is inspected on its way back, each answer on its way in.

Tokens here are random and live in this process; sealing them for the wire is the listener's affair.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from ..protocol.call import JSON, Call, Principal
from ..protocol.outcome import Complete, Failed, InputRequired, Outcome, Refused
from ..wire import json
from ..wire.codes import DEADLINE_EXCEEDED, INTERNAL_ERROR, INVALID_PARAMS
from .chain import Emit, Handler
from .trail import Trail

__all__ = ["AnswerFault", "Exchange", "Parking", "Unanswered", "drive_rounds"]

_NO_ANSWERS: JSON = {}
_KEPT_S = 60.0
"""How long a round that was answered is remembered: a caller that lost the answer comes back at once."""
_MAX_KEPT = 256
_MAX_KEPT_BYTES = 64 * 1024
"""Of what callers make us keep: the answers of one call that lack others, and what one round has come to."""
_LOST = "client: this interaction is lost: it expired, ended, or was of another process; start the call again"


class AnswerFault(ValueError):
    """Answers are not what was asked for. Nothing was taken of them; the text names the question, for the caller."""


class Exchange(Protocol):
    """One call open at whoever asks."""

    async def next(self) -> Outcome:
        """The next thing it says: a question, or how the call ended."""
        ...

    async def answer(self, call: Call, emit: Emit) -> None:
        """`call.answers` answer all it asked for; from now on it serves `call`, and speaks to `emit`.

        Raises AnswerFault before anything was taken of them.
        """
        ...

    async def abandon(self) -> None:
        """Nobody will answer: cancel what is open. Never raises."""
        ...


Open = Callable[[Call, Emit], Awaitable[Exchange]]


class _Parked(msgspec.Struct, eq=False):
    call: Call
    """The last of its interaction."""
    exchange: Exchange
    asks: Mapping[str, JSON]
    timer: asyncio.TimerHandle
    answers: dict[str, Any] = {}
    """What has come of them so far."""


class Parking:
    """Turns whoever asks in mid-call into a `Handler`.

    A token resumes once, only for the principal it was given to, for `ttl_s` seconds; who sends the same answers
    again, not having heard, is told the same again. Parked exchanges live in this process and die with it.
    """

    def __init__(
        self,
        open_: Open,
        *,
        layer: str = "gateway",
        ttl_s: float = 300.0,
        max_parked: int = 1024,
        max_per_principal: int = 128,
    ) -> None:
        """`layer`: who is at fault when there is no room."""
        self._open, self._layer, self._ttl_s = open_, layer, ttl_s
        self._max_parked, self._max_per_principal = max_parked, max_per_principal
        self._parked: dict[str, _Parked] = {}
        self._held: Counter[tuple[str, str, str]] = Counter()
        self._told: dict[str, tuple[Principal, asyncio.Future[Outcome], asyncio.TimerHandle]] = {}
        """What each round that was answered has come to, for a while."""
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._parked)

    def __call__(self, call: Call, emit: Emit) -> Awaitable[Outcome]:
        return self.begin(call, emit) if call.state is None else self._resume(call.state, call, emit)

    async def begin(self, call: Call, emit: Emit) -> Outcome:
        """`call` as the first of its interaction, whatever its state."""
        return await self._next(await self._open(call, emit), call)

    async def _resume(self, token: str, call: Call, emit: Emit) -> Outcome:
        told = self._told.get(token)
        if told is not None and told[0].identity == call.principal.identity:
            return await asyncio.shield(told[1])
        parked = self._parked.get(token)
        if parked is None or parked.call.principal.identity != call.principal.identity:
            return Refused(INVALID_PARAMS, _LOST)
        answers = parked.answers | {key: call.answers[key] for key in parked.asks if key in call.answers}
        left = {key: question for key, question in parked.asks.items() if key not in answers}
        if left:
            if len(json.encode(answers)) > _MAX_KEPT_BYTES:
                said = (
                    f"client: more than {_MAX_KEPT_BYTES} bytes are not kept; answer all questions of a round together"
                )
                return Refused(INVALID_PARAMS, said)
            parked.answers = answers
            return InputRequired(left, token, lambda: self._expire(token))
        self._take(token)
        return await self._answered(token, parked, replace(call, answers=answers), emit)

    async def _answered(self, token: str, parked: _Parked, call: Call, emit: Emit) -> Outcome:
        heard: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._remember(token, call.principal, heard)
        said: Outcome = Refused(INVALID_PARAMS, _LOST)
        try:
            said = await self._answer(token, parked, call, emit)
        finally:
            heard.set_result(said)
            if isinstance(said, Complete) and len(said.encoded or json.encode(said.result)) > _MAX_KEPT_BYTES:
                # Whoever waits for it has it; who comes back later has to call again.
                self._forget(token)
        return said

    async def _answer(self, token: str, parked: _Parked, call: Call, emit: Emit) -> Outcome:
        try:
            await parked.exchange.answer(call, emit)
        except AnswerFault as fault:
            # Still waiting: better answers may come.
            self._forget(token)
            if self._closed:
                return await self._ended(parked.exchange)
            self._park(token, parked.call, parked.exchange, parked.asks)
            return Refused(INVALID_PARAMS, f"client: {fault}")
        except BaseException:
            # Taken out of the parking, nobody else will ever end it.
            await parked.exchange.abandon()
            raise
        return await self._next(parked.exchange, call)

    async def _next(self, exchange: Exchange, call: Call) -> Outcome:
        try:
            said = await exchange.next()
        except BaseException:
            await exchange.abandon()
            raise
        # A question with a state of its own needs nothing that is kept here.
        if not isinstance(said, InputRequired) or said.state is not None:
            return said
        if self._closed:
            return await self._ended(exchange)
        owner = call.principal.identity
        if len(self._parked) >= self._max_parked or self._held[owner] >= self._max_per_principal:
            await exchange.abandon()
            return Failed(INTERNAL_ERROR, f"{self._layer}: too many calls wait for input; try again later", "yes")
        token = secrets.token_urlsafe(24)
        self._park(token, call, exchange, said.asks)
        return InputRequired(said.asks, token, lambda: self._expire(token))

    async def _ended(self, exchange: Exchange) -> Outcome:
        await exchange.abandon()
        return Failed(INTERNAL_ERROR, f"{self._layer}: it is stopping; nobody can be asked any more", "yes")

    def _park(self, token: str, call: Call, exchange: Exchange, asks: Mapping[str, JSON]) -> None:
        timer = asyncio.get_running_loop().call_later(self._ttl_s, self._expire, token)
        self._parked[token] = _Parked(call, exchange, asks, timer)
        self._held[call.principal.identity] += 1

    def _take(self, token: str) -> _Parked | None:
        parked = self._parked.pop(token, None)
        if parked is not None:
            parked.timer.cancel()
            owner = parked.call.principal.identity
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
        return parked

    def _remember(self, token: str, principal: Principal, heard: "asyncio.Future[Outcome]") -> None:
        if len(self._told) >= _MAX_KEPT:
            self._forget(next(iter(self._told)))
        timer = asyncio.get_running_loop().call_later(_KEPT_S, self._forget, token)
        self._told[token] = (principal, heard, timer)

    def _forget(self, token: str) -> None:
        told = self._told.pop(token, None)
        if told is not None:
            told[2].cancel()

    def withdraw(self, is_refused: Callable[[Call], object]) -> None:
        """Abandon what waits for a caller that would be refused now. Its next call says so."""
        for token, parked in tuple(self._parked.items()):
            if is_refused(parked.call):
                self._expire(token)

    async def aclose(self) -> None:
        """Abandon everything parked. Nothing is parked any more: what asks from now on is abandoned, too."""
        self._closed = True
        for token in tuple(self._parked):
            self._expire(token)
        for token in tuple(self._told):
            self._forget(token)
        if self._closing:
            await asyncio.wait(self._closing)

    def _expire(self, token: str) -> None:
        parked = self._take(token)
        if parked is None:
            return
        task = asyncio.ensure_future(parked.exchange.abandon())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class Unanswered(Exception):
    """A question was not answered, so its call ends with `outcome`."""

    def __init__(self, outcome: Refused | Failed) -> None:
        super().__init__(outcome)
        self.outcome = outcome


async def drive_rounds(
    call: Call,
    emit: Emit,
    handler: Handler,
    ask: Callable[[Mapping[str, JSON]], Awaitable[JSON]],
    *,
    first: Outcome | None = None,
    asker: str = "upstream",
    new_id: Callable[[], str] = lambda: secrets.token_hex(16),
    max_rounds: int = 10,
    max_wait_s: float = 300.0,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Outcome:
    """Serve a caller that knows no rounds by asking it directly and calling again.

    `ask` may raise Unanswered. `first`: what the call has come to already. `asker`: who is at fault when it never
    stops. Each further round is a call of its own. One
    that asks nothing means "come back": it waits, from 50 ms doubling to 5 s, and counts against `max_wait_s` rather
    than `max_rounds`.
    """
    waited_s, pause_s, begun = 0.0, 0.05, call
    outcome = await handler(call, emit) if first is None else first
    abandon: Callable[[], None] | None = None
    try:
        while isinstance(outcome, InputRequired):
            abandon, answers = outcome.abandon, _NO_ANSWERS
            if outcome.asks:
                if call.round - begun.round >= max_rounds:
                    return Failed(INTERNAL_ERROR, f"{asker}: still asking after {max_rounds} rounds", "yes")
                answers, pause_s = await ask(outcome.asks), 0.05
            elif waited_s + pause_s > max_wait_s:
                return Failed(DEADLINE_EXCEEDED, f"{asker}: no answer within {max_wait_s:g} s", "unknown")
            else:
                await pause(pause_s)
                waited_s, pause_s = waited_s + pause_s, min(pause_s * 2, 5.0)
            round_ = call.round + 1 if outcome.asks else call.round
            call = replace(call, id=new_id(), answers=answers, state=outcome.state, round=round_)
            outcome = await handler(call, Emit(emit.deliver, Trail(call), emit.stream))
        return outcome
    except Unanswered as exc:
        return exc.outcome
    finally:
        # Nothing, where the answers have arrived.
        if abandon is not None:
            abandon()
