"""Calls that go on after they were answered: a `Handler` around the one that serves them.

A tool that its author lets run as a task does so for every caller that declares the extension; the call runs in a task
of the event loop, under the same handler as any other, and what it asks on the way is asked of who looks after it.
Ids are 256 random bits, and good only for the principal they were given to.
Spec: modelcontextprotocol/ext-tasks specification/draft/tasks.md; specification/2025-11-25/basic/utilities/tasks.mdx.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from ..flow.chain import Emit, Handler
from ..flow.rounds import AnswerFault, Exchange
from ..protocol.call import Call, Principal
from ..protocol.outcome import Complete, Deferred, Failed, InputRequired, Outcome, Refused
from ..protocol.tasks import Task, accepts, now, undeclared
from ..wire.codes import INTERNAL_ERROR, INVALID_PARAMS, UPSTREAM_UNAVAILABLE
from ..wire.json import is_object
from .running_task import RunningTask
from .task_store import MemoryTasks, TasksFull, TaskStore

__all__ = ["Support", "TaskSettings", "Tasks"]

logger = logging.getLogger(__name__)

_DONE = Complete({})


class Support(msgspec.Struct, frozen=True):
    """How a tool runs as a task."""

    level: Literal["optional", "required"]
    """It may, or it runs as nothing else."""
    asks_first: bool = False
    """It begins as a call, and says itself from where on it is a task."""


class TaskSettings(msgspec.Struct, frozen=True):
    """How long tasks are kept, and how many."""

    ttl_s: float = 3600.0
    """From the start of a task: then it is ended, and its result is gone."""
    poll_s: float = 1.0
    """How often callers are told to look."""
    max_tasks: int = 10_000
    max_per_principal: int = 256


class Tasks:
    def __init__(
        self,
        onward: Handler,
        begin: Callable[[Call, Emit], Awaitable[Exchange]],
        support: Mapping[str, Support],
        settings: TaskSettings,
        store: TaskStore | None = None,
    ) -> None:
        """`onward` serves what is no task, `begin` starts what is one. `support`: the tools that run as tasks; looked
        at for each call.
        """
        self._onward, self._start, self._support, self._settings = onward, begin, support, settings
        self._store: TaskStore = store or MemoryTasks(
            max_tasks=settings.max_tasks, max_per_principal=settings.max_per_principal
        )
        self._running: dict[str, RunningTask] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.on_change: list[Callable[[Principal, Task], None]] = []
        """Told of each task that is not as it was."""
        self._serves: dict[str, Callable[[Call], Awaitable[Outcome]]] = {
            "tasks/get": self._get,
            "tasks/update": self._update,
            "tasks/cancel": self._cancel,
            "tasks/list": self._list,
        }

    def __call__(self, call: Call, emit: Emit) -> Awaitable[Outcome]:
        if call.method == "tools/call":
            support = self._support.get(call.target or "")
            return self._onward(call, emit) if support is None else self._call_tool(call, emit, support)
        serve = self._serves.get(call.method)
        return self._onward(call, emit) if serve is None else self._admit(call, serve)

    async def aclose(self) -> None:
        """End what runs, and forget all."""
        for running in tuple(self._running.values()):
            self._stop(running)
        if self._ending:
            await asyncio.wait(tuple(self._ending))
        await self._store.aclose()

    # --- a call becomes a task ---

    async def _call_tool(self, call: Call, emit: Emit, support: Support) -> Outcome:
        if not accepts(call.capabilities):
            if support.level == "required":
                return undeclared(f"the tool {call.target!r} runs as a task only")
            return await self._onward(call, emit)
        if support.asks_first or call.state is not None:
            # What was begun as a call is not begun once more as a task.
            return await self._onward(call, emit)
        try:
            running = await self._begin(call)
        except TasksFull as exc:
            if support.level == "required":
                return Refused(UPSTREAM_UNAVAILABLE, f"server: {exc}")
            return await self._onward(call, emit)
        call = _unheard(call)
        self._go(running, call, await self._start(call, running.emit(call)))
        return Deferred(running.task.handle())

    async def take_over(self, call: Call, exchange: Exchange) -> Deferred | None:
        """`exchange` serves `call`, and is a task from here on; None when there is no room for one."""
        try:
            running = await self._begin(call)
        except TasksFull:
            return None
        call = _unheard(call)
        await exchange.answer(replace(call, answers={}), running.emit(call))
        self._go(running, call, exchange)
        return Deferred(running.task.handle())

    async def _begin(self, call: Call) -> RunningTask:
        """Raises TasksFull."""
        settings, at = self._settings, now()
        task = Task(
            id=secrets.token_urlsafe(32),
            created_at=at,
            updated_at=at,
            ttl_ms=_ttl_ms(call, settings),
            poll_ms=round(settings.poll_s * 1000),
        )
        await self._store.add(call.principal, task)
        return RunningTask(task, call.principal, self._tell)

    def _go(self, running: RunningTask, call: Call, exchange: Exchange) -> None:
        self._running[running.task.id] = running
        running.exchange = exchange
        running.work = self._do(self._run(running, call))

    def _stop(self, running: RunningTask) -> None:
        running.work.cancel()
        self._do(self._abandon(running))

    async def _abandon(self, running: RunningTask) -> None:
        # Work that is cancelled before its first step never gets to its `finally`.
        await asyncio.wait({running.work})
        await running.exchange.abandon()

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def _run(self, running: RunningTask, call: Call) -> None:
        try:
            running.settle(await self._outcome(running, call))
            await self._store.update(running.task)
        except Exception:
            logger.exception("the end of the task of call %s could not be kept", call.id)
        finally:
            self._running.pop(running.task.id, None)

    async def _outcome(self, running: RunningTask, call: Call) -> Outcome:
        try:
            async with asyncio.timeout((running.task.ttl_ms or 0) / 1000):
                return await self._driven(running, call)
        except TimeoutError:
            return Failed(INTERNAL_ERROR, "server: the task has taken longer than it may")
        except Exception:
            # The edge of this task: a fault of ours is still an answer to whoever waits.
            logger.exception("the task of call %s broke", call.id)
            return Failed(INTERNAL_ERROR, f"server: an internal error; it is in the server's log (call {call.id})")

    async def _driven(self, running: RunningTask, call: Call) -> Outcome:
        try:
            said = await running.exchange.next()
            while isinstance(said, InputRequired):
                answers = await running.ask(said.asks)
                call = replace(call, answers=answers, state=said.state, round=call.round + 1)
                if said.state is not None:
                    # Its function has returned, and is called again with the answers.
                    running.exchange = await self._start(call, running.emit(call))
                else:
                    with suppress(AnswerFault):
                        # What does not fit is asked once more.
                        await running.exchange.answer(call, running.emit(call))
                said = await running.exchange.next()
            return said
        finally:
            await running.exchange.abandon()

    # --- looking after one ---

    async def _admit(self, call: Call, serve: Callable[[Call], Awaitable[Outcome]]) -> Outcome:
        if not accepts(call.capabilities):
            return undeclared(f"{call.method} is of an extension")
        return await serve(call)

    async def _get(self, call: Call) -> Outcome:
        task = await self._find(call)
        return _unknown() if task is None else Complete(task.detailed())

    async def _update(self, call: Call) -> Outcome:
        task = await self._find(call)
        if task is None:
            return _unknown()
        running = self._running.get(task.id)
        if running is None:
            return _DONE
        fault = running.fault(call.answers)
        if fault is not None:
            return Refused(INVALID_PARAMS, f"client: {fault}; nothing was taken of these answers")
        running.answer(call.answers)
        return _DONE

    async def _cancel(self, call: Call) -> Outcome:
        task = await self._find(call)
        if task is None:
            return _unknown()
        running = self._running.pop(task.id, None)
        if running is not None:
            running.cancel()
            self._stop(running)
            await self._store.update(running.task)
        return _DONE

    async def _list(self, call: Call) -> Outcome:
        if call.params.get("cursor") is not None:
            return Refused(INVALID_PARAMS, "client: the cursor is not of this list")
        tasks = await self._store.all_of(call.principal)
        return Complete({"tasks": [self._newest(task).handle() for task in tasks]})

    async def _find(self, call: Call) -> Task | None:
        task = await self._store.find(call.principal, call.params["taskId"])
        return None if task is None else self._newest(task)

    def _newest(self, task: Task) -> Task:
        running = self._running.get(task.id)
        return task if running is None else running.task

    def _tell(self, owner: Principal, task: Task) -> None:
        for tell in tuple(self.on_change):
            tell(owner, task)


def _unheard(call: Call) -> Call:
    # Nobody hears the log of a task, and progress becomes its message (tasks.md, task status notifications).
    return replace(call, wants_progress=True, log_level=None)


def _ttl_ms(call: Call, settings: TaskSettings) -> int:
    # A caller of 2025-11-25 may ask for less than is given (tasks.mdx, TTL); `read_body` lets nobody else ask.
    most = round(settings.ttl_s * 1000)
    asked: object = call.params.get("task")
    ttl: object = asked.get("ttl") if is_object(asked) else None
    return min(max(ttl, 0), most) if isinstance(ttl, int) else most


def _unknown() -> Refused:
    return Refused(INVALID_PARAMS, "client: there is no such task; it was never here, or has expired")
