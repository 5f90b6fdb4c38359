"""F12, F15, F17, G10, G19: how a gateway ends, asked to or not, and what it leaves behind: nothing."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from gateway_clients import HttpClient, http, session, stdio, text_of, tool, until_ready
from gateway_world import ORPHANS_S, SOON_S, World, gateway, hostile, real, until, witness

STUBBORN = ("deaf", "daemon", "fork", "ignores-eof")
SHAPES = [(), ("setsid",), ("daemon",), ("fork",), ("deaf", "ignores-eof"), STUBBORN]


async def open_call(client: HttpClient, seen: Path) -> None:
    """A call that has reached the upstream, and stays open there."""
    await client.begin("tools/call", tool("witness_wait"))
    assert await until(lambda: seen.exists() and b'"wait"' in seen.read_bytes())


async def last_of(client: HttpClient) -> dict[str, object]:
    return [message async for message in client.messages()][-1]


@pytest.mark.parametrize("handshake", [False, True])
async def test_sigterm_lets_the_call_in_hand_finish(tmp_path: Path, handshake: bool) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        async with session(running) if handshake else http(running) as client:
            await client.ask("tools/list")
            await client.begin("tools/call", tool("hostile_slow", {"ms": 700}))
            assert await until(lambda: any(call.intents for call in running.world.calls().values()))
            running.process.send_signal(signal.SIGTERM)
            answer = await last_of(client)
        assert answer["result"]["content"] == [{"type": "text", "text": "done"}]  # type: ignore[index]
        async with asyncio.timeout(SOON_S):
            assert await running.ended() == 0
        assert [o.status for c in running.world.calls().values() if c.intents for o in c.outcomes] == ["ok"]


async def test_sigterm_lets_the_call_of_a_line_finish_too(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, stdio(running.world) as line:
        await line.ask("tools/list")
        id = await line.begin("tools/call", tool("hostile_slow", {"ms": 700}))
        assert await until(lambda: any(call.intents for call in running.world.calls().values()))
        running.process.send_signal(signal.SIGTERM)
        assert text_of(await line.answer_to(id)) == "done"
        assert await line.ended() == 0
        assert await running.ended() == 0
        assert [o.status for c in running.world.calls().values() if c.intents for o in c.outcomes] == ["ok"]


async def test_sigterm_ends_listening_streams_and_idle_lines_at_once(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, {"hostile": hostile()}) as running,
        session(running) as client,
        http(running) as idle,
        stdio(running.world) as line,
    ):
        await line.ask("tools/list")
        await idle.ask("tools/list")
        await client.line.send("GET", client.headers() | {"accept": "text/event-stream"})
        status, headers = await client.line.status()
        assert status == 200
        running.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SOON_S):
            # Ended, not cut.
            assert b"data: {" not in b"".join([chunk async for chunk in client.line.chunks(headers)])
            assert await running.ended() == 0
        assert await line.ended() == 0


@pytest.mark.slow
async def test_a_call_that_outlives_the_drain_is_cancelled_upstream_and_recorded(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"witness": witness(seen)}) as running, http(running) as client:
        await client.ask("tools/list")
        await open_call(client, seen)
        assert await running.stop() == 0
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await last_of(client)
        (call,) = [call for call in running.world.calls().values() if call.intents]
        assert [o.status for o in call.outcomes] == ["cancelled"]
        assert b"notifications/cancelled" in seen.read_bytes()


@pytest.mark.parametrize("modes", [("setsid",), STUBBORN], ids="-".join)
async def test_after_sigterm_no_process_of_any_shape_is_left(tmp_path: Path, modes: tuple[str, ...]) -> None:
    world = World(tmp_path, {"hostile": hostile(*modes), "time": real("mcp-server-time")})
    running = await world.up()
    try:
        await until_ready(running)
        assert await running.stop() == 0
        assert await world.empty(0.2), world.processes()
    finally:
        await running.kill()


@pytest.mark.parametrize("modes", SHAPES, ids="-".join)
async def test_after_sigkill_no_process_of_any_shape_is_left(tmp_path: Path, modes: tuple[str, ...]) -> None:
    seen = tmp_path / "seen"
    world = World(tmp_path / "home", {"hostile": hostile(*modes), "witness": witness(seen)})
    running = await world.up()
    try:
        await until_ready(running)
        async with http(running) as client:
            await open_call(client, seen)
            await running.kill()
            assert await world.empty(ORPHANS_S), world.processes()
    finally:
        await running.kill()
    again = await world.up()
    await again.kill()
    (call,) = [call for call in world.calls().values() if call.intents]
    assert [(o.status, o.cause, o.sent) for o in call.outcomes] == [("unknown", "crash", "unknown")]


async def test_a_gateway_that_a_line_started_outlives_it_and_serves_the_next(tmp_path: Path) -> None:
    world = World(tmp_path, {"hostile": hostile()}, listen={"port": 0})
    try:
        async with stdio(world) as first:
            assert text_of(await first.call("hostile_echo", text="one")) == "one"
        async with stdio(world) as second, stdio(world) as third:
            await third.greet()
            assert text_of(await second.call("hostile_echo", text="two")) == "two"
            assert text_of(await third.call("hostile_echo", text="three")) == "three"
        ups = [line for line in world.processes() if " up " in line]
        assert len(ups) == 1, ups
    finally:
        for line in world.processes():
            if " up " in line:
                os.kill(int(line.split()[0]), signal.SIGTERM)
    assert await world.empty(5.0), world.processes()
    assert json.loads((await world.run("audit", "verify", "--json")).out)["ok"] is True


async def test_a_second_sigterm_does_not_hurt(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile("deaf", "ignores-eof")}) as running:
        await until_ready(running)
        running.process.send_signal(signal.SIGTERM)
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0
