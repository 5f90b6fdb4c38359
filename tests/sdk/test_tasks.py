"""Tools that run as tasks, as a client that can look after them meets them on a line.

Spec: modelcontextprotocol/ext-tasks specification/draft/tasks.md.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from peers import ANNA, BOUND_S, Json

from douane.flow.chain import Emit, Trail
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Complete, Deferred, InputRequired, Outcome, Refused
from douane.sdk import Context, ProtocolError, Server, TaskSettings, ToolError
from douane.sdk.tasks import Tasks
from sdk.raw_line import DECLARED, TASKS, Refusal, line_to


class Works:
    """A server whose long tool goes on when it is let."""

    def __init__(self, **settings: Any) -> None:
        self.server = Server("works", tasks=TaskSettings(**settings))
        self.started, self.go_on, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @self.server.tool(task="optional")
        async def build(context: Context, what: str = "house") -> str:
            self.started.set()
            try:
                context.progress(1, 2, f"the {what} has walls")
                await self.go_on.wait()
            finally:
                self.ended.set()
            return f"one {what}"

        @self.server.tool(task="required")
        async def launder() -> str:
            raise ToolError("the machine is broken")

        @self.server.tool(task="optional")
        async def sue() -> str:
            raise ProtocolError(-32050, "no court today", {"next": "Monday"})

        @self.server.tool()
        async def greet(name: str) -> str:
            return f"Hello, {name}!"


@pytest.fixture
def works() -> Works:
    return Works()


async def test_a_tool_that_may_run_as_a_task_is_answered_with_its_handle_and_goes_on(works: Works) -> None:
    async with line_to(works.server) as line:
        made = await line.call("build")
        assert set(made) == {
            *("resultType", "taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs"),
        }
        assert (made["resultType"], made["status"], made["ttlMs"], made["pollIntervalMs"]) == (
            *("task", "working"),
            *(3_600_000, 1_000),
        )
        await asyncio.wait_for(works.started.wait(), BOUND_S)
        working = await line.ask("tasks/get", {"taskId": made["taskId"]})
        assert (working["resultType"], working["status"]) == ("complete", "working")
        assert working["statusMessage"] == "the house has walls"
        assert working.keys().isdisjoint({"result", "error", "inputRequests", "requestState"})
        works.go_on.set()
        done = await line.until(made["taskId"], "completed")
        assert done["result"]["content"] == [{"type": "text", "text": "one house"}]
        assert done["createdAt"] == made["createdAt"] <= done["lastUpdatedAt"]


async def test_who_does_not_declare_the_extension_waits_for_the_answer_as_ever(works: Works) -> None:
    works.go_on.set()
    async with line_to(works.server) as line:
        answered = await line.call("build", {"what": "boat"}, capabilities={})
        assert (answered["resultType"], answered["content"][0]["text"]) == ("complete", "one boat")


async def test_a_tool_that_runs_as_a_task_only_says_what_its_caller_has_to_declare(works: Works) -> None:
    async with line_to(works.server) as line:
        with pytest.raises(Refusal, match="'launder' runs as a task only; declare") as told:
            await line.call("launder", capabilities={"elicitation": {}})
        assert (told.value.code, told.value.data) == (-32021, {"requiredCapabilities": DECLARED})


async def test_other_tools_are_no_tasks_whatever_the_caller_hints(works: Works) -> None:
    async with line_to(works.server) as line:
        answered = await line.call("greet", {"name": "Ann"}, task={"ttl": 60_000})
        assert (answered["resultType"], answered["content"][0]["text"]) == ("complete", "Hello, Ann!")


async def test_a_tool_that_fails_has_completed_and_an_error_of_the_protocol_has_failed(works: Works) -> None:
    async with line_to(works.server) as line:
        broken = await line.until((await line.call("launder"))["taskId"], "completed")
        assert broken["result"] == {"content": [{"type": "text", "text": "the machine is broken"}], "isError": True}
        failed = await line.until((await line.call("sue"))["taskId"], "failed")
        assert failed["error"] == {"code": -32050, "message": "no court today", "data": {"next": "Monday"}}
        assert (failed["statusMessage"], "result" in failed) == ("no court today", False)


async def test_a_cancelled_task_is_interrupted_and_stays_cancelled(works: Works) -> None:
    async with line_to(works.server) as line:
        id_ = (await line.call("build"))["taskId"]
        await asyncio.wait_for(works.started.wait(), BOUND_S)
        assert await line.ask("tasks/cancel", {"taskId": id_}) == {"resultType": "complete"}
        assert (await line.ask("tasks/get", {"taskId": id_}))["status"] == "cancelled"
        await asyncio.wait_for(works.ended.wait(), BOUND_S)
        assert (await line.ask("tasks/get", {"taskId": id_}))["status"] == "cancelled"
        # Whoever cancels once more, or too late, has not made a mistake.
        assert await line.ask("tasks/cancel", {"taskId": id_}) == {"resultType": "complete"}


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_what_is_asked_of_no_task_is_refused_and_first_of_all_who_did_not_declare(
    works: Works, method: str
) -> None:
    async with line_to(works.server) as line:
        id_ = (await line.call("build"))["taskId"]
        with pytest.raises(Refusal, match="there is no such task") as told:
            await line.ask(method, {"taskId": "not-one"})
        assert told.value.code == -32602
        with pytest.raises(Refusal) as told:
            await line.ask(method, {"taskId": id_}, capabilities={})
        assert (told.value.code, told.value.data) == (-32021, {"requiredCapabilities": DECLARED})


@pytest.mark.parametrize("method", ["tasks/result", "tasks/list"])
async def test_what_the_experiment_had_and_the_extension_has_not_is_unknown(works: Works, method: str) -> None:
    async with line_to(works.server) as line:
        with pytest.raises(Refusal) as told:
            await line.ask(method, {"taskId": "any"})
        assert told.value.code == -32601


async def test_a_server_says_that_it_has_tasks_exactly_when_it_has(works: Works) -> None:
    async with line_to(works.server) as line:
        assert (await line.ask("server/discover"))["capabilities"]["extensions"] == {TASKS: {}}
    bare = Server("bare")
    async with line_to(bare) as line:
        assert "extensions" not in (await line.ask("server/discover"))["capabilities"]
        with pytest.raises(Refusal) as told:
            await line.ask("tasks/get", {"taskId": "any"})
        assert told.value.code == -32601
    works.server.remove("tools", "build")
    async with line_to(works.server) as line:
        with pytest.raises(Refusal, match="there is no tool 'build'"):
            await line.call("build")


async def test_when_there_is_no_room_for_a_task_the_tool_runs_as_if_there_were_none() -> None:
    works = Works(max_per_principal=1)
    async with line_to(works.server) as line:
        await line.call("build")
        await asyncio.wait_for(works.started.wait(), BOUND_S)
        with pytest.raises(Refusal, match="1 of your tasks are kept; more when the first of them expires"):
            await line.call("launder")
        works.go_on.set()
        assert (await line.call("build"))["resultType"] == "complete"


async def test_a_task_past_its_time_is_ended_and_gone() -> None:
    works = Works(ttl_s=0.05)
    async with line_to(works.server) as line:
        id_ = (await line.call("build"))["taskId"]
        await asyncio.wait_for(works.ended.wait(), BOUND_S)
        with pytest.raises(Refusal, match="there is no such task; it was never here, or has expired"):
            await line.until(id_, "gone")


async def test_a_server_that_closes_ends_its_tasks(works: Works) -> None:
    async with line_to(works.server) as line:
        await line.call("build")
        await asyncio.wait_for(works.started.wait(), BOUND_S)
    assert works.ended.is_set()


async def test_a_line_that_ends_leaves_its_task_to_the_next(works: Works) -> None:
    async with works.server.ready():
        async with line_to(works.server) as line:
            id_ = (await line.call("build"))["taskId"]
        works.go_on.set()
        async with line_to(works.server) as line:
            assert (await line.until(id_, "completed"))["result"]["content"][0]["text"] == "one house"


# --- questions: of whatever handler is behind, as every door knows them ---------------------------------------------


class Asking:
    """A handler that asks twice, two questions at first, and tells what it was answered."""

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        name = {"method": "elicitation/create", "params": {"message": "Your name?"}}
        match call.state:
            case None:
                return InputRequired({"name": name, "age": name}, "second")
            case "second":
                self.first = call.answers
                return InputRequired({"name": name}, "last")
            case _:
                return Complete({"content": [], "structuredContent": {**self.first, "again": call.answers["name"]}})


async def asked(tasks: Tasks, method: str, who: Principal = ANNA, answers: Mapping[str, Any] | None = None) -> Outcome:
    name, _, id_ = method.partition(" ")
    params: Json = {"taskId": id_} if id_ else {"name": "ask"}
    target = id_ or "ask"
    call = Call(
        id="c", root="c", method=name, params=params, principal=who, target=target, capabilities=DECLARED,
        answers=answers or {},
    )  # fmt: skip
    return await tasks(call, Emit(lambda event: None, Trail(call)))


async def until(tasks: Tasks, id_: str, *keys: str) -> Json:
    """The task, once it is over or asks for exactly these."""
    async with asyncio.timeout(BOUND_S):
        while True:
            said = await asked(tasks, f"tasks/get {id_}")
            assert isinstance(said, Complete)
            if tuple(said.result.get("inputRequests", ())) == keys and (keys or said.result["status"] != "working"):
                return dict(said.result)
            await asyncio.sleep(0)


async def test_what_a_task_asks_is_answered_in_any_order_each_key_once_and_only_by_its_owner() -> None:
    tasks = Tasks(Asking(), {"ask": "optional"}, TaskSettings())
    made = await asked(tasks, "tools/call")
    assert isinstance(made, Deferred)
    id_ = made.task["taskId"]
    waiting = await until(tasks, id_, "name", "age")
    assert (waiting["status"], waiting["inputRequests"]["age"]["method"]) == ("input_required", "elicitation/create")

    for stranger in (Principal("bert"), Principal("anna", client="other")):
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            refused = await asked(tasks, f"{method} {id_}", stranger, {"name": "mine"})
            assert isinstance(refused, Refused)
            assert refused.code == -32602
    assert await asked(tasks, f"tasks/update {id_}", answers={"unknown": 1}) == Complete({})
    assert await asked(tasks, f"tasks/update {id_}", answers={"age": 7}) == Complete({})
    assert (await until(tasks, id_, "name"))["status"] == "input_required"
    await asked(tasks, f"tasks/update {id_}", answers={"age": 8, "name": "Ann"})
    # Asked anew, under a key of its own: an answer that comes twice is not taken for the other question's.
    await until(tasks, id_, "name-2")
    await asked(tasks, f"tasks/update {id_}", answers={"name": "late"})
    await asked(tasks, f"tasks/update {id_}", answers={"name-2": "Bea"})
    done = await until(tasks, id_)
    assert done["result"]["structuredContent"] == {"name": "Ann", "age": 7, "again": "Bea"}
    await tasks.aclose()


async def test_a_task_that_waits_for_an_answer_can_be_cancelled() -> None:
    tasks = Tasks(Asking(), {"ask": "optional"}, TaskSettings())
    changes: list[str] = []
    tasks.on_change.append(lambda owner, task: changes.append(task.status))
    made = await asked(tasks, "tools/call")
    assert isinstance(made, Deferred)
    await until(tasks, made.task["taskId"], "name", "age")
    await asked(tasks, f"tasks/cancel {made.task['taskId']}")
    assert (await until(tasks, made.task["taskId"]))["status"] == "cancelled"
    assert (changes[0], changes[-1]) == ("input_required", "cancelled")
    await tasks.aclose()
