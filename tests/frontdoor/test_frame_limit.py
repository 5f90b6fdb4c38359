"""`limits.max_frame_bytes` is the one limit on messages: what it allows passes every door and way, what it does not, none."""

from pathlib import Path

from gateway_clients import http, stdio, text_of
from gateway_world import gateway, hostile
from http_upstream import Heard, http_upstream

LARGE = 6 << 20
"""More than the default of every part on the way."""
ROOM = {"limits": {"max_frame_bytes": 8 << 20}}
UNAVAILABLE = 1502


def large(heard: Heard) -> None:
    heard.answer({"content": [{"type": "text", "text": "x" * LARGE}]})


async def test_a_large_message_passes_a_line_both_ways_where_the_limit_allows_it(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}, **ROOM) as running, stdio(running.world) as line:
        text = "x" * LARGE
        assert text_of(await line.call("hostile_echo", text=text)) == text


async def test_the_command_line_takes_what_the_gateway_lets_pass(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}, **ROOM) as running:
        ran = await running.world.run("call", "hostile_big", f"bytes={LARGE}")
        assert (ran.code, len(ran.out.strip())) == (0, LARGE), ran.err[-500:]


async def test_a_large_answer_of_a_server_at_a_url_passes_where_the_limit_allows_it(tmp_path: Path) -> None:
    async with (
        http_upstream(tools__call=large) as server,
        gateway(tmp_path, {"far": server.config}, **ROOM) as running,
        http(running) as client,
    ):
        assert len(text_of(await client.call("far_echo"))) == LARGE


async def test_a_large_answer_of_a_server_at_a_url_is_refused_where_it_does_not(tmp_path: Path) -> None:
    limits = {"limits": {"max_frame_bytes": 1 << 20}}
    async with (
        http_upstream(tools__call=large) as server,
        gateway(tmp_path, {"far": server.config}, **limits) as running,
        http(running) as client,
    ):
        refused = (await client.call("far_echo"))["error"]
        assert refused["code"] == UNAVAILABLE
        assert f"more than {1 << 20} bytes" in refused["message"]
        assert server.methods().count("tools/call") == 1
