"""Questions that nobody answers: of none of them is anything left in the gateway, and each has an end in the audit."""

import asyncio
from pathlib import Path

import psutil
import pytest
from frontdoor.test_questions import asking
from gateway_world import Gateway, until

pytestmark = pytest.mark.slow

WAVE = 8
COUNT = 50


def descriptors(running: Gateway) -> int:
    return psutil.Process(running.process.pid).num_fds()


async def test_fifty_questions_abandoned_on_lines_leave_nothing(tmp_path: Path) -> None:
    async with asking(tmp_path, limits={"answer_within_s": 0.5}, asks=None, processes=WAVE) as at:
        world = at.gateway.world
        processes, open_before = len(world.processes()), descriptors(at.gateway)
        for begun in range(0, COUNT, WAVE):
            await asyncio.gather(*(at.asked("elicitation") for _ in range(min(WAVE, COUNT - begun))))
        assert await until(lambda: len(world.processes()) == processes, 30.0)
        assert await until(lambda: sum(leaf.cause == "abandoned" for leaf in at.leaves()) == COUNT)
        assert await until(lambda: descriptors(at.gateway) <= open_before), (descriptors(at.gateway), open_before)
        assert all(call.outcomes for call in world.calls().values())
    assert await world.empty()
