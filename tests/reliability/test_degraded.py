"""F43 and F44: some upstreams are there and some are not. The gateway is ready, and says what is missing and why."""

import asyncio
import json
import os
from pathlib import Path

from gateway_clients import get, http, missing_of, names_of, session, stdio, text_of, tool, until_ready
from gateway_world import SOON_S, gateway, hostile, until, witness

UNAVAILABLE = 1502


async def test_one_dead_upstream_of_many_costs_nothing_but_its_own_tools(tmp_path: Path) -> None:
    upstreams = {"dead": {"command": [str(tmp_path / "nothing-here")]}, "dying": hostile("dies-at-start")}
    upstreams |= {f"good{number}": hostile() for number in range(8)}
    async with gateway(tmp_path / "home", upstreams) as running, http(running) as client:
        await until_ready(running)
        health = (await get(running, "/readyz")).message
        assert health["upstreams"]["dead"] == "down"
        listed = await client.ask("tools/list")
        assert set(missing_of(listed)) == {"dead", "dying"}
        assert "nothing-here" not in missing_of(listed)["dead"]
        assert "status 3" not in missing_of(listed)["dying"]
        assert any("nothing-here" in line for line in running.log)
        assert any("status 3" in line for line in running.log)
        assert {name.split("_")[0] for name in names_of(listed)} == {f"good{number}" for number in range(8)}
        assert text_of(await client.call("good7_echo", text="here")) == "here"


async def test_the_gap_is_named_to_clients_of_every_door_and_era(tmp_path: Path) -> None:
    upstreams = {"dead": hostile("dies-at-start"), "good": hostile()}
    async with (
        gateway(tmp_path, upstreams) as running,
        http(running) as modern,
        session(running) as older,
        stdio(running.world) as line,
        stdio(running.world) as older_line,
    ):
        await older_line.greet()
        for client in (modern, older, line, older_line):
            assert set(missing_of(await client.ask("tools/list"))) == {"dead"}
    assert any("upstream dead is down" in line for line in running.log)


async def test_a_call_to_an_upstream_that_never_came_up_names_its_state_and_the_next_attempt(tmp_path: Path) -> None:
    upstreams = {"dead": {"command": [str(tmp_path / "nothing-here")]}, "good": hostile()}
    async with gateway(tmp_path / "home", upstreams) as running, http(running) as client, session(running) as older:
        await client.ask("tools/list")
        for door in (client, older):
            async with asyncio.timeout(SOON_S):
                refused = await door.call("dead_letter")
            assert refused["error"]["code"] == UNAVAILABLE
            assert "upstream dead: " in refused["error"]["message"]
        assert (await client.call("good_heavens"))["error"]["code"] == -32602
        assert (await client.call("nobodys_tool"))["error"]["code"] == -32602


async def test_a_call_to_an_upstream_that_went_down_is_refused_at_once_with_its_state(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile(), "good": hostile()}) as running, http(running) as client:
        await client.ask("tools/list")
        await client.call("hostile_die")
        async with asyncio.timeout(SOON_S):
            refused = await client.call("hostile_echo", text="too soon")
        # Between its fall and the end of the pause: down, and until when.
        assert refused["error"]["code"] == UNAVAILABLE
        assert "hostile" in refused["error"]["message"]
        assert "tried again in" in refused["error"]["message"]
        assert text_of(await client.call("good_echo", text="fine")) == "fine"


async def test_an_upstream_whose_command_appears_is_listed_and_clients_are_told(tmp_path: Path) -> None:
    command, seen = tmp_path / "server", tmp_path / "seen"
    late = witness(seen, prefix="late_")
    upstreams = {"late": {**late, "command": [str(command)]}, "good": hostile()}
    async with (
        gateway(tmp_path / "home", upstreams) as running,
        http(running) as modern,
        session(running) as client,
        session(running) as ear,
        stdio(running.world) as line,
    ):
        await line.greet()
        assert set(missing_of(await modern.ask("tools/list"))) == {"late"}
        assert (await line.ask("tools/list"))["result"]["tools"]
        await ear.line.send("GET", ear.headers() | {"accept": "text/event-stream"})
        told = ear.messages()
        script = "\n".join(["#!/bin/sh", "exec " + " ".join(f"'{part}'" for part in late["command"]), ""])
        made = tmp_path / "made"
        made.write_text(script)
        made.chmod(0o755)
        os.rename(made, command)
        assert (await anext(told))["method"] == "notifications/tools/list_changed"
        await line.note_of("notifications/tools/list_changed")
        for caller in (modern, client, line):
            listed = await caller.ask("tools/list")
            assert missing_of(listed) == {}
            assert "late_echo" in names_of(listed)
            assert text_of(await caller.call("late_echo", text="at last")) == "at last"


async def test_an_upstream_that_changes_its_tools_is_listed_anew_and_every_ear_hears_it_once(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}) as running,
        session(running) as ear,
        stdio(running.world) as line,
        stdio(running.world) as modern_line,
        http(running) as client,
    ):
        await line.greet()
        await modern_line.ask("tools/list")
        before = await client.ask("tools/list")
        await ear.line.send("GET", ear.headers() | {"accept": "text/event-stream"})
        told = ear.messages()
        await client.call("w_release", tools=["fresh"])
        assert (await anext(told))["method"] == "notifications/tools/list_changed"
        await line.note_of("notifications/tools/list_changed")
        after = await client.ask("tools/list")
        assert set(names_of(after)) - set(names_of(before)) == {"w_fresh"}
        assert text_of(await client.call("w_fresh")) == "fresh"
        # The newest revision has no unasked notifications: that line heard nothing but its answer.
        await modern_line.ask("tools/list")
        assert modern_line.heard == []


async def test_a_storm_of_changes_is_read_a_few_times_and_the_last_is_seen(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen)}) as running, http(running) as client:
        await client.ask("tools/list")
        for number in range(100):
            await client.call("w_release", tools=[f"fresh{number}"])

        def lists() -> int:
            return sum(json.loads(line).get("method") == "tools/list" for line in seen.read_bytes().splitlines())

        async with asyncio.timeout(5.0):
            while "w_fresh99" not in names_of(await client.ask("tools/list")):
                pass
        assert lists() <= 102


async def test_a_tool_that_vanished_is_refused_and_never_sent(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen, "brief")}) as running, http(running) as client:
        assert text_of(await client.call("w_brief")) == "brief"
        await client.call("w_release", tools=[])
        assert await until(lambda: seen.read_bytes().count(b'"tools/list"') == 2)
        refused = await client.call("w_brief")
        assert refused["error"]["code"] == -32602
        assert seen.read_bytes().count(b'"brief"') == 1


async def test_a_hanging_start_keeps_nobody_waiting_long(tmp_path: Path) -> None:
    upstreams = {"never": hostile("never-initialises", start_timeout_s=1.0), "good": hostile()}
    async with gateway(tmp_path, upstreams) as running, http(running) as client:
        assert text_of(await client.call("good_echo", text="now")) == "now"
        listed = await client.ask("tools/list")
        assert set(missing_of(listed)) == {"never"}
        assert (await client.ask("tools/call", tool("never_echo")))["error"]["code"] in (-32602, UNAVAILABLE)
