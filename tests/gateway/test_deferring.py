"""Tasks of upstreams under ids of the gateway: how many there are, how long, and what an upstream may not say."""

import asyncio
from typing import Any

import pytest
from peers import ANNA, BOUND_S, Json, call

from douane.flow.chain import Emit, Trail
from douane.gateway.deferring import Deferring
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Complete, Deferred, Failed, Outcome, Refused
from douane.protocol.tasks import read_task, undeclared
from douane.registry.handles import Handles

DECLARED: Json = {"extensions": {"io.modelcontextprotocol/tasks": {}, "com.example/other": {}}}
TASK: Json = {"taskId": "own", "status": "working", "createdAt": "a", "lastUpdatedAt": "a", "ttlMs": 60_000}


class Work:
    """An upstream, the table before it, and a clock that stands still."""

    def __init__(self, **bounds: int) -> None:
        self.now_s = 0.0
        self.handles = Handles(lambda: self.now_s, **bounds)
        self.asked: list[Call] = []
        self.task = dict(TASK)
        self.outcome: Outcome | None = None
        self.deferring = Deferring({"work": self.upstream}, self.handles)

    async def upstream(self, call: Call, emit: Emit) -> Outcome:
        self.asked.append(call)
        if self.outcome is not None:
            return self.outcome
        if call.method != "tools/call":
            return Complete(self.task if call.method == "tasks/get" else {})
        extensions = call.capabilities.get("extensions", {})
        return Deferred(self.task) if "io.modelcontextprotocol/tasks" in extensions else undeclared("it")

    async def ask(self, method: str = "tools/call", params: Json | None = None, **members: Any) -> Outcome:
        asked = call(method=method, params=params, upstream="work", capabilities=DECLARED, **members)
        return await asyncio.wait_for(self.deferring(asked, Emit(lambda event: None, Trail(asked))), BOUND_S)

    async def begin(self) -> str:
        outcome = await self.ask()
        assert isinstance(outcome, Deferred)
        return outcome.task["taskId"]


async def test_an_id_is_ours_on_one_side_and_the_upstreams_on_the_other() -> None:
    work = Work()
    id_ = await work.begin()
    assert id_ != "own"
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        outcome = await work.ask(method, {"taskId": id_, "arguments": {"a": 1}}, answers={"k": {}})
        assert isinstance(outcome, Complete)
        assert outcome.result.get("taskId", id_) == id_
        assert (work.asked[-1].params, work.asked[-1].answers) == ({"taskId": "own"}, {"k": {}})


async def test_a_caller_whose_share_is_used_up_is_served_as_one_that_knows_no_tasks() -> None:
    work = Work(max_per_principal=1)
    await work.begin()
    refused = await work.ask()
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("gateway: as many of your tasks are kept as may be")
    assert work.asked[-1].capabilities == {"extensions": {"com.example/other": {}}}
    work.outcome = Complete({"content": []})
    assert await work.ask() == Complete({"content": []})
    work.outcome = None
    # One that has expired makes room.
    work.now_s = 61.0
    await work.begin()
    assert len(work.handles) == 1


@pytest.mark.parametrize("bound", ["max_bytes", "max_bytes_per_principal"])
async def test_the_arguments_that_tasks_are_judged_by_have_a_share_of_bytes(bound: str) -> None:
    work = Work(**{bound: 1000})
    large: Json = {"name": "echo", "arguments": {"text": "x" * 1000}}
    assert isinstance(await work.ask(params=large), Deferred)
    assert isinstance(await work.ask(params=large), Refused)
    work.now_s = 61.0
    assert isinstance(await work.ask(params=large), Deferred)


async def test_a_task_is_kept_as_long_as_its_upstream_says() -> None:
    work = Work()
    id_ = await work.begin()
    work.now_s, work.task["ttlMs"] = 59.0, 120_000
    assert isinstance(await work.ask("tasks/get", {"taskId": id_}), Complete)
    work.now_s = 61.0
    assert isinstance(await work.ask("tasks/get", {"taskId": id_}), Complete)
    work.now_s = 59.0 + 120.0 + 120.0
    refused = await work.ask("tasks/get", {"taskId": id_})
    assert isinstance(refused, Refused)
    assert (refused.code, len(work.handles)) == (-32602, 0)


async def test_a_task_that_is_none_and_a_question_that_may_not_be_asked_are_the_upstreams_fault() -> None:
    work = Work()
    id_ = await work.begin()
    ask = {"q": {"method": "sampling/createMessage", "params": {}}}
    work.task |= {"status": "input_required", "inputRequests": ask}
    outcome = await work.ask("tasks/get", {"taskId": id_})
    assert outcome == Failed(1502, "upstream: its task asks for what the client has not declared (sampling)", "yes")
    work.task["status"] = "dancing"
    for outcome in (await work.ask("tasks/get", {"taskId": id_}), await work.ask()):
        assert isinstance(outcome, Failed)
        assert outcome.message.startswith("upstream: answers with a task that is none: Invalid enum value 'dancing'")


def test_a_handle_is_there_for_its_owner_alone() -> None:
    handles = Handles(lambda: 0.0)
    from_anna = handles.give(call(upstream="work"), read_task(TASK))
    assert handles.find(ANNA, from_anna.id) == from_anna
    for stranger in (Principal("bert"), Principal("anna", client="other"), Principal("anna", tenant="other")):
        assert handles.find(stranger, from_anna.id) is None
    handles.forget(from_anna)
    assert handles.find(ANNA, from_anna.id) is None
