"""Who listens to a task is told how it stands: all of it, in the order it happened, and nobody else is.

Spec: modelcontextprotocol/ext-tasks specification/draft/tasks.md (task status notifications).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from gateway_world import until
from peers import BOUND_S, Json

from douane.protocol.call import Principal
from douane.sdk.line_door import LineDoor
from douane.transports.memory import pair
from douane.wire.rpc import Limits
from sdk.raw_line import DECLARED, Line, Refusal, line_to
from sdk.test_tasks import Asks, Works

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


class News:
    """A stream that listens to tasks, and its acknowledgement."""

    def __init__(self, line: Line, ack: Json) -> None:
        self._line, self.ack = line, ack

    async def next(self) -> Json:
        note = await asyncio.wait_for(self._line.heard.get(), BOUND_S)
        assert note["method"] == "notifications/tasks"
        assert note["params"].pop("_meta") == self.ack["_meta"]
        return note["params"]

    async def until(self, status: str) -> Json:
        while (task := await self.next())["status"] != status:
            pass
        return task


@asynccontextmanager
async def listening(line: Line, *ids: str, **more: Any) -> AsyncIterator[News]:
    asked = {"notifications": {"taskIds": list(ids), **more}}
    stream = asyncio.create_task(line.ask("subscriptions/listen", asked, id="listen"))
    try:
        first = await asyncio.wait_for(line.heard.get(), BOUND_S)
        assert first["method"] == "notifications/subscriptions/acknowledged"
        yield News(line, first["params"])
    finally:
        line.say({"method": "notifications/cancelled", "params": {"requestId": "listen"}})
        stream.cancel()
        with suppress(asyncio.CancelledError):
            await stream


async def test_a_task_is_told_as_it_stands_and_each_time_it_stands_otherwise_until_it_is_over() -> None:
    works = Works()
    async with line_to(works.server) as line:
        id_ = (await line.call("build"))["taskId"]
        async with listening(line, id_) as news:
            assert news.ack["notifications"] == {"taskIds": [id_]}
            working = await news.next()
            assert (working["taskId"], working["status"]) == (id_, "working")
            works.go_on.set()
            done = await news.until("completed")
            assert done["result"]["content"] == [{"type": "text", "text": "one house"}]
            got = await line.ask("tasks/get", {"taskId": id_})
            assert done == {name: value for name, value in got.items() if name not in ("resultType", "_meta")}


async def test_what_a_task_asks_is_told_with_all_it_needs_to_be_answered() -> None:
    async with line_to(Asks().server) as line:
        asking = {**DECLARED, "elicitation": {"form": {}}}
        id_ = (await line.call("marry", capabilities=asking))["taskId"]
        async with listening(line, id_) as news:
            asked = (await news.until("input_required"))["inputRequests"]
            assert all(question["method"] == "elicitation/create" for question in asked.values())
            await line.ask("tasks/cancel", {"taskId": id_})
            assert (await news.until("cancelled")).keys().isdisjoint({"inputRequests", "result"})


async def test_ids_of_nobody_are_left_out_and_a_stream_of_nothing_else_is_refused() -> None:
    works = Works()
    async with line_to(works.server) as line:
        id_ = (await line.call("build"))["taskId"]
        async with listening(line, "not-one", id_, id_) as news:
            assert news.ack["notifications"] == {"taskIds": [id_]}
        with pytest.raises(Refusal, match="there is no such task") as told:
            await line.ask("subscriptions/listen", {"notifications": {"taskIds": ["not-one"]}})
        assert told.value.code == -32602
        works.go_on.set()


async def test_a_task_of_another_is_not_listened_to() -> None:
    works = Works()
    async with line_to(works.server) as line:
        id_ = (await line.call("build"))["taskId"]
        ours, theirs = pair()
        door = LineDoor(theirs, works.server.listener, Principal("bob"), Limits())
        other = Line(ours, modern=True)
        with pytest.raises(Refusal, match="there is no such task"):
            await other.ask("subscriptions/listen", {"notifications": {"taskIds": [id_]}})
        await door.aclose()
        assert len(works.server.listener.task_news) == 0


async def test_who_listens_to_tasks_declares_that_it_knows_them_and_names_them() -> None:
    async with line_to(Works().server) as line:
        for tasks, capabilities, code in ((["a"], {}, -32021), ("a", DECLARED, -32602), ([1], DECLARED, -32602)):
            with pytest.raises(Refusal) as told:
                await line.ask("subscriptions/listen", {"notifications": {"taskIds": tasks}}, capabilities)
            assert told.value.code == code


async def test_nothing_is_left_of_who_has_listened() -> None:
    works = Works()
    async with line_to(works.server) as line:
        ids = [(await line.call("build"))["taskId"] for _ in range(3)]
        async with listening(line, *ids) as news:
            for _ in ids:
                await news.next()
            assert len(works.server.listener.task_news) == 3
            await line.ask("tasks/cancel", {"taskId": ids[0]})
            await news.until("cancelled")
        assert await until(lambda: len(works.server.listener.task_news) == 0)
