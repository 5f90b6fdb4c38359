"""Questions in mid-call, as rounds of the newest revision.

A handshake-era server asks (elicitation, sampling, roots) while the call it belongs to stays open. `Parking` keeps
that open exchange under a token and answers `InputRequired`; the next call that bears the token resumes it.
`drive_rounds` is the other edge: it serves a caller that knows no rounds by asking it directly. So a chain sees only
calls and outcomes: each question is inspected on its way back, each answer on its way in.

Tokens here are random and live in this process; sealing them for the wire is the listener's affair.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec.structs import replace

from ..protocol.call import JSON, Call, Principal
from ..protocol.outcome import Failed, InputRequired, Outcome, Refused
from ..wire.codes import DEADLINE_EXCEEDED, INTERNAL_ERROR, INVALID_PARAMS
from .chain import Emit, Handler

__all__ = ["Exchange", "Parking", "drive_rounds"]

_NO_ANSWERS: JSON = {}


class Exchange(Protocol):
    """One call open on a handshake-era session."""

    async def next(self) -> Outcome:
        """The next thing the server says: a question, or how the call ended."""
        ...

    async def answer(self, answers: JSON) -> None: ...

    async def abandon(self) -> None:
        """Nobody will answer: cancel what is open. Never raises."""
        ...


Open = Callable[[Call, Emit], Awaitable[Exchange]]


class Parking:
    """Turns a handshake-era upstream into a `Handler`.

    A token works once, only for the principal it was given to, for `ttl_s` seconds. Parked exchanges live in this
    process and die with it.
    """

    def __init__(self, open_: Open, *, ttl_s: float = 300.0, max_parked: int = 1024) -> None:
        self._open, self._ttl_s, self._max_parked = open_, ttl_s, max_parked
        self._parked: dict[str, tuple[Principal, Exchange, asyncio.TimerHandle]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        if call.state is None:
            exchange = await self._open(call, emit)
        else:
            parked = self._parked.get(call.state)
            if parked is None or parked[0] != call.principal:
                return Refused(INVALID_PARAMS, "client: unknown or expired requestState; start the call again")
            _, exchange, timer = self._parked.pop(call.state)
            timer.cancel()
        try:
            if call.state is not None:
                await exchange.answer(call.answers)
            said = await exchange.next()
        except BaseException:
            # Taken out of the parking, nobody else will ever end it.
            await exchange.abandon()
            raise
        if not isinstance(said, InputRequired):
            return said
        if len(self._parked) >= self._max_parked:
            await exchange.abandon()
            return Failed(INTERNAL_ERROR, "gateway: too many calls wait for input; try again later", "yes")
        token = secrets.token_urlsafe(24)
        timer = asyncio.get_running_loop().call_later(self._ttl_s, self._expire, token)
        self._parked[token] = (call.principal, exchange, timer)
        return InputRequired(said.asks, token)

    async def aclose(self) -> None:
        """Abandon everything parked."""
        for token, (_, _, timer) in tuple(self._parked.items()):
            timer.cancel()
            self._expire(token)
        if self._closing:
            await asyncio.wait(self._closing)

    def _expire(self, token: str) -> None:
        _, exchange, _ = self._parked.pop(token)
        task = asyncio.ensure_future(exchange.abandon())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def drive_rounds(
    call: Call,
    emit: Emit,
    handler: Handler,
    ask: Callable[[str, JSON], Awaitable[JSON]],
    *,
    max_rounds: int = 10,
    max_wait_s: float = 300.0,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Outcome:
    """Serve a caller that knows no rounds by asking it directly and calling again.

    A round that asks nothing means "come back": it waits, from 50 ms doubling to 5 s, and counts against
    `max_wait_s` rather than `max_rounds`.
    """
    rounds, waited_s, pause_s = 0, 0.0, 0.05
    while True:
        outcome = await handler(call, emit)
        if not isinstance(outcome, InputRequired):
            return outcome
        answers = _NO_ANSWERS
        if outcome.asks:
            rounds, pause_s = rounds + 1, 0.05
            if rounds > max_rounds:
                return Failed(INTERNAL_ERROR, f"upstream: still asking after {max_rounds} rounds", "yes")
            said = await asyncio.gather(*(ask(key, question) for key, question in outcome.asks.items()))
            answers = dict(zip(outcome.asks, said, strict=True))
        elif waited_s + pause_s > max_wait_s:
            return Failed(DEADLINE_EXCEEDED, f"upstream: no answer within {max_wait_s:g} s", "unknown")
        else:
            await pause(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(pause_s * 2, 5.0)
        call = replace(call, answers=answers, state=outcome.state)
