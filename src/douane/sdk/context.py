"""What a function may know of, and say during, the call it serves."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from threading import get_ident
from typing import Any, Literal, TypeVar

from ..flow.chain import Emit
from ..flow.rounds import AnswerFault
from ..protocol.call import Call, Event, Principal
from ..protocol.questions import undeclared
from .inquiry import ENDED, Inquiry
from .questions import (
    Action,
    CannotAsk,
    Elicit,
    Elicited,
    ElicitUrl,
    ListRoots,
    Messages,
    Question,
    Root,
    Sample,
    Sampled,
)
from .session import LEVELS
from .threads import Threads

__all__ = ["ASKED", "Context", "Level"]

T = TypeVar("T")

_MAX_UNHEARD = 100
ASKED = "asked:"
"""Before the state of a function that returns `Ask`."""

A = TypeVar("A")
Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


class Context:
    """One call. A function that has a parameter of this type is given it; the caller never sees that parameter.

    Everything here may be used from the thread of a plain function as from a coroutine, and does nothing once the call
    has ended.
    """

    __slots__ = ("_call", "_emit", "_ended", "_inquiry", "_last", "_loop", "_thread", "_threads", "_unheard", "state")

    def __init__(self, call: Call, emit: Emit, inquiry: Inquiry | None, threads: Threads, state: Any) -> None:
        """`inquiry`: where its questions go, if it may ask."""
        self._call, self._emit, self._inquiry, self._threads = call, emit, inquiry, threads
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        if inquiry is not None:
            inquiry.teller = self
        self._ended = False
        self._unheard: list[Event] | None = None
        """What was said while nobody listened, for the next call of the interaction."""
        self._last = float("-inf")
        self.state = state
        """What the server's `lifespan` has opened; None without one. The same for every call."""

    @property
    def call_id(self) -> str:
        """Ours, unique for ever: what the log of the server calls this call."""
        return self._call.id

    @property
    def principal(self) -> Principal:
        """Who asks, as the door has proved it."""
        return self._call.principal

    @property
    def cancelled(self) -> bool:
        """Nobody waits any more. A coroutine is interrupted; a plain function in its thread has to look here."""
        return self._ended

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far it is. Sent when the caller wants to hear it, and `done` is more than it was.

        Spec: specification/2026-07-28/basic/patterns/progress.mdx (progress must increase).
        """
        if not self._call.wants_progress or done <= self._last:
            return
        self._last = done
        params: dict[str, Any] = {"progress": done}
        if total is not None:
            params["total"] = total
        if message is not None:
            params["message"] = message
        self._say(Event("notifications/progress", params))

    def log(self, level: Level, data: Any, *, logger: str | None = None) -> None:
        """A log message for the caller, if it wants those of that level. `data` is anything JSON can hold."""
        wanted = self._call.log_level
        if wanted is None or LEVELS[level] < LEVELS[wanted]:
            return
        params: dict[str, Any] = {"level": level, "data": data}
        if logger is not None:
            params["logger"] = logger
        self._say(Event("notifications/message", params))

    def debug(self, data: Any) -> None:
        self.log("debug", data)

    def info(self, data: Any) -> None:
        self.log("info", data)

    def warning(self, data: Any) -> None:
        self.log("warning", data)

    def error(self, data: Any) -> None:
        self.log("error", data)

    def close_stream(self, retry_s: float | None = None) -> None:
        """Close the connection that the caller waits on, while the call goes on: it comes again for the rest.

        For calls that take long, so that no connection is held for them. `retry_s`: when the caller is to come again.
        Does nothing for callers that would not: only Streamable HTTP of revision 2025-11-25 knows this (SEP-1699).
        """
        retry_ms = None if retry_s is None else round(retry_s * 1000)
        if get_ident() == self._thread:
            self._close_stream(retry_ms)
        else:
            _quietly(self._loop, self._close_stream, retry_ms)

    # --- asking ---

    async def elicit(self, message: str, form: type[T] | Mapping[str, Any], *, key: str | None = None) -> Elicited[T]:
        """Ask the person at the other end to fill in a form; see `Elicit`. Its content is None unless they accepted.

        Raises CannotAsk, TypeError. `key` names the question among those of this call, here as below.
        """
        return await self._ask(Elicit(message, form), key)

    async def elicit_url(self, message: str, url: str, *, key: str | None = None) -> Action:
        """Ask the person to visit a page; see `ElicitUrl`. Raises CannotAsk."""
        return await self._ask(ElicitUrl(message, url), key)

    async def sample(
        self,
        messages: Messages,
        *,
        max_tokens: int,
        system: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: Literal["auto", "required", "none"] | None = None,
        temperature: float | None = None,
        stop: Sequence[str] | None = None,
        preferences: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Sampled:
        """Ask the caller's model. Raises CannotAsk."""
        question = Sample(
            messages,
            max_tokens=max_tokens,
            system=system,
            tools=tools,
            tool_choice=tool_choice,
            temperature=temperature,
            stop=stop,
            preferences=preferences,
            metadata=metadata,
        )
        return await self._ask(question, key)

    async def roots(self, *, key: str | None = None) -> list[Root]:
        """The places the caller works in. Raises CannotAsk."""
        return await self._ask(ListRoots(), key)

    async def ask(self, questions: Mapping[str, Question[Any]]) -> dict[str, Any]:
        """Several at once, by their keys: the caller sees them together. Raises CannotAsk."""
        if self._ended:
            raise RuntimeError(ENDED)
        if self._inquiry is None:
            raise self._nobody(questions)
        return await self._inquiry.ask(questions)

    async def defer(self) -> bool:
        """From here on the call is a task: its caller is answered, and comes back for the result. For a tool that
        `asks_first`. False when its caller cannot look after one, or there is no room: it goes on as a call.
        """
        return self._inquiry is not None and await self._inquiry.defer()

    def wait(self, asked: Awaitable[T]) -> T:
        """What `asked` comes to, in a plain function: `ctx.wait(ctx.elicit(...))`.

        Raises what it raises, and concurrent.futures.CancelledError when nobody waits for the function any more.
        """
        if get_ident() == self._thread:
            raise RuntimeError("`wait` is for plain functions, in their threads; in a coroutine, write `await`")
        with self._threads.waiting():
            return asyncio.run_coroutine_threadsafe(_awaited(asked), self._loop).result()

    @property
    def request_state(self) -> str | None:
        """What the function has given with `Ask`; None when it is called for the first time."""
        state = self._call.state
        return state.removeprefix(ASKED) if state is not None and state.startswith(ASKED) else None

    def answer(self, key: str, question: Question[T]) -> T | None:
        """What came for a question of an earlier `Ask`; None when nothing did. Raises AnswerFault, to be left alone."""
        if key not in self._call.answers:
            return None
        try:
            return question.read(self._call.answers[key])
        except AnswerFault as fault:
            raise AnswerFault(f"the answer to {key!r} {fault}") from None

    async def _ask(self, question: Question[T], key: str | None) -> T:
        if key is None:
            key = "" if self._inquiry is None else self._inquiry.key_for(question)
        return (await self.ask({key: question}))[key]

    def _nobody(self, questions: Mapping[str, Question[Any]]) -> Exception:
        missing = undeclared((question.request for question in questions.values()), self._call.capabilities)
        return RuntimeError("only tools, prompts and resources may ask") if missing is None else CannotAsk(missing)

    # --- for the server's own use ---

    def pause(self) -> None:
        self._unheard = []

    def go_on(self, call: Call, emit: Emit) -> None:
        self._call, self._emit = call, emit
        unheard, self._unheard = self._unheard, None
        for event in unheard or ():
            self._deliver(event)

    def end(self) -> None:
        """The call is over."""
        self._ended = True
        if self._inquiry is not None:
            self._inquiry.close()

    def _say(self, event: Event) -> None:
        if get_ident() == self._thread:
            self._deliver(event)
        else:
            # In order with the answer: the thread's result comes over the same queue, later.
            _quietly(self._loop, self._deliver, event)

    def _deliver(self, event: Event) -> None:
        if self._ended:
            return
        if self._unheard is None:
            self._emit(event)
        elif len(self._unheard) < _MAX_UNHEARD:
            self._unheard.append(event)

    def _close_stream(self, retry_ms: int | None) -> None:
        if not self._ended and self._emit.stream is not None:
            self._emit.stream.pause(retry_ms)


async def _awaited(asked: Awaitable[T]) -> T:
    return await asked


def _quietly(loop: asyncio.AbstractEventLoop, what: Callable[[A], None], argument: A) -> None:
    try:
        loop.call_soon_threadsafe(what, argument)
    except RuntimeError:
        # The loop is closed: the server has gone while its thread still worked.
        return
