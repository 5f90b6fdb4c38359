"""Tools that run as tasks, as clients of 2025-11-25 meet them: that revision has them as an experiment of its own.

Spec: specification/2025-11-25/basic/utilities/tasks.mdx.
"""

import asyncio
from typing import Any

import pytest
from gateway_world import until
from peers import BOUND_S, OLDER, Json

from sdk.raw_line import Line, Refusal, line_to
from sdk.test_tasks import Asks, Works

RELATED = "io.modelcontextprotocol/related-task"


async def begin(line: Line, tool: str, arguments: Json | None = None, **task: Any) -> Json:
    return (await line.call(tool, arguments, task=task))["task"]


async def test_what_the_server_can_do_is_said_as_that_revision_says_it() -> None:
    works = Works()
    async with line_to(works.server) as modern:
        assert all("execution" not in tool for tool in (await modern.ask("tools/list"))["tools"])
    for revision, support in (
        (OLDER, {"build": "optional", "launder": "required", "sue": "optional"}),
        ("2025-06-18", {}),
    ):
        async with line_to(works.server, revision=revision) as line:
            tools = (await line.ask("tools/list"))["tools"]
            assert {t["name"]: t["execution"]["taskSupport"] for t in tools if "execution" in t} == support
    async with works.server.ready():
        hello = await works.server.listener.initialize(OLDER, list_changed=True)
        assert hello["capabilities"]["tasks"] == {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
        assert "extensions" not in hello["capabilities"]
        assert "tasks" not in (await works.server.listener.initialize("2025-06-18", list_changed=True))["capabilities"]


async def test_a_call_that_asks_for_a_task_gets_one_and_its_result_when_it_is_there() -> None:
    works = Works()
    async with line_to(works.server, revision=OLDER) as line:
        task = await begin(line, "build", {"what": "boat"}, ttl=60_000)
        assert set(task) == {"taskId", "status", "createdAt", "lastUpdatedAt", "ttl", "pollInterval"}
        assert (task["status"], task["ttl"], task["pollInterval"]) == ("working", 60_000, 1_000)
        await asyncio.wait_for(works.started.wait(), BOUND_S)
        got = await line.ask("tasks/get", {"taskId": task["taskId"]})
        assert (got["statusMessage"], got["ttl"]) == ("the boat has walls", 60_000)
        assert got.keys().isdisjoint({"result", "resultType", "ttlMs", "_meta"})
        waiting = asyncio.create_task(line.ask("tasks/result", {"taskId": task["taskId"]}))
        assert [one["taskId"] for one in (await line.ask("tasks/list"))["tasks"]] == [task["taskId"]]
        works.go_on.set()
        result = await waiting
        assert result["content"] == [{"type": "text", "text": "one boat"}]
        assert result["_meta"] == {RELATED: {"taskId": task["taskId"]}}
        assert (await line.ask("tasks/get", {"taskId": task["taskId"]}))["status"] == "completed"


async def test_a_session_is_told_unasked_how_the_task_stands_that_it_has_begun() -> None:
    works = Works()
    async with line_to(works.server, revision=OLDER) as line:
        id_ = (await begin(line, "build", {"what": "boat"}))["taskId"]
        said = await asyncio.wait_for(line.heard.get(), BOUND_S)
        assert (said["method"], said["params"]["statusMessage"]) == ("notifications/tasks/status", "the boat has walls")
        works.go_on.set()
        said = await asyncio.wait_for(line.heard.get(), BOUND_S)
        members = {"taskId", "status", "createdAt", "lastUpdatedAt", "ttl", "pollInterval", "statusMessage"}
        assert said["params"].keys() == members
        assert (said["params"]["taskId"], said["params"]["status"]) == (id_, "completed")
        works.go_on.clear()
        await begin(line, "build")
    assert len(works.server.listener.task_news) == 0


async def test_nobody_is_given_a_task_who_did_not_ask_for_one() -> None:
    works = Works()
    works.go_on.set()
    async with line_to(works.server, revision=OLDER) as line:
        assert (await line.call("build"))["content"][0]["text"] == "one house"


@pytest.mark.parametrize(
    ("tool", "more", "code", "why"),
    [
        ("greet", {"task": {}}, -32601, "the tool 'greet' does not run as a task"),
        ("nothing", {"task": {}}, -32601, "the tool 'nothing' does not run as a task"),
        ("launder", {}, -32601, "the tool 'launder' runs as a task only; call it with `task`"),
        ("build", {"task": 7}, -32602, "params.task must be an object"),
        ("build", {"task": {"ttl": "long"}}, -32602, "its ttl an integer of milliseconds"),
    ],
)
async def test_a_call_that_does_not_fit_its_tool_is_refused(tool: str, more: Json, code: int, why: str) -> None:
    async with line_to(Works().server, revision=OLDER) as line:
        with pytest.raises(Refusal, match=why) as told:
            await line.call(tool, **more)
        assert told.value.code == code


async def test_a_cancelled_task_is_cancelled_before_its_answer_and_only_once() -> None:
    works = Works()
    async with line_to(works.server, revision=OLDER) as line:
        id_ = (await begin(line, "build"))["taskId"]
        await asyncio.wait_for(works.started.wait(), BOUND_S)
        assert (await line.ask("tasks/cancel", {"taskId": id_}))["status"] == "cancelled"
        await asyncio.wait_for(works.ended.wait(), BOUND_S)
        with pytest.raises(Refusal, match="the task is cancelled already") as told:
            await line.ask("tasks/cancel", {"taskId": id_})
        assert told.value.code == -32602
        with pytest.raises(Refusal, match="the task was cancelled"):
            await line.ask("tasks/result", {"taskId": id_})


async def test_how_a_task_fails_is_what_its_call_would_have_been_answered_with() -> None:
    async with line_to(Works().server, revision=OLDER) as line:
        broken = await line.ask("tasks/result", {"taskId": (await begin(line, "launder"))["taskId"]})
        assert broken["isError"] is True
        with pytest.raises(Refusal, match="no court today") as told:
            await line.ask("tasks/result", {"taskId": (await begin(line, "sue"))["taskId"]})
        assert (told.value.code, told.value.data) == (-32050, {"next": "Monday"})
        for method in ("tasks/get", "tasks/result", "tasks/cancel"):
            with pytest.raises(Refusal, match="there is no such task") as told:
                await line.ask(method, {"taskId": "none"})
            assert told.value.code == -32602


async def test_what_a_task_asks_is_asked_while_its_result_is_waited_for() -> None:
    async with line_to(Asks().server, revision=OLDER, elicitation={}) as line:
        id_ = (await begin(line, "marry"))["taskId"]
        await line.until(id_, "input_required")
        waiting = asyncio.create_task(line.ask("tasks/result", {"taskId": id_}))
        for content in ({"name": "Ann"}, {"name": "Bea"}, {"sure": True}):
            question = await asyncio.wait_for(line.asked.get(), BOUND_S)
            assert question["method"] == "elicitation/create"
            assert question["params"]["_meta"][RELATED] == {"taskId": id_}
            line.say({"id": question["id"], "result": {"action": "accept", "content": content}})
        assert (await waiting)["content"][0]["text"] == "Ann and Bea: True"


async def test_a_tool_that_asks_first_asks_before_the_task_is_there() -> None:
    async with line_to(Asks().server, revision=OLDER, elicitation={}) as line:
        beginning = asyncio.create_task(begin(line, "paint"))
        question = await asyncio.wait_for(line.asked.get(), BOUND_S)
        assert RELATED not in question["params"]["_meta"]
        line.say({"id": question["id"], "result": {"action": "accept", "content": {"name": "Ann"}}})
        id_ = (await beginning)["taskId"]
        waiting = asyncio.create_task(line.ask("tasks/result", {"taskId": id_}))
        question = await asyncio.wait_for(line.asked.get(), BOUND_S)
        line.say({"id": question["id"], "result": {"action": "accept", "content": {"sure": False}}})
        assert (await waiting)["content"][0]["text"] == "a portrait of Ann, False, True"


async def test_a_tool_that_has_just_answered_is_a_task_that_is_over() -> None:
    async with line_to(Asks().server, revision=OLDER) as line:
        task = await begin(line, "sketch", {"alone": True})
        assert task["status"] == "completed"
        assert (await line.ask("tasks/get", {"taskId": task["taskId"]})) == task
        result = await line.ask("tasks/result", {"taskId": task["taskId"]})
        assert result["content"][0]["text"] == "a sketch"
        assert (await line.ask("tasks/list"))["tasks"] == [task]
        with pytest.raises(Refusal, match="the task is completed already"):
            await line.ask("tasks/cancel", {"taskId": task["taskId"]})


async def test_revisions_without_tasks_pass_over_what_is_said_of_them() -> None:
    works = Works()
    works.go_on.set()
    async with line_to(works.server, revision="2025-06-18") as line:
        assert (await line.call("build", task={}))["content"][0]["text"] == "one house"
        with pytest.raises(Refusal, match="unknown method 'tasks/list'") as told:
            await line.ask("tasks/list")
        assert told.value.code == -32601


async def test_nothing_goes_on_telling_of_a_task_that_was_over_at_once() -> None:
    works = Works()
    works.go_on.set()
    async with line_to(works.server, revision=OLDER) as line:
        await begin(line, "sue")
        said = await asyncio.wait_for(line.heard.get(), BOUND_S)
        assert said["params"]["status"] == "failed"
        assert await until(lambda: len(works.server.listener.task_news) == 0)
