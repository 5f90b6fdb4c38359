"""The command line against a real gateway in front of a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from gateway_world import Gateway, World, gateway, hostile, real
from peers import Server as Scripted
from peers import errors

from douane.transports.unix import serve_unix

pytestmark = pytest.mark.counterpart


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Gateway]:
    time = real("mcp-server-time", reads={"tools": ["get_*"]})
    async with gateway(tmp_path, {"time": time}) as found:
        yield found


async def test_a_tool_marked_as_reading_is_called_and_its_text_shown(running: Gateway) -> None:
    ran = await running.world.run("call", "time_get_current_time", "timezone=UTC")
    assert ran.code == 0
    assert json.loads(ran.out)["timezone"] == "UTC"


async def test_a_refusal_names_the_command_that_allows_it_and_that_command_does(running: Gateway) -> None:
    arguments = ["source_timezone=UTC", "time=12:00", "target_timezone=Asia/Tokyo"]
    refused = await running.world.run("call", "time_convert_time", *arguments)
    assert refused.code == 1
    assert "douane allow time_convert_time" in refused.err
    assert (await running.world.run("allow", "time_convert_time")).code == 0
    again = await running.world.run("allow", "time_convert_time")
    assert (again.code, "allowed before" in again.out) == (0, True)

    # Within a second, says the documentation.
    async with asyncio.timeout(5.0):
        while (await running.world.run("call", "time_convert_time", *arguments)).code != 0:
            pass


async def test_allowing_what_is_not_there_changes_nothing(running: Gateway) -> None:
    ran = await running.world.run("allow", "time_no_such_tool")
    assert (ran.code, "there is no tool" in ran.err) == (1, True)
    assert not (running.world.home / "config" / "allowed.cedar").exists()


@pytest.mark.parametrize("option", ["--user", "--group"])
async def test_a_name_that_is_no_text_is_refused_and_no_rule_is_written(running: Gateway, option: str) -> None:
    ran = await running.world.run("allow", "time_convert_time", option, "caf\udce9")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"douane: {option} is not UTF-8, so no rule can name it\n"
    assert not running.world.paths.allowed.exists()


@pytest.mark.parametrize("there", ["folder", "bytes"])
async def test_a_file_of_rules_that_cannot_be_added_to_is_named(tmp_path: Path, there: str) -> None:
    async with gateway(tmp_path, {"time": real("mcp-server-time", reads={})}) as running:
        allowed = running.world.paths.allowed
        allowed.mkdir() if there == "folder" else allowed.write_bytes(b"// caf\xe9\n")
        ran = await running.world.run("allow", "time_convert_time")
    assert (ran.code, ran.out) == (5, "")
    assert ran.err.startswith(f"douane: {allowed} cannot be added to: ")


async def test_lists_are_for_people_and_for_programs(running: Gateway) -> None:
    shown = await running.world.run("list")
    assert "time_get_current_time" in shown.out
    document = json.loads((await running.world.run("list", "--json")).out)
    assert [tool["name"] for tool in document["tools"]] == ["time_get_current_time", "time_convert_time"]
    assert document["missing"] == []
    assert (await running.world.run("list", "prompts")).code == 0


async def test_what_was_done_is_read_and_proved(running: Gateway) -> None:
    await running.world.run("call", "time_get_current_time", "timezone=UTC")
    lines = [json.loads(line) for line in (await running.world.run("audit", "tail", "--json")).out.splitlines()]
    assert [line["kind"] for line in lines][-2:] == ["intent", "outcome"]
    assert lines[-2]["subject"] == "owner"
    assert lines[-2]["payload"] == {"name": "get_current_time", "arguments": {"timezone": "UTC"}}
    assert "outcome" in (await running.world.run("audit", "tail")).out
    proved = await running.world.run("audit", "verify")
    assert (proved.code, proved.out.startswith("ok: ")) == (0, True)


async def test_the_doctor_finds_a_running_gateway_well(running: Gateway) -> None:
    ran = await running.world.run("doctor", "--json")
    states = {finding["what"]: finding["state"] for finding in json.loads(ran.out)}
    assert states["gateway"] == "ok"
    assert states["configuration"] == "ok"


async def test_the_doctor_says_once_that_it_is_the_gateway_that_complains(tmp_path: Path) -> None:
    world = World(tmp_path, {"one": hostile()})
    said = "gateway: the audit log cannot be written"
    async with Scripted(tools__list=errors(-32603, said)) as scripted:
        listening = await serve_unix(str(world.paths.socket), scripted.take)
        try:
            ran = await world.run("doctor")
        finally:
            await listening.aclose()
    assert f"bad  {said}\n" in ran.out


async def test_errors_of_the_command_line_have_their_codes(running: Gateway) -> None:
    assert (await running.world.run("call", "time_get_current_time", "no-equals-sign")).code == 2
    assert (await running.world.run("call", "time_get_current_time", "timezone=Nowhere/Land")).code == 1
    assert (await running.world.run("config", "explain", "--config", "/no/such/file.yaml")).code == 3
    assert (await running.world.run("no-such-verb")).code == 2


async def test_settings_say_where_they_were_said(tmp_path: Path) -> None:
    world = World(tmp_path, {"one": hostile()})
    rows = json.loads((await world.run("config", "explain", "--json")).out)
    by_setting = {row["setting"]: row for row in rows}
    assert by_setting["limits.max_frame_bytes"] == {
        "setting": "limits.max_frame_bytes",
        "value": "4194304",
        "source": "default",
    }
    assert by_setting["upstreams.one.command[0]"]["source"] != "default"
    assert (await world.run("config", "check")).code == 0
    assert "properties" in json.dumps(json.loads((await world.run("config", "schema")).out))
