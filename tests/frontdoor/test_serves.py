"""The gateway serves every era, over every door, in front of servers that this project did not write."""

from pathlib import Path

import pytest
from gateway_clients import HttpClient, LineClient, http, session, stdio, text_of
from gateway_world import gateway, hostile, real

pytestmark = pytest.mark.counterpart


async def test_a_free_port_is_served_under_the_names_of_this_machine(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        assert text_of(await client.call("hostile_echo", text="hello")) == "hello"


async def test_real_servers_answer_through_every_door_in_both_eras(tmp_path: Path) -> None:
    async def ask(client: HttpClient | LineClient) -> None:
        listed = await client.ask("tools/list")
        assert {"time_convert_time", "git_git_status"} <= {item["name"] for item in listed["result"]["tools"]}
        told = await client.call("time_get_current_time", timezone="UTC")
        assert "UTC" in text_of(told)
        status = await client.call("git_git_status", repo_path=str(tmp_path))
        assert "result" in status

    upstreams = {"time": real("mcp-server-time"), "git": real("mcp-server-git")}
    async with gateway(tmp_path, upstreams) as running:
        async with http(running) as client:
            await ask(client)
        async with session(running) as client:
            await ask(client)
        async with stdio(running.world) as client:
            await ask(client)
        async with stdio(running.world) as client:
            await client.greet()
            await ask(client)
    assert (await running.world.verified())["ok"] is True
