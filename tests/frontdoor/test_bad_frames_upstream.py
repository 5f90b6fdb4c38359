"""F20: every bad frame an upstream can send costs the call it belongs to, at most, and nobody else anything."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import HttpClient, enveloped, head, http, post, request, text_of, tool, until_ready
from gateway_world import SOON_S, gateway, hostile
from http_upstream import http_upstream

DEADLINE_S = 1.0
UNAVAILABLE, DEADLINE = 1502, 1504

HARMLESS: list[tuple[str, dict[str, Any]]] = [
    ("garbage", {}),
    ("wrong_id", {}),
    ("string_id", {}),
    ("null_id", {}),
    ("no_id", {}),
    ("late", {}),
    ("flood", {"count": 10_000}),
    ("list_changed", {"count": 200}),
    ("asks", {}),
    ("stderr", {}),
]
"""The right answer comes too, and is what the caller gets."""

NO_ANSWER: list[tuple[str, dict[str, Any]]] = [
    ("batch", {}),
    ("deep", {"depth": 100_000}),
    ("deep", {"depth": 1000}),
    ("nan", {}),
    ("duplicate_keys", {}),
    ("bad_utf8", {}),
    ("giant", {"bytes": 8 << 20}),
    ("big", {"bytes": 5 << 20}),
]
"""What came is no answer that we would vouch for."""


class Bystander:
    """Calls a good tool of the same and of another upstream all the while."""

    def __init__(self, client: HttpClient) -> None:
        self.client, self.calls = client, 0

    async def run(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            self.calls += 1
            assert text_of(await self.client.call("good_echo", text=str(self.calls))) == str(self.calls)


async def test_a_frame_that_belongs_to_nothing_leaves_the_right_answer_alone(tmp_path: Path) -> None:
    upstreams = {"hostile": hostile(), "good": hostile()}
    async with gateway(tmp_path, upstreams) as running, http(running) as client, http(running) as other:
        ended, bystander = asyncio.Event(), Bystander(other)
        standing = asyncio.create_task(bystander.run(ended))
        for tool, arguments in HARMLESS:
            assert text_of(await client.call(f"hostile_{tool}", **arguments)) == "done", tool
        assert text_of(await client.call("hostile_duplicate")) == "first"
        ended.set()
        await standing
        assert bystander.calls > len(HARMLESS)


@pytest.mark.parametrize(("tool", "arguments"), NO_ANSWER, ids=lambda value: value if isinstance(value, str) else "")
async def test_an_answer_that_is_none_fails_its_own_call_in_time(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    upstreams = {"hostile": hostile(deadline_s=DEADLINE_S), "good": hostile()}
    async with gateway(tmp_path, upstreams) as running, http(running) as client, http(running) as other:
        await client.ask("tools/list")
        ended, bystander = asyncio.Event(), Bystander(other)
        standing = asyncio.create_task(bystander.run(ended))
        async with asyncio.timeout(SOON_S):
            answer = await client.call(f"hostile_{tool}", **arguments)
        assert answer["error"]["code"] in (UNAVAILABLE, DEADLINE)
        assert "Traceback" not in answer["error"]["message"]
        ended.set()
        await standing
        assert bystander.calls > 0
        (outcome,) = [
            o for call in running.world.calls().values() for o in call.outcomes if o.status not in ("ok", "tool_error")
        ]
        assert (outcome.status, outcome.sent) == ("failed", "unknown")


async def test_a_great_integer_and_terminal_escapes_pass_as_what_they_are(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        whole = await client.call("hostile_huge_int")
        assert whole["result"]["structuredContent"]["value"] == int("9" * 400)
        assert text_of(await client.call("hostile_escapes")) == "\x1b[2Jcleared\u2028next\u202edrawkcab\r\n"
        shown = await running.world.run("call", "hostile_escapes", "--config", str(running.world.config))
        assert "\x1b" not in shown.out
        assert "\u202e" not in shown.out


async def test_a_server_that_asks_back_gets_no_capability_and_the_client_no_question(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        await client.begin("tools/call", {"name": "hostile_asks", "arguments": {}})
        heard = [message async for message in client.messages()]
        assert [text_of(message) for message in heard] == ["done"]


@pytest.mark.parametrize(("code", "status"), [(-32601, 404), (-32602, 200), (-32603, 200)])
async def test_an_error_of_a_server_has_the_status_of_its_code(tmp_path: Path, code: int, status: int) -> None:
    async with (
        http_upstream("stateless", tools__call=lambda heard: heard.error(code, "no")) as server,
        gateway(tmp_path, {"far": server.config}) as running,
    ):
        await until_ready(running)
        asked = request("tools/call", enveloped(tool("far_echo")))
        answer = await post(running, asked, head(running.token, asked))
        assert (answer.status, answer.code) == (status, code)
