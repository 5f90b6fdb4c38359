"""How `douane stdio` ends: at once when nothing is owed, and not before what is owed has been said."""

import asyncio
import json
from pathlib import Path

from gateway_clients import enveloped, request, stdio, tool
from gateway_world import SOON_S, gateway, hostile


async def test_a_pipe_gets_all_its_answers_after_its_end(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, stdio(running.world) as line:
        # An id that a bad frame used is not mistaken for a debt that was paid.
        await line.say(b'{"jsonrpc":"2.0","id":1,"method":7}')
        slow = request("tools/call", enveloped(tool("hostile_slow", {"ms": 300})), 2)
        await line.say(json.dumps(slow).encode())
        line.close()
        assert (await line.answer_to(1))["error"]["code"] == -32600
        assert (await line.answer_to(2))["result"]["content"] == [{"type": "text", "text": "done"}]
        assert await line.ended() == 0


async def test_a_line_that_cancelled_a_call_ends_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, stdio(running.world) as line:
        id = await line.begin("tools/call", tool("hostile_hang"))
        await line.note("notifications/cancelled", {"requestId": id})
        line.close()
        # What is owed is waited for for ten seconds.
        async with asyncio.timeout(SOON_S):
            assert await line.ended() == 0


async def test_a_line_that_sent_unreadable_frames_ends_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, stdio(running.world) as line:
        await line.say(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":1,"x":2}}')
        assert (await line.hear())["id"] is None
        line.close()
        # What is owed is waited for for ten seconds.
        async with asyncio.timeout(SOON_S):
            assert await line.ended() == 0
