"""Ten thousand calls that all have the id 1: each gets its own answer, by whichever door and from whichever server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import HttpClient, LineClient, http, session, stdio, text_of, until_ready
from gateway_world import Gateway, gateway, witness
from http_upstream import Heard, http_upstream

COUNT, LINES = 10_000, 8

Client = HttpClient | LineClient
Door = Callable[[Gateway], AbstractAsyncContextManager[Client]]


@pytest.mark.slow
async def test_ten_thousand_calls_with_one_id_get_each_its_own_answer(tmp_path: Path) -> None:
    async with by_command(tmp_path) as running:
        await all_answered(running, http, LINES)


@asynccontextmanager
async def line(running: Gateway) -> AsyncIterator[LineClient]:
    async with stdio(running.world) as client:
        yield client


@asynccontextmanager
async def older_line(running: Gateway) -> AsyncIterator[LineClient]:
    async with stdio(running.world) as client:
        await client.greet()
        yield client


@asynccontextmanager
async def by_command(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen", "modern")}) as running:
        await until_ready(running)
        yield running


@asynccontextmanager
async def by_url(tmp_path: Path) -> AsyncIterator[Gateway]:
    def echo(heard: Heard) -> None:
        heard.server.heard.clear()
        heard.answer({"content": [{"type": "text", "text": heard.params["arguments"]["text"]}]})

    async with (
        http_upstream(tools__call=echo) as upstream,
        gateway(tmp_path, {"w": {**upstream.config, "reach": "loopback"}}) as running,
    ):
        await until_ready(running)
        yield running


@pytest.mark.long
@pytest.mark.parametrize("upstream", [by_command, by_url])
@pytest.mark.parametrize(
    ("door", "lines"), [(http, 1), (http, 64), (session, 64), (line, 1), (line, LINES), (older_line, LINES)]
)
async def test_whatever_the_door_and_the_server_each_call_gets_its_own_answer(
    tmp_path: Path, upstream: Callable[[Path], AbstractAsyncContextManager[Gateway]], door: Door, lines: int
) -> None:
    """One after the other on one line, or on as many at once as fit."""
    async with upstream(tmp_path) as running:
        await all_answered(running, door, lines)


async def all_answered(running: Gateway, door: Door, lines: int) -> None:
    async def calling(number: int) -> None:
        async with door(running) as client:
            for turn in range(-(-COUNT // lines)):
                assert await echoed(client, f"{number} {turn}") == f"{number} {turn}"

    await asyncio.gather(*(calling(number) for number in range(lines)))


async def echoed(client: Client, text: str) -> str:
    await client.begin("tools/call", {"name": "w_echo", "arguments": {"text": text}}, id=1)
    answer = await answer_of(client)
    assert answer["id"] == 1
    return text_of(answer)


async def answer_of(client: Client) -> Any:
    if isinstance(client, LineClient):
        return await client.answer_to(1)
    (answer,) = [message async for message in client.messages() if "id" in message]
    return answer
