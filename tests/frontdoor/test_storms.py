"""F29, G38: an upstream that never stops telling of changes is listed once a second, and its last change is seen."""

import asyncio
from pathlib import Path

import pytest
from gateway_clients import http, names_of, session, wire
from gateway_world import gateway
from http_upstream import HttpUpstream, http_upstream
from peers import tool

CHANGED = "notifications/tools/list_changed"
PER_S = 200
STORM_S = 3.0
LISTEN = {"accept": "text/event-stream"}


async def storm(server: HttpUpstream) -> None:
    """As many notifications a second for so long, each after another change."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    ear, began_s = server.ears[-1], loop.time()

    def blow(count: int) -> None:
        server.tools = [tool("echo"), tool(f"new{count}")]
        ear.tell(CHANGED)
        if count < PER_S * STORM_S:
            loop.call_at(began_s + count / PER_S, blow, count + 1)
        else:
            over.set()

    blow(1)
    await over.wait()


@pytest.mark.slow
async def test_two_hundred_changes_a_second_are_one_refresh_a_second_and_the_last_is_seen(tmp_path: Path) -> None:
    async with (
        http_upstream() as server,
        gateway(tmp_path, {"far": server.config}) as running,
        http(running) as client,
        session(running) as older,
        wire(running) as ear,
    ):
        await ear.send("GET", older.headers() | LISTEN)
        _, said = await ear.status()
        await server.until("GET")
        # Its opening counts as a change.
        await server.until("tools/list", 2)
        before = server.methods().count("tools/list")
        await storm(server)
        last = f"far_new{round(PER_S * STORM_S)}"
        async with asyncio.timeout(5.0):
            async for chunk in ear.chunks(said):
                if chunk.endswith(b"data: \n\n"):
                    # The stream has begun.
                    continue
                # Callers are told no more often than it is listed.
                assert CHANGED.encode() in chunk
                if last in names_of(await client.ask("tools/list")):
                    break
        # One for each second that began, and one for what came last.
        assert server.methods().count("tools/list") - before <= STORM_S + 2
