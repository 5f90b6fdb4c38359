"""Calls that an upstream answers with a task: the task under an id of ours, and what is asked of it later.

RESOLVE has found the upstream of what is asked of a task, POLICY has judged it as the call it came of; here the id
becomes the upstream's own, and on the way back ours again.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from ..flow.chain import Emit, Handler
from ..protocol.call import Call
from ..protocol.outcome import Complete, Deferred, Failed, Outcome, Refused
from ..protocol.questions import said_missing, undeclared
from ..protocol.tasks import accepts, needs_task, read_task, without
from ..registry.handles import Handle, Handles
from ..wire.codes import INVALID_PARAMS, UPSTREAM_UNAVAILABLE
from .carried import Uncarried

__all__ = ["Deferring"]

_FULL = "gateway: as many of your tasks are kept as may be; more when the first of them expires"


class Deferring:
    """A `Handler` for calls of callers that declare the extension, or another."""

    def __init__(self, upstreams: Mapping[str, Handler], handles: Handles) -> None:
        self._upstreams, self._handles = upstreams, handles
        self._uncarried = Uncarried()

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        self._uncarried.look(call.capabilities)
        onward = self._upstreams[call.upstream or ""]
        if call.method.startswith("tasks/"):
            return await self._of_task(call, emit, onward)
        if call.method != "tools/call" or not accepts(call.capabilities):
            return await onward(call, emit)
        if not self._handles.has_room(call.principal):
            outcome = await onward(replace(call, capabilities=without(call.capabilities)), emit)
            return Refused(UPSTREAM_UNAVAILABLE, _FULL) if needs_task(outcome) else outcome
        outcome = await onward(call, emit)
        return self._given(call, outcome) if isinstance(outcome, Deferred) else outcome

    def _given(self, call: Call, outcome: Deferred) -> Outcome:
        try:
            task = read_task(outcome.task)
        except ValueError as exc:
            return Failed(UPSTREAM_UNAVAILABLE, f"upstream: answers with {exc}", "yes")
        return Deferred({**outcome.task, "taskId": self._handles.give(call, task).id})

    async def _of_task(self, call: Call, emit: Emit, onward: Handler) -> Outcome:
        handle = self._handles.find(call.principal, call.params["taskId"])
        if handle is None:
            # It has expired since RESOLVE found it.
            return Refused(INVALID_PARAMS, "client: there is no such task; it has expired")
        params = {name: value for name, value in call.params.items() if name != "arguments"}
        outcome = await onward(replace(call, params={**params, "taskId": handle.own}), emit)
        if isinstance(outcome, Failed) and outcome.code == INVALID_PARAMS and call.method == "tasks/get":
            self._handles.forget(handle)
        if isinstance(outcome, Complete) and call.method == "tasks/get":
            return self._stands(call, handle, outcome)
        return outcome

    def _stands(self, call: Call, handle: Handle, outcome: Complete) -> Outcome:
        try:
            task = read_task(outcome.result)
        except ValueError as exc:
            return Failed(UPSTREAM_UNAVAILABLE, f"upstream: answers with {exc}", "yes")
        missing = undeclared(task.asks.values(), call.capabilities)
        if missing is not None:
            said = f"upstream: its task asks for what the client has not declared ({said_missing(missing)})"
            return Failed(UPSTREAM_UNAVAILABLE, said, "yes")
        self._handles.keep(handle, task)
        return Complete({**outcome.result, "taskId": handle.id})
