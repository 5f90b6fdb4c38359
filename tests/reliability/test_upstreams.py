"""F14 to F16, F18 and F20 through the gateway: a bad child fails its own call, in time, and nothing else."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from gateway_clients import http, missing_of, session, text_of, tool
from gateway_world import BOUND_S, SOON_S, Gateway, gateway, hostile, until, witness

UNAVAILABLE = 1502
DEADLINE = 1504


def children(gateway: Gateway, name: str) -> list[psutil.Process]:
    """The processes of an upstream's own program, not the shims that watch them."""
    found: list[psutil.Process] = []
    for process in psutil.Process(gateway.process.pid).children(recursive=True):
        try:
            line = process.cmdline()
        except psutil.NoSuchProcess:  # or a zombie, which is the same to us
            continue
        if any(part.endswith(name) for part in line) and not any(part.endswith("shim.py") for part in line):
            found.append(process)
    return found


def frames(seen: Path) -> Iterator[dict[str, Any]]:
    """What the witness was sent."""
    for line in seen.read_bytes().splitlines() if seen.exists() else ():
        yield json.loads(line)


def methods(seen: Path) -> list[str]:
    return [frame.get("method", "") for frame in frames(seen)]


async def back(gateway: Gateway, upstream: str) -> None:
    """The upstream is up for the second time."""
    said = f"upstream {upstream} is up"
    assert await until(lambda: sum(said in line for line in gateway.log) >= 2), gateway.log


async def test_a_child_killed_in_mid_call_is_an_error_at_once_and_the_call_is_not_sent_again(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"witness": witness(seen)}) as running, http(running) as client:
        await client.begin("tools/call", tool("witness_wait"))
        assert await until(lambda: "tools/call" in methods(seen))
        (child,) = children(running, "witness.py")
        child.send_signal(signal.SIGKILL)
        async with asyncio.timeout(SOON_S):
            answer = [message async for message in client.messages()][-1]
        assert answer["error"]["code"] == UNAVAILABLE
        assert "upstream" in answer["error"]["message"]
        # It comes back by itself, and the next call is served.
        assert await until(lambda: methods(seen).count("tools/list") == 2)
        assert text_of(await client.call("witness_echo", text="again")) == "again"
        assert [f["params"]["name"] for f in frames(seen) if f.get("method") == "tools/call"] == ["wait", "echo"]
        outcomes = [o for call in running.world.calls().values() if call.intents for o in call.outcomes]
        assert [(o.status, o.code, o.sent) for o in outcomes] == [("failed", UNAVAILABLE, "unknown"), ("ok", 0, "")]


async def test_a_tool_that_dies_after_its_effect_had_it_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    async with gateway(tmp_path / "home", {"hostile": hostile(f"count={count}")}) as running, http(running) as client:
        await client.call("hostile_count")
        died = await client.call("hostile_die")
        assert died["error"]["code"] == UNAVAILABLE
        assert "it may have run" in died["error"]["message"]
        assert count.stat().st_size == 1
        await back(running, "hostile")
        assert text_of(await client.call("hostile_count")) == "2"


@pytest.mark.parametrize("deadline_s", [0.5, 1.0])
async def test_a_call_that_hangs_ends_at_its_deadline_and_the_server_is_told(tmp_path: Path, deadline_s: float) -> None:
    seen = tmp_path / "seen"
    upstreams = {"witness": witness(seen, deadline_s=deadline_s)}
    async with gateway(tmp_path / "home", upstreams) as running, http(running) as client:
        await client.ask("tools/list")
        began_s = time.monotonic()
        answer = await client.call("witness_wait")
        assert time.monotonic() - began_s >= deadline_s
        assert answer["error"]["code"] == DEADLINE
        assert await until(lambda: "notifications/cancelled" in methods(seen))
        (sent,) = [f for f in frames(seen) if f.get("method") == "tools/call"]
        (cancelled,) = [f for f in frames(seen) if f.get("method") == "notifications/cancelled"]
        assert cancelled["params"]["requestId"] == sent["id"]
        assert text_of(await client.call("witness_echo", text="alive")) == "alive"


