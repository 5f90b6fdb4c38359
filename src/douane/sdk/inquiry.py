"""A function at work on a call, which asks: it stays where it is, while its call is answered with the questions.

What it asks at the same time is put as one round. The next call of the interaction brings the answers, and from then on
it is that call the function serves.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol

import msgspec

from ..flow.chain import Emit
from ..flow.rounds import AnswerFault
from ..protocol.call import JSON, Call
from ..protocol.outcome import Deferred, InputRequired, Outcome
from ..protocol.questions import undeclared
from ..protocol.tasks import accepts
from .questions import CannotAsk, Question

__all__ = ["ENDED", "Inquiry", "TakeOver"]

logger = logging.getLogger(__name__)

ENDED = "the call has ended; nobody can be asked any more"
_LAST_WORDS_S = 5.0
"""For what a function does when it is cancelled."""


class Teller(Protocol):
    """What the function speaks with."""

    def pause(self) -> None:
        """Its call is answered with questions: nobody listens until the next."""
        ...

    def go_on(self, call: Call, emit: Emit) -> None:
        """It serves `call` now."""
        ...


TakeOver = Callable[[Call, "Inquiry"], Awaitable[Deferred | None]]
Work = Callable[["Inquiry"], Coroutine[Any, Any, Outcome]]


class _Open(msgspec.Struct, eq=False):
    question: Question[Any]
    answer: "asyncio.Future[Any]"


class Inquiry:
    """An `Exchange` over one running function."""

    def __init__(self, work: "Work", call: Call) -> None:
        self._loop = asyncio.get_running_loop()
        self._call = call
        self._brought: dict[str, Any] = dict(call.answers)
        """Answers that came before they were asked for."""
        self._open: dict[str, _Open] = {}
        self._shown: dict[str, _Open] = {}
        """What the last round has asked: an answer is for that, even if another question has its key by now."""
        self._closed = False
        self._unsaid = False
        self._asked = 0
        self._news: asyncio.Future[None] | None = None
        self._deferring: asyncio.Future[bool] | None = None
        self.take_over: TakeOver | None = None
        """Who makes a task of it when it wants to be one."""
        self.teller: Teller | None = None
        self._task = self._loop.create_task(work(self))
        self._task.add_done_callback(lambda _: self._tell())

    # --- for the function ---

    async def ask(self, questions: Mapping[str, Question[Any]]) -> dict[str, Any]:
        """The answer to each, read. Raises CannotAsk before anything is asked, RuntimeError when nobody would answer."""
        if self._closed:
            raise RuntimeError(ENDED)
        missing = undeclared((question.request for question in questions.values()), self._call.capabilities)
        if missing is not None:
            raise CannotAsk(missing)
        if not self._open.keys().isdisjoint(questions):
            twice = ", ".join(sorted(self._open.keys() & questions.keys()))
            raise ValueError(f"{twice!r} is being asked already; give each question a key of its own")
        answers = {key: self._put(key, question) for key, question in questions.items()}
        try:
            return {key: await answer for key, answer in answers.items()}
        finally:
            for key, answer in answers.items():
                # By then another question may have taken the key.
                if (one := self._open.get(key)) is not None and one.answer is answer:
                    del self._open[key]

    def key_for(self, question: Question[Any]) -> str:
        """For an author who gives none: the same each time the function runs the same way."""
        self._asked += 1
        return f"{question.kind}_{self._asked}"

    def _put(self, key: str, question: Question[Any]) -> "asyncio.Future[Any]":
        answer: asyncio.Future[Any] = self._loop.create_future()
        if key in self._brought:
            try:
                answer.set_result(question.read(self._brought.pop(key)))
                return answer
            except AnswerFault:
                # Nobody had asked yet; now it is.
                pass
        self._open[key] = _Open(question, answer)
        # Not at once: what else is asked in this turn of the loop goes with it.
        self._unsaid = True
        self._loop.call_soon(self._loop.call_soon, self._tell)
        return answer

    async def defer(self) -> bool:
        """Whether it is a task from here on."""
        if self.take_over is None or not accepts(self._call.capabilities):
            return False
        self._deferring = self._loop.create_future()
        self._tell()
        return await self._deferring

    # --- as an exchange ---

    async def next(self) -> Outcome:
        while not self._task.done():
            if self._deferring is not None and (deferred := await self._become_task(self._deferring)) is not None:
                return deferred
            if self._open and not self._unsaid:
                if self.teller is not None:
                    self.teller.pause()
                self._shown = dict(self._open)
                return InputRequired({key: one.question.request for key, one in self._shown.items()})
            self._news = self._loop.create_future()
            await self._news
        self.close()
        return self._task.result()

    async def _become_task(self, deferring: "asyncio.Future[bool]") -> Deferred | None:
        take_over, self.take_over, self._deferring = self.take_over, None, None
        assert take_over is not None
        deferred = await take_over(self._call, self)
        if not deferring.done():
            deferring.set_result(deferred is not None)
        return deferred

    async def answer(self, call: Call, emit: Emit) -> None:
        waiting = {key: one for key, one in self._shown.items() if self._open.get(key) is one}
        read = {key: self._read(key, one, call.answers) for key, one in waiting.items() if key in call.answers}
        self._call = call
        if self.teller is not None:
            self.teller.go_on(call, emit)
        for key, value in read.items():
            one = self._open.pop(key)
            if not one.answer.done():
                one.answer.set_result(value)

    async def abandon(self) -> None:
        self.close()
        self._task.cancel()
        _, left = await asyncio.wait({self._task}, timeout=_LAST_WORDS_S)
        if left:
            logger.warning("a function still runs %g s after it was cancelled (call %s)", _LAST_WORDS_S, self._call.id)

    def close(self) -> None:
        """Nothing will be answered any more: whoever waits for it is cancelled, in whatever thread."""
        self._closed = True
        for one in self._open.values():
            one.answer.cancel()
        self._open.clear()

    def _read(self, key: str, one: _Open, answers: JSON) -> Any:
        try:
            return one.question.read(answers[key])
        except AnswerFault as fault:
            raise AnswerFault(f"the answer to {key!r} {fault}") from None

    def _tell(self) -> None:
        self._unsaid = False
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
