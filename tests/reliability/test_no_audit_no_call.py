"""F4, F5, F6, F40: without a place to write it down, nothing is called."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_clients import get, http, ready, session, stdio, text_of, tool, until_ready
from gateway_world import SOON_S, Gateway, World, gateway, hostile, until

AUDIT_UNAVAILABLE = 1503
AUDIT_LOST = 6
"""The exit code of a gateway that ended because of its log."""


def executed(count: Path) -> int:
    """How often the counting tool ran; the file outlives its process."""
    return count.stat().st_size if count.exists() else 0


# The leaves in order: 1 the epoch, 2 and 3 the first call, 4 the intent of the second, 5 its outcome.
@pytest.mark.parametrize("fault", ["sleep:4", "eio", "enospc"])
async def test_a_call_whose_intent_cannot_be_written_is_denied_in_time_and_never_sent(
    tmp_path: Path, fault: str
) -> None:
    count = tmp_path / "count"
    environment = {"DOUANE_FAILPOINTS": f"audit.before_commit={fault}@4"}
    upstreams = {"hostile": hostile(f"count={count}")}
    async with (
        gateway(tmp_path / "home", upstreams, environment=environment) as running,
        http(running) as client,
        session(running) as older,
        stdio(running.world) as line,
    ):
        assert text_of(await client.call("hostile_count")) == "1"
        async with asyncio.timeout(SOON_S):
            denied = await client.call("hostile_count")
        assert denied["error"]["code"] == AUDIT_UNAVAILABLE
        assert "Traceback" not in str(denied)
        for door in (client, older, line):
            later = (await door.call("hostile_count"))["error"]
            assert later["code"] == AUDIT_UNAVAILABLE
            # Nothing ran, so there is no answer that could be withheld.
            assert later["message"].startswith("gateway: the audit log cannot be written, so nothing was sent (call ")
        health = await get(running, "/readyz")
        assert (health.status, health.message["audit"]) == (503, "sealed")
        assert executed(count) == 1
        assert await running.ended() == AUDIT_LOST


@pytest.mark.parametrize("fault", ["sleep:3", "eio", "enospc"])
async def test_a_gateway_that_lost_its_log_says_why_and_ends_so_that_the_next_start_recovers(
    tmp_path: Path, fault: str
) -> None:
    count = tmp_path / "count"
    upstreams = {"hostile": hostile(f"count={count}")}
    environment = {"DOUANE_FAILPOINTS": f"audit.before_commit={fault}@4"}
    async with gateway(tmp_path / "home", upstreams, environment=environment) as running, http(running) as client:
        world = running.world
        await client.call("hostile_count")
        assert (await client.call("hostile_count"))["error"]["code"] == AUDIT_UNAVAILABLE
        # A disk that hangs is waited for: without it nothing could be recovered.
        assert await running.ended() == AUDIT_LOST
        last = running.log[-1]
        assert last.startswith("douane: ")
        assert "start it again" in last
        assert str(world.paths.audit) in last
        assert await world.empty(), world.processes()
    again = await world.up()
    async with http(again) as client:
        assert text_of(await client.call("hostile_count")) == "2"
    assert await again.stop() == 0
    assert all(len(call.outcomes) == 1 for call in world.calls().values())
    assert (await world.verified())["ok"] is True


async def test_a_call_in_hand_when_the_log_is_lost_is_answered_before_the_gateway_ends(tmp_path: Path) -> None:
    # 2 is the intent of the slow call, 3 what comes while it runs.
    environment = {"DOUANE_FAILPOINTS": "audit.before_commit=eio@3"}
    async with (
        gateway(tmp_path, {"hostile": hostile()}, environment=environment) as running,
        http(running) as slow,
        http(running) as other,
    ):
        await until_ready(running)
        await slow.begin("tools/call", tool("hostile_slow", {"ms": 3000}))
        assert await until(lambda: any(call.intents for call in running.world.calls().values()))
        assert (await other.call("hostile_echo"))["error"]["code"] == AUDIT_UNAVAILABLE
        (answer,) = [message async for message in slow.messages()]
        assert answer["error"]["code"] == AUDIT_UNAVAILABLE
        assert "the call was sent" in answer["error"]["message"]
        assert await running.ended() == AUDIT_LOST


@pytest.mark.parametrize("leaf", [3, 4], ids=["intent", "outcome"])
async def test_why_the_log_failed_is_for_the_operator_and_no_caller_learns_it(tmp_path: Path, leaf: int) -> None:
    environment = {"DOUANE_FAILPOINTS": f"audit.before_commit=eio@{leaf}"}
    async with (
        gateway(tmp_path, {"hostile": hostile()}, environment=environment) as running,
        http(running) as client,
        session(running) as older,
        stdio(running.world) as line,
    ):
        # Leaf 2: a list of the first who comes, when there is something to list.
        await client.ask("tools/list")
        said = [str(await door.call("hostile_echo", text="x")) for door in (client, older, line)]
        said += [str(await door.ask("tools/list")) for door in (client, older, line)]
        said.append((await get(running, "/readyz")).body.decode())
        assert all(str(AUDIT_UNAVAILABLE) in answer for answer in said[:-1]), said
        for secret in ("failpoint", "Errno", "audit.db", str(tmp_path)):
            assert not any(secret in answer for answer in said), secret
        assert await running.ended() == AUDIT_LOST
        assert any("failpoint audit.before_commit" in entry for entry in running.log)


async def test_fifty_calls_at_once_before_a_hanging_disk_are_all_denied_in_time(tmp_path: Path) -> None:
    count = tmp_path / "count"
    environment = {"DOUANE_FAILPOINTS": "audit.before_commit=sleep:4@2"}
    upstreams = {"hostile": hostile(f"count={count}")}
    async with gateway(tmp_path / "home", upstreams, environment=environment) as running:

        async def denied() -> int:
            async with http(running) as client:
                return (await client.call("hostile_count"))["error"]["code"]

        async with asyncio.timeout(SOON_S):
            assert set(await asyncio.gather(*[denied() for _ in range(50)])) == {AUDIT_UNAVAILABLE}
        assert executed(count) == 0
        assert await running.ended() == AUDIT_LOST


async def test_a_log_that_is_lost_while_the_gateway_is_told_to_stop_is_no_good_end(tmp_path: Path) -> None:
    # 3 is the outcome of the call that SIGTERM finds open.
    environment = {"DOUANE_FAILPOINTS": "audit.before_commit=eio@3"}
    async with gateway(tmp_path, {"hostile": hostile()}, environment=environment) as running, http(running) as client:
        await until_ready(running)
        await client.begin("tools/call", tool("hostile_slow", {"ms": 500}))
        assert await until(lambda: any(call.intents for call in running.world.calls().values()))
        assert await running.stop() == AUDIT_LOST
        assert "start it again" in running.log[-1]


async def test_an_answer_that_cannot_be_recorded_is_withheld_and_closed_as_unknown_at_the_next_start(
    tmp_path: Path,
) -> None:
    count = tmp_path / "count"
    upstreams = {"hostile": hostile(f"count={count}")}
    environment = {"DOUANE_FAILPOINTS": "audit.before_commit=eio@5"}
    async with gateway(tmp_path / "home", upstreams, environment=environment) as running:
        async with http(running) as client:
            await client.call("hostile_count")
            withheld = await client.call("hostile_count")
            assert withheld["error"]["code"] == AUDIT_UNAVAILABLE
            assert "was sent" in withheld["error"]["message"]
        world = running.world
        assert await running.ended() == AUDIT_LOST
    assert executed(count) == 2
    again = await world.up()
    assert await again.stop() == 0
    assert [o.status for call in world.calls().values() for o in call.outcomes] == ["ok", "unknown"]
    assert (await world.verified())["ok"] is True


@pytest.mark.parametrize("point", ["before_stage", "after_stage", "before_commit", "after_commit", "before_ack"])
async def test_a_kill_at_any_point_of_writing_leaves_a_log_that_recovers(tmp_path: Path, point: str) -> None:
    count = tmp_path / "count"
    upstreams = {"hostile": hostile(f"count={count}")}
    world = World(tmp_path / "home", upstreams)
    running = await world.up(DOUANE_FAILPOINTS=f"audit.{point}=kill@4")
    try:
        async with http(running) as client:
            await client.call("hostile_count")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.call("hostile_count")
    finally:
        await running.kill()
    assert await world.empty(), world.processes()
    assert executed(count) == 1
    again = await world.up()
    assert await again.stop() == 0
    statuses = [o.status for call in world.calls().values() for o in call.outcomes]
    assert statuses in (["ok"], ["ok", "unknown"])
    assert all(call.outcomes for call in world.calls().values())
    assert (await world.verified())["ok"] is True


async def test_a_nearly_full_disk_refuses_calls_before_it_is_full(tmp_path: Path) -> None:
    count = tmp_path / "count"
    upstreams = {"hostile": hostile(f"count={count}")}
    # More room than any disk has.
    world = World(tmp_path / "home", upstreams, audit={"min_free_bytes": 1 << 60})
    ran = await world.run("up", "--config", str(world.config), "--port", "0")
    assert ran.code == 5
    assert "nearly full" in ran.err
    assert executed(count) == 0
    assert await world.empty()


async def test_a_second_gateway_on_the_same_data_is_refused_at_once_and_the_first_serves_on(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        before = await client.call("hostile_echo", text="before")
        second = await running.world.run("up", "--config", str(running.world.config), "--port", "0")
        assert second.code == 5
        assert "Traceback" not in second.err
        assert text_of(before) == "before"
        assert text_of(await client.call("hostile_echo", text="after")) == "after"
        assert await ready(running)
    assert (await running.world.verified())["ok"] is True


def _a_file_for_a_folder(world: World) -> None:
    world.paths.data_dir.write_text("not a folder")


def _a_folder_nobody_can_write_to(world: World) -> None:
    # Not even root, who may be running these tests.
    world.paths.data_dir.symlink_to("/proc")


def _a_folder_for_the_log(world: World) -> None:
    world.paths.audit.mkdir(parents=True)


def _a_log_that_is_none(world: World) -> None:
    world.paths.data_dir.mkdir(parents=True)
    world.paths.audit.write_bytes(b"this is no database" * 1000)


def _a_token_for_everybody(world: World) -> None:
    world.paths.config_dir.mkdir(parents=True)
    world.paths.token.write_text("dn_" + "x" * 43)
    world.paths.token.chmod(0o644)


def _keys_of_seals_for_everybody(world: World) -> None:
    keys = world.paths.keys / "seal.keys"
    keys.parent.mkdir(parents=True)
    keys.write_text("a2V5" * 11)
    keys.chmod(0o644)


@pytest.mark.parametrize(
    "obstacle",
    [
        _a_file_for_a_folder,
        _a_folder_nobody_can_write_to,
        _a_folder_for_the_log,
        _a_log_that_is_none,
        _a_token_for_everybody,
        _keys_of_seals_for_everybody,
    ],
)
async def test_a_gateway_that_cannot_keep_its_data_does_not_start(
    tmp_path: Path, obstacle: Callable[[World], None]
) -> None:
    world = World(tmp_path, {"hostile": hostile()})
    obstacle(world)
    ran = await world.run("up", "--config", str(world.config), "--port", "0")
    assert ran.code == 5, ran.err
    assert str(world.home) in ran.err
    assert "Traceback" not in ran.err
    assert await world.empty()


async def test_a_log_that_was_rolled_back_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        world = running.world
        await client.call("hostile_echo", text="kept")
    old = world.paths.audit.read_bytes()
    again: Gateway = await world.up()
    assert await again.stop() == 0
    for file in world.paths.data_dir.glob("audit.db*"):
        file.unlink()
    world.paths.audit.write_bytes(old)
    ran = await world.run("up", "--config", str(world.config), "--port", "0")
    assert ran.code == 5
    assert "old copy restored" in ran.err or "were signed" in ran.err
