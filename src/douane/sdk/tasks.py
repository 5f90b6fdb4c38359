"""Calls that go on after they were answered: a `Handler` around the one that serves them.

A tool that its author lets run as a task does so for every caller that declares the extension; the call runs in a task
of the event loop, under the same handler as any other, and what it asks on the way is asked of who looks after it.
Ids are 256 random bits, and good only for the principal they were given to.
Spec: modelcontextprotocol/ext-tasks specification/draft/tasks.md; specification/2025-11-25/basic/utilities/tasks.mdx.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from ..flow.chain import Emit, Handler, Trail
from ..flow.rounds import drive_rounds
from ..protocol.call import JSON, Call, Event, Principal
from ..protocol.outcome import Complete, Deferred, Failed, Outcome, Refused
from ..protocol.tasks import Task, accepts, undeclared
from ..wire.codes import INTERNAL_ERROR, INVALID_PARAMS, UPSTREAM_UNAVAILABLE
from ..wire.json import is_object
from .task_store import MemoryTasks, TasksFull, TaskStore

__all__ = ["Support", "TaskSettings", "Tasks"]

logger = logging.getLogger(__name__)

Support = Literal["optional", "required"]
"""Whether a tool may run as a task, or runs as nothing else."""

_MAX_ROUNDS = 1_000
"""Of questions in one task; it is bounded by its time anyway."""
_DONE = Complete({})


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
        support: Mapping[str, Support],
        settings: TaskSettings,
        store: TaskStore | None = None,
    ) -> None:
        """`support`: the tools that run as tasks; looked at for each call."""
        self._onward, self._support, self._settings = onward, support, settings
        self._store: TaskStore = store or MemoryTasks(
            max_tasks=settings.max_tasks, max_per_principal=settings.max_per_principal
        )
        self._running: dict[str, _Running] = {}
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
            running.work.cancel()
        if self._ending:
            await asyncio.wait(tuple(self._ending))
        await self._store.aclose()

    # --- a call becomes a task ---

    async def _call_tool(self, call: Call, emit: Emit, support: Support) -> Outcome:
        if accepts(call.capabilities):
            try:
                return await self._begin(call)
            except TasksFull as exc:
                if support == "required":
                    return Refused(UPSTREAM_UNAVAILABLE, f"server: {exc}")
        elif support == "required":
            return undeclared(f"the tool {call.target!r} runs as a task only")
        return await self._onward(call, emit)

    async def _begin(self, call: Call) -> Outcome:
        """Raises TasksFull."""
        settings, now = self._settings, _now()
        task = Task(
            id=secrets.token_urlsafe(32),
            created_at=now,
            updated_at=now,
            ttl_ms=_ttl_ms(call, settings),
            poll_ms=round(settings.poll_s * 1000),
        )
        await self._store.add(call.principal, task)
        running = _Running(task, call.principal, self._tell)
        self._running[task.id] = running
        work = running.work = asyncio.get_running_loop().create_task(self._run(call, running))
        self._ending.add(work)
        work.add_done_callback(self._ending.discard)
        return Deferred(task.handle())

    async def _run(self, call: Call, running: "_Running") -> None:
        try:
            running.settle(await self._outcome(call, running))
            await self._store.update(running.task)
        except Exception:
            logger.exception("the end of the task of call %s could not be kept", call.id)
        finally:
            self._running.pop(running.task.id, None)

    async def _outcome(self, call: Call, running: "_Running") -> Outcome:
        # Nobody hears the log of a task, and progress becomes its message (tasks.md, task status notifications).
        call = replace(call, wants_progress=True, log_level=None)
        emit = Emit(running.hear, Trail(call))
        ttl_s = (running.task.ttl_ms or 0) / 1000
        try:
            async with asyncio.timeout(ttl_s):
                return await drive_rounds(
                    call, emit, self._onward, running.ask, max_rounds=_MAX_ROUNDS, max_wait_s=ttl_s
                )
        except TimeoutError:
            return Failed(INTERNAL_ERROR, "server: the task has taken longer than it may")
        except Exception:
            # The edge of this task: a fault of ours is still an answer to whoever waits.
            logger.exception("the task of call %s broke", call.id)
            return Failed(INTERNAL_ERROR, f"server: an internal error; it is in the server's log (call {call.id})")

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
        if running is not None:
            running.answer(call.answers)
        return _DONE

    async def _cancel(self, call: Call) -> Outcome:
        task = await self._find(call)
        if task is None:
            return _unknown()
        running = self._running.pop(task.id, None)
        if running is not None:
            running.cancel()
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


class _Running:
    """A task that is not over: how it stands, and what it waits for."""

    def __init__(self, task: Task, owner: Principal, tell: Callable[[Principal, Task], None]) -> None:
        self.task = task
        self._owner, self._tell = owner, tell
        self.work: asyncio.Task[None]
        self._questions: dict[str, JSON] = {}
        self._answers: dict[str, asyncio.Future[JSON]] = {}
        self._asked: set[str] = set()

    async def ask(self, key: str, question: JSON) -> JSON:
        """What the caller answers. No key is used twice in the life of a task (tasks.md, task update requests)."""
        key = self._unused(key)
        future: asyncio.Future[JSON] = asyncio.get_running_loop().create_future()
        self._questions[key], self._answers[key] = question, future
        self._stand()
        try:
            return await future
        finally:
            self._questions.pop(key, None)
            self._answers.pop(key, None)

    def answer(self, answers: JSON) -> None:
        """What was not asked, or is answered, is passed over."""
        for key, answer in answers.items():
            future = self._answers.pop(key, None)
            if future is not None:
                del self._questions[key]
                future.set_result(answer)
        self._stand()

    def hear(self, event: Event) -> None:
        """Progress, in words."""
        message: object = event.params.get("message")
        if event.method == "notifications/progress" and isinstance(message, str):
            self._change(message=message)

    def cancel(self) -> None:
        """From here on it is cancelled, whatever its function still says."""
        self._change(status="cancelled", asks={})
        self.work.cancel()

    def settle(self, outcome: Outcome) -> None:
        match outcome:
            case Complete(result):
                self._change(status="completed", result=result, asks={})
            case Failed(code, message, _, data) | Refused(code, message, data):
                error: dict[str, Any] = {"code": code, "message": message}
                if data is not None:
                    error["data"] = data
                self._change(status="failed", error=error, message=message, asks={})
            case _:
                error = {"code": INTERNAL_ERROR, "message": "server: a task cannot end so"}
                self._change(status="failed", error=error, asks={})

    def _stand(self) -> None:
        self._change(status="input_required" if self._questions else "working", asks=dict(self._questions))

    def _change(self, **members: Any) -> None:
        if self.task.is_over:
            return
        self.task = replace(self.task, updated_at=_now(), **members)
        self._tell(self._owner, self.task)

    def _unused(self, key: str) -> str:
        made, number = key, 1
        while made in self._asked:
            number += 1
            made = f"{key}-{number}"
        self._asked.add(made)
        return made


def _ttl_ms(call: Call, settings: TaskSettings) -> int:
    # A caller of 2025-11-25 may ask for less than is given (tasks.mdx, TTL); `read_body` lets nobody else ask.
    most = round(settings.ttl_s * 1000)
    asked: object = call.params.get("task")
    ttl: object = asked.get("ttl") if is_object(asked) else None
    return min(max(ttl, 0), most) if isinstance(ttl, int) else most


def _unknown() -> Refused:
    return Refused(INVALID_PARAMS, "client: there is no such task; it was never here, or has expired")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