async def test_fifty_first_calls_at_once_start_one_child(tmp_path: Path) -> None:
    upstreams = {"hostile": hostile("slow-start")}
    async with gateway(tmp_path, upstreams) as running:

        async def call(number: int) -> str:
            async with http(running) as client:
                return text_of(await client.call("hostile_echo", text=str(number)))

        assert await asyncio.gather(*map(call, range(50))) == [str(number) for number in range(50)]
        assert len(children(running, "server.py")) == 1
        assert sum("upstream hostile is up" in line for line in running.log) == 1


async def test_fifty_calls_at_once_wake_one_child_that_slept(tmp_path: Path) -> None:
    upstreams = {"hostile": hostile(idle_stop_s=1.5)}
    async with gateway(tmp_path, upstreams) as running:
        async with http(running) as client:
            await client.ask("tools/list")
        assert await until(lambda: not children(running, "server.py"))

        async def call(number: int) -> str:
            async with http(running) as client:
                return text_of(await client.call("hostile_echo", text=str(number)))

        assert await asyncio.gather(*map(call, range(50))) == [str(number) for number in range(50)]
        assert sum("upstream hostile is up" in line for line in running.log) == 2


async def test_a_child_that_floods_its_stderr_is_drained_and_holds_up_nobody_else(tmp_path: Path) -> None:
    upstreams = {"loud": hostile("stderr-flood"), "good": hostile()}
    async with gateway(tmp_path, upstreams) as running, http(running) as client, http(running) as other:
        await client.call("loud_stderr", bytes=1 << 20)
        before = psutil.Process(running.process.pid).memory_info().rss
        flooding = asyncio.create_task(client.call("loud_stderr", bytes=16 << 20))
        served = 0
        while not flooding.done():
            assert text_of(await other.call("good_echo", text="still here")) == "still here"
            served += 1
        assert text_of(flooding.result()) == "done"
        assert served > 1
        assert psutil.Process(running.process.pid).memory_info().rss - before < 16 << 20
        # The log is for people: what it leaves out it counts.
        assert len(running.log) < 1000
        async with asyncio.timeout(3.0):
            while not any("were left out" in line for line in running.log):
                await client.call("loud_echo")


async def test_garbage_on_stdout_costs_nothing_and_a_line_without_end_costs_the_child(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile("garbage")}) as running, http(running) as client:
        assert text_of(await client.call("hostile_garbage")) == "done"
        before = psutil.Process(running.process.pid).memory_info().rss
        giant = await client.call("hostile_giant", bytes=64 << 20)
        assert giant["error"]["code"] == UNAVAILABLE
        assert psutil.Process(running.process.pid).memory_info().rss - before < 24 << 20
        await back(running, "hostile")
        assert text_of(await client.call("hostile_echo", text="back")) == "back"


@pytest.mark.parametrize("mode", ["dies-at-start", "dies-on-initialize"])
async def test_a_child_that_never_serves_is_tried_with_growing_pauses_and_leaves_no_descriptor(
    tmp_path: Path, mode: str
) -> None:
    async with gateway(tmp_path, {"bad": hostile(mode)}) as running, http(running) as client:
        listed = await client.ask("tools/list")
        assert "down" in missing_of(listed)["bad"]
        me = psutil.Process(running.process.pid)
        assert await until(lambda: not children(running, "server.py"))
        fds = me.num_fds()
        assert await until(lambda: sum("upstream bad is down" in line for line in running.log) >= 3)
        assert await until(lambda: me.num_fds() == fds)


async def test_one_stalled_upstream_holds_up_nobody_else(tmp_path: Path) -> None:
    upstreams = {"stalled": hostile(), "good": hostile()}
    async with gateway(tmp_path, upstreams) as running, session(running) as client:
        await client.ask("tools/list")
        async with http(running) as stuck:
            await stuck.begin("tools/call", tool("stalled_hang"))
            async with asyncio.timeout(BOUND_S):
                for number in range(50):
                    assert text_of(await client.call("good_echo", text=str(number))) == str(number)


async def test_the_environment_of_the_gateway_is_not_the_childs(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}, environment={"SECRET": "s3cret"}) as running:
        async with http(running) as client:
            await client.ask("tools/list")
        (child,) = children(running, "server.py")
        assert "SECRET" not in child.environ()
        assert os.environ.get("SECRET") is None
