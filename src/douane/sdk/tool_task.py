"""A tool that runs on at the server after it was called: looked at, waited for, cancelled."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from ..protocol.call import JSON
from ..protocol.tasks import Task, read_task
from ..wire.codes import CANCELLED, DEADLINE_EXCEEDED, UPSTREAM_UNAVAILABLE
from .answer import Answer, ServerError, answer_of

__all__ = ["ToolTask"]

_POLL_S = 1.0
"""Where the server does not say how often it may be asked."""
_ASKING_S = 600.0
"""As long as a call has with all its questions (`client`)."""
_POLLS_S = (0.02, 60.0)
"""What a server may say: one that says 0 is not asked without a pause, one that says a week is not believed."""

Ask = Callable[[str, JSON], Awaitable[JSON]]
"""A request to the server, and its result. Raises ServerError."""
Reply = Callable[[Mapping[str, JSON]], Awaitable[JSON]]
"""Answers to what a server asks, by key. Raises ServerError where there can be none."""

Follow = Callable[[str], AbstractContextManager[asyncio.Event]]
"""While it is entered, the event is set whenever the server tells of the task, if it does."""


class ToolTask:
    """`id` finds it again with `Client.task`, also from another process, for as long as the server keeps it."""

    def __init__(
        self, id: str, ask: Ask, reply: Reply, follow: Follow, last: Task | None, answer: Answer | None
    ) -> None:
        """`last`: how it stood when it was last looked at. `answer`: of a server that answered at once, and runs no task."""
        self.id = id
        self._ask, self._reply, self._follow, self._last, self._answer = ask, reply, follow, last, answer

    @property
    def is_over(self) -> bool:
        """Whether it was, when last looked at."""
        return self._answer is not None or (self._last is not None and self._last.is_over)

    async def look(self) -> Task | None:
        """How it stands now; None when the server has answered at once. Raises ServerError."""
        if self._answer is not None or (self._last is not None and self._last.is_over):
            return self._last
        try:
            self._last = read_task(await self._ask("tasks/get", {"taskId": self.id}))
        except ValueError as exc:
            raise ServerError(UPSTREAM_UNAVAILABLE, f"server: answers with {exc}") from None
        return self._last

    async def updates(self) -> AsyncGenerator[Task]:
        """How it stands, and each time it stands otherwise, until it is over: as soon as a server tells that tells of its
        tasks, else as often as it may be asked. Nothing when the server has answered at once. Raises ServerError.

            async for task in (await client.start("report")).updates():
                print(task.status, task.message)
        """
        if self._answer is not None:
            return
        told: Task | None = None
        with self._follow(self.id) as news:
            while (task := await self.look()) is not None:
                if task != told:
                    yield task
                    told = task
                if task.is_over:
                    return
                await _told_or_due(news, _pause_s(task))

    async def result(self, deadline_s: float | None = None) -> Answer:
        """What the tool answers in the end. Raises ServerError, also when it is not there within `deadline_s`: it runs
        on then. The time that answers to its questions take is not in that. Without one, the wait ends when the server
        gives the task up.
        """
        if self._answer is None:
            try:
                async with asyncio.timeout(deadline_s) as clock:
                    self._answer = await self._settled(clock)
            except TimeoutError:
                raise ServerError(DEADLINE_EXCEEDED, f"the task has no result within {deadline_s:.3g} s") from None
        return self._answer

    async def cancel(self) -> None:
        """Ask the server to stop it. Raises ServerError."""
        if not self.is_over:
            await self._ask("tasks/cancel", {"taskId": self.id})

    async def _settled(self, clock: asyncio.Timeout) -> Answer:
        replied: set[str] = set()
        while True:
            # The pause comes first: the server has just said how it stands, and when to ask.
            if self._last is not None and not self._last.is_over:
                await asyncio.sleep(_pause_s(self._last))
            task = await self.look()
            assert task is not None
            if task.is_over:
                return _end(task)
            asks = {key: question for key, question in task.asks.items() if key not in replied}
            if asks:
                replied |= asks.keys()
                answers = await self._replied(asks, clock)
                await self._ask("tasks/update", {"taskId": self.id, "inputResponses": answers})

    async def _replied(self, asks: Mapping[str, JSON], clock: asyncio.Timeout) -> JSON:
        """While somebody is asked, the clock stands, for as long as people may take."""
        at_s, now_s = clock.when(), asyncio.get_running_loop().time
        if at_s is None:
            return await self._reply(asks)
        begun_s = now_s()
        clock.reschedule(at_s + _ASKING_S)
        answers = await self._reply(asks)
        clock.reschedule(at_s + now_s() - begun_s)
        return answers


async def _told_or_due(news: asyncio.Event, pause_s: float) -> None:
    try:
        async with asyncio.timeout(pause_s):
            await news.wait()
    except TimeoutError:
        return
    news.clear()


def _pause_s(task: Task) -> float:
    least, most = _POLLS_S
    return _POLL_S if task.poll_ms is None else min(max(task.poll_ms / 1000, least), most)


def _end(task: Task) -> Answer:
    if task.status == "completed" and task.result is not None:
        return answer_of(task.result)
    if task.status == "cancelled":
        raise ServerError(CANCELLED, "the task was cancelled" + (f": {task.message}" if task.message else ""))
    error: Mapping[str, Any] = task.error or {}
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, int) or not isinstance(message, str):
        raise ServerError(UPSTREAM_UNAVAILABLE, "server: the task has ended without a result or an error")
    raise ServerError(code, message, error.get("data"))
