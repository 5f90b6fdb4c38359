"""A task that is not over, at the moments that no client can aim at."""

import asyncio

from peers import ANNA, Json

from douane.protocol.tasks import Task, now
from douane.sdk.running_task import RunningTask

ROOTS: Json = {"method": "roots/list", "params": {}}


async def test_an_answer_that_comes_as_the_time_runs_out_breaks_nothing() -> None:
    at = now()
    running = RunningTask(Task(id="t", created_at=at, updated_at=at, ttl_ms=1, poll_ms=1), ANNA, lambda *_: None)
    asking = asyncio.create_task(running.ask({"roots": ROOTS}))
    for _ in range(2):
        await asyncio.sleep(0)
    assert running.task.asks
    # What asks has been told to stop, and has not run since.
    asking.cancel()
    running.answer({"roots": {"roots": []}})
    await asyncio.wait({asking})
    assert asking.cancelled()
    assert not running.task.asks


async def test_a_task_whose_function_stops_waiting_for_an_answer_works_again() -> None:
    at = now()
    running = RunningTask(Task(id="t", created_at=at, updated_at=at, ttl_ms=None, poll_ms=1), ANNA, lambda *_: None)
    one, two = (asyncio.create_task(running.ask({key: ROOTS})) for key in ("one", "two"))
    for _ in range(2):
        await asyncio.sleep(0)
    for asking, left in ((one, {"two": ROOTS}), (two, {})):
        asking.cancel()
        await asyncio.wait({asking})
        assert running.task.asks == left
        assert running.task.status == ("input_required" if left else "working")
