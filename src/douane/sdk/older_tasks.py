"""The experimental tasks of 2025-11-25, served to clients of that revision by what knows the extension alone.

There the client decides, by a member of its call; a result is fetched with a request that waits, and what the task asks
is asked meanwhile. Spec: specification/2025-11-25/basic/utilities/tasks.mdx.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from msgspec.structs import replace

from ..flow.chain import Emit, Handler, Trail
from ..protocol.call import JSON, Call
from ..protocol.eras.older_tasks import older_task, related
from ..protocol.outcome import Complete, Deferred, Failed, InputRequired, Outcome, Refused
from ..protocol.tasks import OFFERED, Task, now, read_task
from ..wire import json
from ..wire.codes import CANCELLED, INVALID_PARAMS, METHOD_NOT_FOUND, UPSTREAM_UNAVAILABLE
from .task_store import MemoryTasks, TasksFull

__all__ = ["OlderTasks", "speaks_of_tasks"]

_METHODS = frozenset({"tasks/get", "tasks/result", "tasks/cancel", "tasks/list"})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
_DONE_TTL_MS, _DONE_POLL_MS = 300_000, 100
"""Of a task that was over before it began."""
_MAX_DONE, _MAX_DONE_PER_PRINCIPAL = 1_000, 64
_BY_TASKS = "tasks:"
"""Before the state of a `tasks/result` that asks: then the keys that were answered."""


class Runs(Protocol):
    """What has to be known of what serves the calls."""

    @property
    def capabilities(self) -> frozenset[str]: ...

    def task_level(self, tool: str) -> str | None:
        """`optional` or `required` for a tool that runs as a task."""
        ...


def speaks_of_tasks(call: Call) -> bool:
    return call.method in _METHODS or "task" in call.params


class OlderTasks:
    """A `Handler` for the calls of which `speaks_of_tasks` is true, from callers of one revision at a time."""

    def __init__(self, onward: Callable[[], Handler], runs: Runs, layer: str, new_id: Callable[[], str]) -> None:
        """`layer`: who is at fault when there is no room."""
        self._onward, self._runs, self._layer, self._new_id = onward, runs, layer, new_id
        self._done = MemoryTasks(max_tasks=_MAX_DONE, max_per_principal=_MAX_DONE_PER_PRINCIPAL)

    def __call__(self, call: Call, emit: Emit) -> Awaitable[Outcome]:
        call = replace(call, capabilities={**call.capabilities, **OFFERED})
        match call.method:
            case "tools/call":
                return self._call_tool(call, emit)
            case "tasks/result":
                return self._result(call, emit)
            case "tasks/cancel":
                return self._cancel(call, emit)
            case "tasks/list":
                return self._list(call, emit)
            case _:
                return self._get(call, emit)

    def ignoring(self, call: Call, emit: Emit) -> Awaitable[Outcome]:
        """`call` where there are no tasks: what is said of them is passed over (tasks.mdx, task support and handling)."""
        if call.method in _METHODS:
            return _answered(Refused(METHOD_NOT_FOUND, f"client: unknown method {call.method!r}"))
        params = {name: value for name, value in call.params.items() if name != "task"}
        return self._onward()(replace(call, params=params), emit)

    async def _call_tool(self, call: Call, emit: Emit) -> Outcome:
        asked: object = call.params["task"]
        if not json.is_object(asked) or not isinstance(asked.get("ttl", 0), int):
            return Refused(INVALID_PARAMS, "client: params.task must be an object, its ttl an integer of milliseconds")
        if self._runs.task_level(call.target or "") is None:
            return Refused(METHOD_NOT_FOUND, f"client: the tool {(call.target or '')[:80]!r} does not run as a task")
        outcome = await self._onward()(call, emit)
        return await self._kept(call, outcome.result) if isinstance(outcome, Complete) else outcome

    async def _kept(self, call: Call, result: JSON) -> Outcome:
        """A task that has ended: who asks for one gets one, also of a tool that has just answered."""
        at = now()
        task = Task(
            id=secrets.token_urlsafe(32),
            status="completed",
            created_at=at,
            updated_at=at,
            ttl_ms=_DONE_TTL_MS,
            poll_ms=_DONE_POLL_MS,
            result=result,
        )
        try:
            await self._done.add(call.principal, task)
        except TasksFull as exc:
            return Failed(
                UPSTREAM_UNAVAILABLE, f"{self._layer}: the tool has run, but {exc}; call it without a task", "yes"
            )
        return Deferred(task.handle())

    async def _get(self, call: Call, emit: Emit) -> Outcome:
        task = await self._look(call, emit)
        return Complete(older_task(task.handle())) if isinstance(task, Task) else task

    async def _cancel(self, call: Call, emit: Emit) -> Outcome:
        task = await self._look(call, emit)
        if not isinstance(task, Task):
            return task
        if task.is_over:
            return Refused(INVALID_PARAMS, f"client: the task is {task.status} already")
        outcome = await self._say("tasks/cancel", call, emit)
        return await self._get(call, emit) if isinstance(outcome, Complete) else outcome

    async def _list(self, call: Call, emit: Emit) -> Outcome:
        outcome = await self._onward()(call, emit)
        if not isinstance(outcome, Complete):
            return outcome
        done = [older_task(task.handle()) for task in await self._done.all_of(call.principal)]
        return Complete({"tasks": [*map(older_task, _objects(outcome.result.get("tasks"))), *done]})

    async def _result(self, call: Call, emit: Emit) -> Outcome:
        """What the call comes to, as soon as it does; InputRequired when somebody has to be asked for that."""
        replied = _replied(call)
        if call.answers:
            outcome = await self._say("tasks/update", call, emit)
            if not isinstance(outcome, Complete):
                return outcome
        pause_s = _FIRST_PAUSE_S
        while True:
            task = await self._look(call, emit)
            if not isinstance(task, Task):
                return task
            if task.is_over:
                return _end(task)
            asks = {key: related(question, task.id) for key, question in task.asks.items() if key not in replied}
            if asks:
                return InputRequired(asks, _BY_TASKS + json.encode([*replied, *asks]).decode())
            await asyncio.sleep(pause_s)
            asked_s = _LONGEST_PAUSE_S if task.poll_ms is None else task.poll_ms / 1000
            pause_s = min(pause_s * 2, max(asked_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)

    async def _look(self, call: Call, emit: Emit) -> Task | Outcome:
        """How the task stands, or why that cannot be said."""
        done = await self._done.find(call.principal, call.params["taskId"])
        if done is not None:
            return done
        outcome = await self._say("tasks/get", call, emit)
        if not isinstance(outcome, Complete):
            return outcome
        try:
            return read_task(outcome.result)
        except ValueError as exc:
            return Failed(UPSTREAM_UNAVAILABLE, f"upstream: answers with {exc}", "yes")

    async def _say(self, method: str, call: Call, emit: Emit) -> Outcome:
        """One request of the extension: a call of its own."""
        said = replace(call, id=self._new_id(), method=method, state=None)
        return await self._onward()(said, Emit(emit.deliver, Trail(said)))


async def _answered(outcome: Outcome) -> Outcome:
    return outcome


def _replied(call: Call) -> Sequence[str]:
    state = call.state or ""
    return json.decode(state.removeprefix(_BY_TASKS).encode()) if state.startswith(_BY_TASKS) else ()


def _end(task: Task) -> Outcome:
    if task.status == "completed" and task.result is not None:
        return Complete(related({"params": task.result}, task.id)["params"])
    if task.status == "cancelled":
        return Failed(CANCELLED, "client: the task was cancelled", "yes")
    error: JSON = task.error or {}
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, int) or not isinstance(message, str):
        return Failed(UPSTREAM_UNAVAILABLE, "upstream: the task has ended without a result or an error", "yes")
    return Failed(code, message, "yes", error.get("data"))


def _objects(value: Any) -> Sequence[JSON]:
    return [one for one in value if json.is_object(one)] if isinstance(value, list) else []
