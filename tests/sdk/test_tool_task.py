"""Tools that run as tasks, as a program calls them: waited for, started, found again, given up."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from peers import BOUND_S, answers, errors
from peers import Server as Scripted

from douane.sdk import Client, ServerError
from douane.sdk.connect import open_line
from sdk.test_tasks import Asks, Works

QUICK_S = 0.02


@pytest.fixture
def works() -> Works:
    return Works(poll_s=QUICK_S)


async def test_a_call_just_returns_what_the_tool_says_in_the_end(works: Works) -> None:
    async with Client(works.server) as client:
        call = asyncio.create_task(client.call("build"))
        await asyncio.wait_for(works.started.wait(), BOUND_S)
        works.go_on.set()
        assert (await call).text == "one house"
        assert (await client.call("launder")).is_error
        with pytest.raises(ServerError, match="no court today") as told:
            await client.call("sue")
        assert (told.value.code, told.value.data) == (-32050, {"next": "Monday"})


async def test_who_wants_to_hear_of_progress_gets_it_and_tasks_where_there_is_no_other_way(works: Works) -> None:
    works.go_on.set()
    heard: list[object] = []
    async with Client(works.server) as client:
        answer = await client.call("build", on_progress=lambda *said: heard.append(said))
        assert (answer.text, heard) == ("one house", [(1, 2, "the house has walls")])
        assert (await client.call("launder", on_progress=lambda *said: heard.append(said))).is_error


async def test_a_started_tool_is_looked_at_waited_for_and_found_again_by_its_id(works: Works) -> None:
    async with works.server.ready():
        async with Client(works.server) as client:
            task = await client.start("build", {"what": "boat"})
            await asyncio.wait_for(works.started.wait(), BOUND_S)
            standing = await task.look()
            assert standing is not None
            assert (standing.status, standing.message, task.is_over) == ("working", "the boat has walls", False)
            with pytest.raises(ServerError, match=r"no result within 0\.05 s"):
                await task.result(0.05)
        works.go_on.set()
        async with Client(works.server) as client:
            found = client.task(task.id)
            assert (await found.result(BOUND_S)).text == "one boat"
            assert found.is_over


async def test_how_a_tool_stands_is_heard_each_time_it_stands_otherwise() -> None:
    # Its server says that it need not be asked again for an hour.
    works = Works(poll_s=3600.0)
    async with asyncio.timeout(BOUND_S), Client(works.server) as client:
        task = await client.start("build", {"what": "boat"})
        heard: list[tuple[str, str | None]] = []
        async for standing in task.updates():
            heard.append((standing.status, standing.message))
            if standing.message is not None:
                works.go_on.set()
        assert heard[-1] == ("completed", "the boat has walls")
        assert ("working", "the boat has walls") in heard
        assert (await task.result()).text == "one boat"
        assert [one async for one in (await client.start("greet", {"name": "Ann"})).updates()] == []


async def test_a_tool_that_runs_as_no_task_has_answered_when_it_is_started(works: Works) -> None:
    async with Client(works.server) as client:
        task = await client.start("greet", {"name": "Ann"})
        assert (task.is_over, await task.look(), (await task.result()).text) == (True, None, "Hello, Ann!")
        await task.cancel()


async def test_a_started_tool_is_cancelled_at_the_server(works: Works) -> None:
    async with Client(works.server) as client:
        task = await client.start("build")
        await asyncio.wait_for(works.started.wait(), BOUND_S)
        await task.cancel()
        await asyncio.wait_for(works.ended.wait(), BOUND_S)
        with pytest.raises(ServerError, match="the task was cancelled") as told:
            await task.result()
        assert told.value.code == 1499


@pytest.mark.parametrize("how", ["cancelled", "too late"])
async def test_who_does_not_wait_any_more_cancels_the_task(works: Works, how: str) -> None:
    async with Client(works.server) as client:
        call = asyncio.create_task(client.call("build", deadline_s=0.1 if how == "too late" else None))
        await asyncio.wait_for(works.started.wait(), BOUND_S)
        if how == "cancelled":
            call.cancel()
        with pytest.raises(asyncio.CancelledError if how == "cancelled" else ServerError):
            await call
        await asyncio.wait_for(works.ended.wait(), BOUND_S)


async def test_a_task_that_is_gone_when_it_is_asked_for_is_an_error() -> None:
    works = Works(poll_s=QUICK_S, ttl_s=0.05)
    async with Client(works.server) as client:
        with pytest.raises(ServerError, match="there is no such task"):
            await client.call("build")


def deferring() -> Scripted:
    """A server of the newest era that answers calls with a task."""
    server = Scripted("stateless")
    handle = {"taskId": "t", "status": "working", "createdAt": "a", "lastUpdatedAt": "a", "ttlMs": None}
    server.on["tools/call"] = answers({"resultType": "task", **handle, "pollIntervalMs": 0})
    return server


async def scripted(server: Scripted) -> Client:
    return Client(await open_line(server.open, client={"name": "t"}, noted=lambda method, params: None))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"taskId": "t", "status": "done"}, "server: answers with a task that is none: Invalid enum value 'done'"),
        ({"taskId": "t"}, "server: answers with a task that is none: Object missing required field `status`"),
    ],
)
async def test_a_task_that_is_none_is_the_servers_fault(said: dict[str, object], why: str) -> None:
    async with deferring() as server, await scripted(server) as client:
        server.on["tasks/get"] = answers({"resultType": "complete", **said})
        with pytest.raises(ServerError, match=why):
            await client.call("echo")


async def test_a_task_nobody_asked_for_is_no_answer() -> None:
    async with deferring() as server, await scripted(server) as client:
        with pytest.raises(ServerError, match="unknown kind of result"):
            await client.call("echo", on_log=lambda level, data: None)


async def test_a_task_that_asks_what_nobody_can_answer_is_given_up() -> None:
    async with deferring() as server, await scripted(server) as client:
        task = {"taskId": "t", "status": "input_required", "createdAt": "a", "lastUpdatedAt": "a", "ttlMs": None}
        server.on["tasks/get"] = answers({**task, "inputRequests": {"k": {"method": "elicitation/create"}}})
        server.on["tasks/cancel"] = answers({})
        with pytest.raises(ServerError, match="no such capability was declared"):
            await client.call("echo")
        assert (await server.until("tasks/cancel")).params["taskId"] == "t"


async def test_what_a_task_asks_is_answered_by_the_callbacks_of_its_client() -> None:
    asked: list[str] = []

    def elicit(message: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(message)
        return {"sure": True} if "sure" in schema["properties"] else {"name": message}

    async with Client(Asks().server, elicit=elicit) as client:
        assert (await client.call("marry")).text == "Who? and And who?: True"
        assert asked == ["Who?", "And who?", "Sure?"]
        # What is asked before there is a task is answered like what is asked of one.
        assert (await client.call("paint")).text == "a portrait of For whom?, True, True"
        task = await client.start("marry")
        assert (await task.result(BOUND_S)).text == "Who? and And who?: True"


async def test_the_time_that_a_person_takes_is_not_that_of_the_task() -> None:
    async def elicit(message: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        thought = asyncio.Event()
        asyncio.get_running_loop().call_later(1.2, thought.set)
        await thought.wait()
        return {"sure": True} if "sure" in schema["properties"] else {"name": message}

    async with Client(Asks().server, elicit=elicit) as client:
        assert (await client.call("marry", deadline_s=1.0)).text == "Who? and And who?: True"


async def test_a_server_that_refuses_to_be_asked_is_not_asked_for_ever() -> None:
    async with deferring() as server, await scripted(server) as client:
        server.on["tasks/get"] = errors(-32603, "no")
        with pytest.raises(ServerError, match="no") as told:
            await client.call("echo")
        assert told.value.code == -32603
        declared = (await server.until("tasks/get")).params["_meta"]["io.modelcontextprotocol/clientCapabilities"]
        assert declared == {"extensions": {"io.modelcontextprotocol/tasks": {}}}
