"""Ten thousand calls that all have the id 1: each gets its own answer."""

import asyncio
from pathlib import Path

import pytest
from gateway_clients import HttpClient, http, text_of, until_ready
from gateway_world import gateway, witness

pytestmark = pytest.mark.slow

LINES, EACH = 8, 1250


async def test_ten_thousand_calls_with_one_id_get_each_its_own_answer(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen", "modern")}) as running:
        await until_ready(running)

        async def calling(line: int) -> None:
            async with http(running) as client:
                for turn in range(EACH):
                    assert await echoed(client, f"{line} {turn}") == f"{line} {turn}"

        await asyncio.gather(*(calling(line) for line in range(LINES)))


async def echoed(client: HttpClient, text: str) -> str:
    asked = {"name": "w_echo", "arguments": {"text": text}}
    await client.begin("tools/call", asked, id=1)
    (answer,) = [message async for message in client.messages() if "id" in message]
    assert answer["id"] == 1
    return text_of(answer)
