"""A session with a server of 2025-11-25 that has tasks: what the extension says, put to it in its own words.

The result of a task, fetched there with a request of its own, is in what `tasks/get` answers. A tool that runs as a task
only is waited for where the caller cannot look after one. Such a task cannot ask anything: it runs on a session that
declares no capability. Spec: specification/2025-11-25/basic/utilities/tasks.mdx.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

from msgspec.structs import replace

from ..flow.chain import Emit
from ..protocol.call import JSON, Call
from ..protocol.eras.older_tasks import newer_task, unrelated
from ..protocol.outcome import Complete, Deferred, Failed, Outcome
from ..protocol.tasks import TERMINAL, accepts, whole, without
from ..protocol.versions import Era
from ..transports.link import LinkClosed
from ..wire import json, rpc
from ..wire.codes import DEADLINE_EXCEEDED, INVALID_PARAMS, UPSTREAM_UNAVAILABLE
from .session import Noted, Session, nothing_missed

__all__ = ["TaskSession", "runs_as_task", "with_tasks"]

_NOTHING: dict[str, Any] = {}
_POLL_S, _LEAST_POLL_S, _LONGEST_POLL_S = 1.0, 0.05, 5.0
_LIST_S = _CANCEL_S = 5.0
_MAX_PAGES = 200
_CANNOT_ASK = "upstream: the task waits for input, which cannot be asked for here; it was cancelled"


def with_tasks(session: Session) -> Session:
    """`session`, for calls that speak of tasks as the extension does, whatever the server speaks."""
    welcome = session.welcome
    return TaskSession(session) if welcome.era is Era.HANDSHAKE and "tasks" in welcome.abilities else session


def runs_as_task(session: Session, call: Call) -> bool:
    """Whether `call` is about a task of this very session."""
    return isinstance(session, TaskSession) and session.runs_as_task(call)


class TaskSession:
    """A `Session` around one of the handshake era."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.welcome, self.ended = session.welcome, session.ended
        self.missed: Callable[[], None] = nothing_missed
        session.missed = lambda: self.missed()
        self._levels: dict[str, str] = {}
        """What each tool that was listed says of tasks."""
        self._listed = False

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        match call.method:
            case "tools/call":
                return await self._call_tool(call, emit)
            case "tools/list":
                outcome = await self._session(call, emit)
                if isinstance(outcome, Complete):
                    self._learn(call.params, outcome.result)
                return outcome
            case "tasks/get":
                return await self._get(call, emit)
            case "tasks/cancel":
                return await self._cancel(call, emit)
            case "tasks/update":
                # Nothing was asked, so nothing is answered; but of a task there is none it has to say so.
                got = await self._get(call, emit)
                return Complete(_NOTHING) if isinstance(got, Complete) else got
            case _:
                return await self._session(call, emit)

    def runs_as_task(self, call: Call) -> bool:
        level = self._levels.get(call.name or "") if call.method == "tools/call" else None
        return call.method.startswith("tasks/") or (level is not None and accepts(call.capabilities))

    async def ask(self, method: str, params: JSON, deadline_s: float) -> rpc.Response | rpc.Error:
        answer = await self._session.ask(method, params, deadline_s)
        if method == "tools/list" and isinstance(answer, rpc.Response):
            self._learn(params, answer.result)
        return answer

    async def listen(self, notifications: JSON, hear: Noted) -> rpc.Response | rpc.Error:
        return await self._session.listen(notifications, hear)

    def usable(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self._session.usable(tools)

    async def aclose(self) -> None:
        await self._session.aclose()

    def _learn(self, params: JSON, page: JSON) -> None:
        self._listed = True
        if "cursor" not in params:
            self._levels.clear()
        tools: object = page.get("tools")
        for tool in cast("list[object]", tools) if isinstance(tools, list) else ():
            execution: object = tool.get("execution") if json.is_object(tool) else None
            level: object = execution.get("taskSupport") if json.is_object(execution) else None
            if json.is_object(tool) and level in ("optional", "required"):
                self._levels[str(tool.get("name"))] = str(level)

    # --- calls ---

    async def _call_tool(self, call: Call, emit: Emit) -> Outcome:
        if not self._listed:
            await self._list(call.deadline_s)
        level, defers = self._levels.get(call.name or ""), accepts(call.capabilities)
        plain = _plain(call)
        if level == "required" or (level == "optional" and defers):
            begun = await self._begin(plain, call.params.get("task", _NOTHING), emit)
            return begun if defers or not isinstance(begun, Deferred) else await self._wait(begun, plain, emit)
        return await self._session(plain, emit)

    async def _list(self, deadline_s: float | None) -> None:
        """Ask once what nobody has asked: some servers say in prose alone that a tool runs as a task only."""
        self._listed, params = True, _NOTHING
        at_s = asyncio.get_running_loop().time() + _LIST_S
        at_s = at_s if deadline_s is None else min(at_s, deadline_s)
        for _ in range(_MAX_PAGES):
            try:
                page = await self.ask("tools/list", params, at_s)
            except (LinkClosed, TimeoutError):
                return
            cursor: object = page.result.get("nextCursor") if isinstance(page, rpc.Response) else None
            if not isinstance(cursor, str):
                return
            params = {"cursor": cursor}

    async def _begin(self, call: Call, task: JSON, emit: Emit) -> Outcome:
        outcome = await self._session(replace(call, params={**call.params, "task": task}), emit)
        made: object = outcome.result.get("task") if isinstance(outcome, Complete) else None
        if not json.is_object(made):
            return outcome
        if not isinstance(made.get("taskId"), str):
            return Failed(UPSTREAM_UNAVAILABLE, "upstream: answers with a task that has no id", "yes")
        return Deferred(newer_task(made))

    async def _wait(self, begun: Deferred, call: Call, emit: Emit) -> Outcome:
        """The result of a task, for who can only wait for it. Who does not any more has it cancelled."""
        asking = replace(call, method="tasks/get", params={"taskId": begun.task["taskId"]})
        try:
            async with asyncio.timeout_at(call.deadline_s):
                return await self._settled(asking, begun.task, emit)
        except TimeoutError:
            await self._abandon(asking, emit)
            return Failed(DEADLINE_EXCEEDED, "upstream: the task has no result within the deadline", "unknown")
        except asyncio.CancelledError:
            await self._abandon(asking, emit)
            raise

    async def _settled(self, asking: Call, task: JSON, emit: Emit) -> Outcome:
        while True:
            if task.get("status") not in TERMINAL:
                await asyncio.sleep(_pause_s(task))
            outcome = await self._get(asking, emit)
            if not isinstance(outcome, Complete):
                return outcome
            task = outcome.result
            match task.get("status"):
                case "completed":
                    return Complete(task["result"])
                case "failed":
                    error: JSON = task["error"]
                    return Failed(error["code"], error["message"], "yes", error.get("data"))
                case "cancelled":
                    return Failed(UPSTREAM_UNAVAILABLE, "upstream: has cancelled the task", "yes")
                case _:
                    continue

    async def _abandon(self, asking: Call, emit: Emit) -> None:
        at_s = asyncio.get_running_loop().time() + _CANCEL_S
        await self._session(replace(asking, method="tasks/cancel", deadline_s=at_s), emit)

    # --- tasks ---

    async def _get(self, call: Call, emit: Emit) -> Outcome:
        plain = replace(_plain(call), method="tasks/get", answers=_NOTHING)
        outcome = await self._session(plain, emit)
        if not isinstance(outcome, Complete):
            return outcome
        task = newer_task(outcome.result)
        match task.get("status"):
            case "completed" | "failed":
                # There a tool that reports an error has failed, and its result says so.
                return await self._inlined(task, plain, emit)
            case "input_required":
                await self._abandon(plain, emit)
                return Complete({**task, "status": "failed", "error": _error(UPSTREAM_UNAVAILABLE, _CANNOT_ASK)})
            case _:
                return Complete(task)

    async def _inlined(self, task: JSON, call: Call, emit: Emit) -> Outcome:
        outcome = await self._session(replace(call, method="tasks/result"), emit)
        match outcome:
            case Complete(result):
                return Complete({**task, "status": "completed", "result": whole(unrelated(result))})
            case Failed(code, message, "yes", data):
                return Complete({**task, "status": "failed", "error": _error(code, message, data)})
            case _:
                return outcome

    async def _cancel(self, call: Call, emit: Emit) -> Outcome:
        plain = _plain(call)
        outcome = await self._session(plain, emit)
        if isinstance(outcome, Failed) and outcome.code == INVALID_PARAMS:
            # It says so of one that is over, too, where the extension makes nothing of that.
            outcome = await self._session(replace(plain, method="tasks/get"), emit)
        return Complete(_NOTHING) if isinstance(outcome, Complete) else outcome


def _plain(call: Call) -> Call:
    """`call` without what is said of tasks."""
    params: Mapping[str, Any] = call.params
    if "task" in params:
        params = {name: value for name, value in params.items() if name != "task"}
    return replace(call, params=params, capabilities=without(call.capabilities))


def _pause_s(task: JSON) -> float:
    said: object = task.get("pollIntervalMs")
    return min(max(said / 1000, _LEAST_POLL_S), _LONGEST_POLL_S) if isinstance(said, int) else _POLL_S


def _error(code: int, message: str, data: Any = None) -> dict[str, Any]:
    return {"code": code, "message": message} | ({} if data is None else {"data": data})
