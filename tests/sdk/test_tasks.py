"""Tools that run as tasks, as a client that can look after them meets them on a line.

Spec: modelcontextprotocol/ext-tasks specification/draft/tasks.md.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from peers import ANNA, BOUND_S, Json

from douane.flow.chain import Emit, Trail
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Complete, Deferred, Outcome, Refused
from douane.sdk import (
    Ask,
    Context,
    DefinitionError,
    Elicit,
    ProtocolError,
    Server,
    TaskSettings,
    ToolError,
)
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
        said = [{"type": "text", "text": "the machine is broken"}]
        assert broken["result"] == {"resultType": "complete", "content": said, "isError": True}
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


# --- questions -------------------------------------------------------------------------------------------------------

ASKABLE = {**DECLARED, "elicitation": {}}


@dataclass
class Name:
    name: str


@dataclass
class Sure:
    sure: bool


class Asks:
    """A server whose tools ask."""

    def __init__(self) -> None:
        self.server = Server("asks", tasks=TaskSettings(poll_s=0.02))
        self.ended = asyncio.Event()

        @self.server.tool(task="optional")
        async def marry(context: Context) -> str:
            try:
                one, other = await asyncio.gather(
                    context.elicit("Who?", Name, key="who"), context.elicit("And who?", Name, key="other")
                )
                sure = await context.elicit("Sure?", Sure, key="who")
            finally:
                self.ended.set()
            assert one.content is not None and other.content is not None and sure.content is not None  # noqa: PT018
            return f"{one.content.name} and {other.content.name}: {sure.content.sure}"

        @self.server.tool(task="required", asks_first=True)
        async def paint(context: Context) -> str:
            who = await context.elicit("For whom?", Name, key="who")
            is_task = await context.defer()
            again = await context.elicit("Framed?", Sure, key="who")
            assert who.content is not None and again.content is not None  # noqa: PT018
            return f"a portrait of {who.content.name}, {again.content.sure}, {is_task}"

        @self.server.tool(task="optional", asks_first=True)
        async def sketch(context: Context, alone: bool = False) -> str:
            return "a sketch" if alone else f"a sketch, {await context.defer()}"

        @self.server.tool(task="optional")
        async def close(context: Context) -> str | Ask:
            answer = context.answer("sure", Elicit("Sure?", Sure))
            if answer is None:
                return Ask({"sure": Elicit("Sure?", Sure)}, state="asked")
            return f"closed: {answer.content is not None and answer.content.sure} ({context.request_state})"


def accepted(**content: Any) -> Json:
    return {"action": "accept", "content": content}


async def test_what_a_task_asks_is_answered_in_any_order_and_each_key_means_one_question() -> None:
    async with line_to(Asks().server) as line:
        id_ = (await line.call("marry", capabilities=ASKABLE))["taskId"]
        waiting = await line.until(id_, "input_required")
        assert list(waiting["inputRequests"]) == ["who", "other"]
        assert waiting["inputRequests"]["who"]["method"] == "elicitation/create"

        async def answer(**answers: Json) -> Json:
            return await line.ask("tasks/update", {"taskId": id_, "inputResponses": answers})

        assert await answer(unknown={}) == {"resultType": "complete"}
        with pytest.raises(Refusal, match=r"the answer to 'who' .*; nothing was taken of these answers"):
            await answer(who=accepted(name=7), other=accepted(name="Bea"))
        await answer(other=accepted(name="Bea"))
        assert list((await line.until(id_, "input_required"))["inputRequests"]) == ["who"]
        await answer(other=accepted(name="Cleo"), who=accepted(name="Ann"))
        # Asked anew, under a key of its own: an answer that comes twice is not taken for the other question's.
        async with asyncio.timeout(BOUND_S):
            while list((await line.ask("tasks/get", {"taskId": id_})).get("inputRequests", ())) != ["who-2"]:
                pass
        await answer(who=accepted(name="late"))
        await answer(**{"who-2": accepted(sure=True)})
        done = await line.until(id_, "completed")
        assert done["result"]["content"][0]["text"] == "Ann and Bea: True"


async def test_a_task_that_waits_for_an_answer_is_cancelled_and_its_function_ends() -> None:
    asks, changes = Asks(), list[str]()
    asks.server.tasks.on_change.append(lambda owner, task: changes.append(task.status))
    async with line_to(asks.server) as line:
        id_ = (await line.call("marry", capabilities=ASKABLE))["taskId"]
        await line.until(id_, "input_required")
        await line.ask("tasks/cancel", {"taskId": id_})
        cancelled = await line.ask("tasks/get", {"taskId": id_})
        assert (cancelled["status"], "inputRequests" in cancelled) == ("cancelled", False)
        await asyncio.wait_for(asks.ended.wait(), BOUND_S)
    assert (changes[0], changes[-1]) == ("input_required", "cancelled")


async def test_a_task_cannot_ask_who_has_not_said_that_it_can_be_asked() -> None:
    async with line_to(Asks().server) as line:
        failed = await line.until((await line.call("marry"))["taskId"], "failed")
        assert (failed["error"]["code"], failed["error"]["data"]) == (
            -32021,
            {"requiredCapabilities": {"elicitation": {"form": {}}}},
        )


async def test_a_tool_that_asks_first_is_a_task_from_where_it_says_so() -> None:
    async with line_to(Asks().server) as line:
        asked = await line.call("paint", capabilities=ASKABLE)
        assert (asked["resultType"], list(asked["inputRequests"])) == ("input_required", ["who"])
        made = await line.call(
            "paint",
            capabilities=ASKABLE,
            inputResponses={"who": accepted(name="Ann")},
            requestState=asked["requestState"],
        )
        assert (made["resultType"], made.keys().isdisjoint({"requestState", "inputRequests"})) == ("task", True)
        waiting = await line.until(made["taskId"], "input_required")
        assert waiting["inputRequests"]["who"]["params"]["message"] == "Framed?"
        await line.ask("tasks/update", {"taskId": made["taskId"], "inputResponses": {"who": accepted(sure=True)}})
        done = await line.until(made["taskId"], "completed")
        assert done["result"]["content"][0]["text"] == "a portrait of Ann, True, True"


async def test_what_was_begun_as_a_call_goes_on_as_one() -> None:
    plain = {"elicitation": {}}
    async with line_to(Asks().server) as line:
        asked = await line.call("marry", capabilities=plain)
        answers = {"who": accepted(name="Ann"), "other": accepted(name="Bea")}
        again = {"inputResponses": answers, "requestState": asked["requestState"]}
        sure = await line.call("marry", capabilities=ASKABLE, **again)
        assert (sure["resultType"], list(sure["inputRequests"])) == ("input_required", ["who"])


async def test_a_tool_that_could_be_a_task_and_ends_before_has_just_answered() -> None:
    async with line_to(Asks().server) as line:
        assert (await line.call("sketch", {"alone": True}))["content"][0]["text"] == "a sketch"
        assert (await line.call("sketch", capabilities={"roots": {}}))["content"][0]["text"] == "a sketch, False"
        made = await line.call("sketch")
        assert (await line.until(made["taskId"], "completed"))["result"]["content"][0]["text"] == "a sketch, True"


async def test_a_function_that_returns_its_questions_is_called_again_with_the_answers() -> None:
    async with line_to(Asks().server) as line:
        id_ = (await line.call("close", capabilities=ASKABLE))["taskId"]
        await line.until(id_, "input_required")
        await line.ask("tasks/update", {"taskId": id_, "inputResponses": {"sure": accepted(sure=True)}})
        done = await line.until(id_, "completed")
        assert done["result"]["content"][0]["text"] == "closed: True (asked)"


async def test_a_task_is_there_for_nobody_but_its_owner(works: Works) -> None:
    tasks = works.server.tasks

    async def asked(method: str, who: Principal, **params: Any) -> Outcome:
        call = Call(
            id="c", root="c", method=method, params=params, principal=who, target="build", capabilities=DECLARED
        )
        return await tasks(call, Emit(lambda event: None, Trail(call)))

    made = await asked("tools/call", ANNA, name="build")
    assert isinstance(made, Deferred)
    for stranger in (Principal("bert"), Principal("anna", client="other"), Principal("anna", tenant="other")):
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            refused = await asked(method, stranger, taskId=made.task["taskId"])
            assert isinstance(refused, Refused)
            assert refused.code == -32602
        assert await asked("tasks/list", stranger) == Complete({"tasks": []})
    assert isinstance(await asked("tasks/get", ANNA, taskId=made.task["taskId"]), Complete)
    await tasks.aclose()


def test_a_tool_that_asks_first_is_one_that_can_become_a_task() -> None:
    server = Server("s")
    with pytest.raises(DefinitionError, match="`asks_first` is for tools that may run as a task"):

        @server.tool(asks_first=True)
        async def one(context: Context) -> None:
            await context.defer()

    with pytest.raises(DefinitionError, match=r"takes no Context, so it cannot say `await context\.defer\(\)`"):

        @server.tool(task="optional", asks_first=True)
        async def two() -> None: ...
