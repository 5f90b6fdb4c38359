"""What a session makes of a server of 2025-11-25 that has tasks, when that says what it should not, or nothing."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from peers import BOUND_S, Asked, Json, Server, answers, call, errors, silence, tool

from douane.flow.chain import Emit, Trail
from douane.protocol.outcome import Complete, Deferred, Failed, Outcome
from douane.sdk.connect import open_line
from douane.sdk.session import Session
from douane.sdk.task_session import TaskSession, with_tasks

DECLARED: Json = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
OFFERED: Json = {"tasks": {"cancel": {}, "requests": {"tools": {"call": {}}}}}
WORKING: Json = {
    "taskId": "t",
    "status": "working",
    "createdAt": "a",
    "lastUpdatedAt": "a",
    "ttl": 5,
    "pollInterval": 1,
}
LEVELS = ("required", "optional", "forbidden")


def server() -> Server:
    tools = [tool(level, execution={"taskSupport": level}) for level in LEVELS]
    made = Server("handshake", [*tools, tool("silent")])
    made.capabilities = {**made.capabilities, **OFFERED}
    made.on["tools/call"] = begins
    made.on["tasks/get"] = answers(WORKING)
    return made


def begins(asked: Asked) -> None:
    text = [{"type": "text", "text": "now"}]
    asked.answer({"task": WORKING} if "task" in asked.params else {"content": text})


@asynccontextmanager
async def session_with(server: Server) -> AsyncGenerator[Session]:
    async with server:
        session = with_tasks(await open_line(server.open, client={"name": "t"}, noted=lambda method, params: None))
        try:
            yield session
        finally:
            await session.aclose()


async def said(
    session: Session, method: str, capabilities: Json = DECLARED, *, within_s: float = BOUND_S, **params: Any
) -> Outcome:
    asked = call(
        method=method,
        params=params,
        name=params.get("name"),
        capabilities=capabilities,
        deadline_s=asyncio.get_running_loop().time() + within_s,
    )
    return await asyncio.wait_for(session(asked, Emit(lambda event: None, Trail(asked))), BOUND_S)


async def test_a_server_without_tasks_is_left_as_it_is() -> None:
    bare = server()
    bare.capabilities = {"tools": {}}
    async with session_with(bare) as session:
        assert not isinstance(session, TaskSession)


@pytest.mark.parametrize(
    ("name", "begun"), [("required", True), ("optional", True), ("forbidden", False), ("silent", False)]
)
async def test_a_tool_runs_as_a_task_where_it_may_and_its_caller_can_look_after_one(name: str, begun: bool) -> None:
    scripted = server()
    async with session_with(scripted) as session:
        outcome = await said(session, "tools/call", name=name)
        assert isinstance(outcome, Deferred) is begun
        # Nobody had listed them: it asked once, before the first call.
        await said(session, "tools/call", name=name)
        assert scripted.methods().count("tools/list") == 1
        if isinstance(outcome, Deferred):
            assert (outcome.task["ttlMs"], outcome.task["pollIntervalMs"], "ttl" in outcome.task) == (5, 1, False)
        assert isinstance(await said(session, "tools/call", {}, name="optional"), Complete)


async def test_a_required_tool_is_waited_for_where_its_caller_can_do_nothing_else() -> None:
    scripted = server()
    async with session_with(scripted) as session:
        scripted.on["tasks/get"] = answers({**WORKING, "status": "completed"})
        scripted.on["tasks/result"] = answers(
            {"content": [], "_meta": {"io.modelcontextprotocol/related-task": {"taskId": "t"}}}
        )
        assert await said(session, "tools/call", {}, name="required") == Complete(
            {"resultType": "complete", "content": []}
        )
        scripted.on["tasks/result"] = errors(-32603, "broken", {"d": 1})
        assert await said(session, "tools/call", {}, name="required") == Failed(-32603, "broken", "yes", {"d": 1})
        scripted.on["tasks/get"] = answers({**WORKING, "status": "cancelled"})
        assert await said(session, "tools/call", {}, name="required") == Failed(
            1502, "upstream: has cancelled the task", "yes"
        )


@pytest.mark.parametrize("how", ["too late", "cancelled"])
async def test_who_does_not_wait_any_more_has_the_task_cancelled(how: str) -> None:
    scripted = server()
    scripted.on["tasks/cancel"] = answers({**WORKING, "status": "cancelled"})
    async with session_with(scripted) as session:
        waiting = asyncio.create_task(said(session, "tools/call", {}, name="required", within_s=0.2))
        await scripted.until("tasks/get")
        if how == "cancelled":
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        else:
            outcome = await waiting
            assert isinstance(outcome, Failed)
            assert outcome.code == 1504
        assert (await scripted.until("tasks/cancel")).params == {"taskId": "t"}


async def test_a_result_that_says_it_is_an_error_has_completed_and_an_error_has_failed() -> None:
    scripted = server()
    scripted.on["tasks/get"] = answers({**WORKING, "status": "failed"})
    async with session_with(scripted) as session:
        scripted.on["tasks/result"] = answers({"content": [], "isError": True})
        got = await said(session, "tasks/get", taskId="t")
        assert isinstance(got, Complete)
        assert (got.result["status"], got.result["result"]["isError"]) == ("completed", True)
        scripted.on["tasks/result"] = errors(-32000, "no")
        got = await said(session, "tasks/get", taskId="t")
        assert isinstance(got, Complete)
        assert (got.result["status"], got.result["error"]) == ("failed", {"code": -32000, "message": "no"})


async def test_a_task_that_waits_for_input_nobody_can_be_asked_for_is_ended() -> None:
    scripted = server()
    scripted.on["tasks/get"] = answers({**WORKING, "status": "input_required"})
    scripted.on["tasks/cancel"] = answers({**WORKING, "status": "cancelled"})
    async with session_with(scripted) as session:
        got = await said(session, "tasks/get", taskId="t")
        assert isinstance(got, Complete)
        assert (got.result["status"], got.result["error"]["code"]) == ("failed", 1502)
        assert "cannot be asked for" in got.result["error"]["message"]
        await scripted.until("tasks/cancel")


async def test_a_task_that_is_over_may_be_cancelled_and_one_that_is_none_may_not() -> None:
    scripted = server()
    scripted.on["tasks/cancel"] = errors(-32602, "it is over")
    async with session_with(scripted) as session:
        assert await said(session, "tasks/cancel", taskId="t") == Complete({})
        assert await said(session, "tasks/update", taskId="t") == Complete({})
        scripted.on["tasks/get"] = errors(-32602, "no such task")
        for method in ("tasks/cancel", "tasks/update", "tasks/get"):
            outcome = await said(session, method, taskId="t")
            assert isinstance(outcome, Failed)
            assert (outcome.code, outcome.message) == (-32602, "no such task")


async def test_a_task_without_an_id_is_no_task() -> None:
    scripted = server()
    scripted.on["tools/call"] = answers({"task": {"status": "working"}})
    async with session_with(scripted) as session:
        outcome = await said(session, "tools/call", name="optional")
        assert outcome == Failed(1502, "upstream: answers with a task that has no id", "yes")


async def test_a_list_that_does_not_come_holds_up_one_call_and_that_not_for_ever() -> None:
    scripted = server()
    scripted.on["tools/list"] = silence
    async with session_with(scripted) as session:
        for _ in range(2):
            assert isinstance(await said(session, "tools/call", name="optional", within_s=0.2), Complete)
    assert scripted.methods().count("tools/list") == 1


async def test_what_belongs_to_no_call_is_heard_as_without_tasks() -> None:
    scripted = server()
    missed: list[str] = []
    async with scripted:
        inner = await open_line(scripted.open, client={"name": "t"}, noted=lambda method, params: None)
        session = with_tasks(inner)
        session.missed = lambda: missed.append("something")
        inner.missed()
        await session.aclose()
    assert missed == ["something"]
