"""Progress, log messages and cancellation pass the gateway, in each era by its own rules.

The upstream is a witness of either era: what it was sent is what counts.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import HttpClient, LineClient, Message, http, session, stdio, text_of, tool, until_ready
from gateway_world import SOON_S, Gateway, gateway, until, witness

LEVEL = "io.modelcontextprotocol/logLevel"
UPSTREAMS = pytest.mark.parametrize("mode", [(), ("modern",)], ids=["upstream-2025", "upstream-2026"])


def frames(seen: Path, method: str) -> list[dict[str, Any]]:
    lines = seen.read_bytes().splitlines() if seen.exists() else []
    return [frame for frame in map(json.loads, lines) if frame.get("method") == method]


async def open_wait(client: HttpClient | LineClient, seen: Path) -> int:
    """A call that has arrived at the witness, and waits there."""
    already = len(frames(seen, "tools/call"))
    id = await client.begin("tools/call", tool("w_wait"))
    assert await until(lambda: len(frames(seen, "tools/call")) > already)
    return id


async def cancelled_upstream(seen: Path) -> bool:
    """The witness was told, in time, and of the call it holds."""
    if not await until(lambda: frames(seen, "notifications/cancelled"), SOON_S):
        return False
    return frames(seen, "notifications/cancelled")[0]["params"]["requestId"] == frames(seen, "tools/call")[0]["id"]


async def recorded(gateway: Gateway, status: str) -> bool:
    def last() -> list[str]:
        return [o.status for call in gateway.world.calls().values() if call.intents for o in call.outcomes]

    return await until(lambda: last() == [status], 2.0)


def told(messages: list[Message], method: str) -> list[Message]:
    return [message["params"] for message in messages if message.get("method") == method]


# --- progress and log messages ---


@UPSTREAMS
async def test_progress_comes_in_order_under_the_callers_token_and_before_the_answer(
    tmp_path: Path, mode: tuple[str, ...]
) -> None:
    seen = tmp_path / "seen"
    async with (
        gateway(tmp_path / "home", {"w": witness(seen, *mode)}) as running,
        http(running) as modern,
        session(running) as older,
    ):
        await until_ready(running)
        for client, token in ((modern, "a token"), (older, 7)):
            await client.begin("tools/call", tool("w_work", {"steps": 4}), progressToken=token)
            heard = [message async for message in client.messages()]
            progress = told(heard, "notifications/progress")
            assert [(p["progressToken"], p["progress"], p["message"]) for p in progress] == [
                (token, step, f"step {step}") for step in range(1, 5)
            ]
            assert text_of(heard[-1]) == "worked"
        ours = [frame["params"]["_meta"]["progressToken"] for frame in frames(seen, "tools/call")]
        assert "a token" not in ours
        assert len(set(ours)) == 2


@UPSTREAMS
async def test_progress_and_answers_pass_on_lines_of_both_eras(tmp_path: Path, mode: tuple[str, ...]) -> None:
    async with (
        gateway(tmp_path / "home", {"w": witness(tmp_path / "seen", *mode)}) as running,
        stdio(running.world) as modern,
        stdio(running.world) as older,
    ):
        await older.greet()
        for line in (modern, older):
            answer = await line.ask("tools/call", tool("w_work"), progressToken="mine")
            assert text_of(answer) == "worked"
            assert [p["progress"] for p in told(line.heard, "notifications/progress")] == [1, 2, 3]
            assert {p["progressToken"] for p in told(line.heard, "notifications/progress")} == {"mine"}


@UPSTREAMS
async def test_who_asks_for_no_progress_and_no_log_gets_one_plain_answer(tmp_path: Path, mode: tuple[str, ...]) -> None:
    async with (
        gateway(tmp_path / "home", {"w": witness(tmp_path / "seen", *mode)}) as running,
        http(running) as client,
        session(running) as older,
        stdio(running.world) as line,
    ):
        for caller in (client, older):
            await caller.begin("tools/call", tool("w_work"))
            assert [text_of(message) async for message in caller.messages()] == ["worked"]
        await line.call("w_work")
        assert line.heard == []


@UPSTREAMS
async def test_log_messages_reach_the_caller_that_wants_them_from_its_level_up(
    tmp_path: Path, mode: tuple[str, ...]
) -> None:
    async with (
        gateway(tmp_path / "home", {"w": witness(tmp_path / "seen", *mode)}) as running,
        http(running) as client,
        session(running) as older,
        stdio(running.world) as line,
    ):
        await client.begin("tools/call", tool("w_work"), **{LEVEL: "info"})
        heard = [message async for message in client.messages()]
        assert [m["data"] for m in told(heard, "notifications/message")] == ["said 2", "said 3"]
        await older.ask("logging/setLevel", {"level": "debug"})
        await older.begin("tools/call", tool("w_work"))
        heard = [message async for message in older.messages()]
        assert [m["data"] for m in told(heard, "notifications/message")] == ["said 1", "said 2", "said 3"]
        await line.ask("tools/call", tool("w_work"), **{LEVEL: "error"})
        assert line.heard == []


# --- cancellation ---


@UPSTREAMS
async def test_a_closed_connection_cancels_a_call_of_the_stateless_era(tmp_path: Path, mode: tuple[str, ...]) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen, *mode)}) as running:
        async with http(running) as client:
            await open_wait(client, seen)
        assert await cancelled_upstream(seen)
        assert await recorded(running, "cancelled")


async def test_a_closed_stream_cancels_too_in_mid_progress(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen)}) as running:
        async with http(running) as client:
            await client.begin("tools/call", tool("w_work", {"hold": True}), progressToken=1)
            stream = client.messages()
            assert (await anext(stream))["params"]["progress"] == 1
        assert await cancelled_upstream(seen)
        assert await recorded(running, "cancelled")


async def test_a_lost_connection_cancels_nothing_in_a_session(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen)}) as running, http(running) as other:
        async with session(running) as client:
            await open_wait(client, seen)
        assert text_of(await other.call("w_release")) == "released"

        def ended() -> list[str]:
            return sorted(o.status for call in running.world.calls().values() if call.intents for o in call.outcomes)

        assert await until(lambda: ended() == ["ok", "ok"], 2.0)
        assert frames(seen, "notifications/cancelled") == []


async def test_the_notification_cancels_in_a_session_and_nothing_more_is_said(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen)}) as running, session(running) as client:
        id = await open_wait(client, seen)
        assert (await client.note("notifications/cancelled", {"requestId": id})).status == 202
        assert await cancelled_upstream(seen)
        assert [message async for message in client.messages()] == [{"status": 202}]
        assert await recorded(running, "cancelled")
        assert text_of(await client.call("w_echo", text="goes on")) == "goes on"


async def test_a_session_cannot_cancel_the_call_of_another(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with (
        gateway(tmp_path / "home", {"w": witness(seen)}) as running,
        session(running) as client,
        session(running) as stranger,
    ):
        id = await open_wait(client, seen)
        await stranger.note("notifications/cancelled", {"requestId": id})
        await stranger.call("w_release")
        assert [text_of(message) async for message in client.messages()] == ["waited"]
        assert frames(seen, "notifications/cancelled") == []


@pytest.mark.parametrize("greets", [False, True])
@UPSTREAMS
async def test_the_notification_cancels_on_a_line(tmp_path: Path, mode: tuple[str, ...], greets: bool) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen, *mode)}) as running, stdio(running.world) as line:
        if greets:
            await line.greet()
        id = await open_wait(line, seen)
        await line.note("notifications/cancelled", {"requestId": id})
        assert await cancelled_upstream(seen)
        assert await recorded(running, "cancelled")
        assert text_of(await line.call("w_echo", text="goes on")) == "goes on"
        assert line.heard == []


async def test_the_end_of_a_client_on_a_line_cancels_what_it_asked(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen)}) as running:
        async with stdio(running.world) as line:
            await open_wait(line, seen)
            line.process.kill()
        assert await cancelled_upstream(seen)
        assert await recorded(running, "cancelled")


@UPSTREAMS
async def test_two_hundred_cancelled_calls_leave_nothing_open(tmp_path: Path, mode: tuple[str, ...]) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen, *mode)}) as running, stdio(running.world) as line:
        await line.ask("tools/list")
        ids = [await line.begin("tools/call", tool("w_wait")) for _ in range(200)]
        assert await until(lambda: len(frames(seen, "tools/call")) == 200)
        for id in ids:
            await line.note("notifications/cancelled", {"requestId": id})
        assert await until(lambda: len(frames(seen, "notifications/cancelled")) == 200)
        assert text_of(await line.call("w_release")) == "released"
        assert line.heard == []

        def statuses() -> list[str]:
            return [o.status for call in running.world.calls().values() if call.intents for o in call.outcomes]

        assert await until(lambda: statuses().count("cancelled") == 200, 2.0)


# --- trace context ---


@UPSTREAMS
async def test_trace_context_reaches_the_server_and_our_envelope_is_our_own(
    tmp_path: Path, mode: tuple[str, ...]
) -> None:
    seen = tmp_path / "seen"
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with gateway(tmp_path / "home", {"w": witness(seen, *mode)}) as running, http(running) as client:
        await client.ask("tools/call", tool("w_echo", {"text": "hello"}), traceparent=trace, tracestate="vendor=1")
    (call,) = frames(seen, "tools/call")
    meta = call["params"]["_meta"]
    assert (meta["traceparent"], meta["tracestate"]) == (trace, "vendor=1")
    assert meta.get("io.modelcontextprotocol/clientInfo", {"name": "douane"})["name"] == "douane"
    assert meta.get("io.modelcontextprotocol/clientCapabilities", {}) == {}
