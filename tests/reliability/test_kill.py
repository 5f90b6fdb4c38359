"""F1 and F17: SIGKILL of the gateway under load, again and again. What a client was answered is in the audit.

A client that got no answer knows nothing, and nothing is asked of its call but that the audit closes it. The acked
set is kept out here; it is compared with the audit as a subset.
"""

import asyncio
import json
import random
from pathlib import Path

import pytest
from gateway_clients import HttpClient, http, text_of, until_ready
from gateway_world import Gateway, Recorded, World, hostile, real

KILLS = 25
CLIENTS = 6


class Load:
    """Clients that call until the gateway is gone; `acked` holds the nonces whose answers came whole."""

    def __init__(self) -> None:
        self.acked: set[str] = set()
        self.sent = 0

    async def run(self, gateway: Gateway, number: int) -> None:
        try:
            async with http(gateway) as client:
                while True:
                    await self._one(client, number)
        except (ConnectionError, asyncio.IncompleteReadError):
            return

    async def _one(self, client: HttpClient, number: int) -> None:
        self.sent += 1
        nonce = f"{number}-{self.sent}"
        if number == 0:
            answer = await client.call("time_convert_time", **convert(nonce))
        else:
            answer = await client.call("hostile_echo", text=nonce)
        if "result" in answer and number:
            assert text_of(answer) == nonce
        if "result" in answer:
            self.acked.add(nonce)


def convert(nonce: str) -> dict[str, str]:
    # The server knows no `nonce` and does not mind it.
    return {"source_timezone": "UTC", "time": "12:30", "target_timezone": "Asia/Tokyo", "nonce": nonce}


def nonce_of(call: Recorded) -> str:
    arguments = call.arguments
    return arguments.get("nonce") or arguments.get("text")


@pytest.mark.slow
@pytest.mark.counterpart
async def test_what_a_sigterm_under_load_left_unanswered_was_never_begun(tmp_path: Path) -> None:
    upstreams = {"hostile": hostile(), "time": real("mcp-server-time")}
    world, load, chance = World(tmp_path, upstreams), Load(), random.Random(7)
    for _ in range(5):
        gateway = await start(world)
        clients = [asyncio.create_task(load.run(gateway, number)) for number in range(CLIENTS)]
        await asyncio.sleep(chance.uniform(0.2, 0.5))  # the moment is what is drawn, not an event
        assert await gateway.stop() == 0
        await asyncio.gather(*clients)
        assert await world.empty(0.5), world.processes()
    calls = world.calls()
    assert {nonce_of(call) for call in calls.values()} == load.acked
    assert {tuple(o.status for o in call.outcomes) for call in calls.values()} == {("ok",)}
    assert len(load.acked) > 250


async def start(world: World) -> Gateway:
    """A gateway that is ready."""
    gateway = await world.up()
    await until_ready(gateway)
    return gateway


@pytest.mark.slow
@pytest.mark.counterpart
async def test_what_was_answered_before_any_of_25_kills_is_in_the_audit(tmp_path: Path) -> None:
    upstreams = {"hostile": hostile("setsid"), "time": real("mcp-server-time")}
    world, load, chance = World(tmp_path, upstreams), Load(), random.Random(20260728)
    for _ in range(KILLS):
        gateway = await start(world)
        clients = [asyncio.create_task(load.run(gateway, number)) for number in range(CLIENTS)]
        await asyncio.sleep(chance.uniform(0.2, 0.8))  # the moment of the kill is what is drawn, not an event
        await gateway.kill()
        assert await world.empty(), world.processes()
        await asyncio.gather(*clients)
    gateway = await start(world)
    assert await gateway.stop() == 0

    calls = world.calls()
    done = {nonce_of(call) for call in calls.values() if [o.status for o in call.outcomes] == ["ok"]}
    assert load.acked - done == set()
    assert [id for id, call in calls.items() if len(call.intents) != 1 or len(call.outcomes) != 1] == []
    crashed = [call for call in calls.values() if call.outcomes[0].cause == "crash"]
    assert all(call.outcomes[0].status == "unknown" and call.outcomes[0].sent == "unknown" for call in crashed)
    assert (await world.verified())["ok"] is True
    assert len(load.acked) >= KILLS * 50
    told = {"kills": KILLS, "sent": load.sent, "acked": len(load.acked), "closed_as_unknown": len(crashed)}
    print(json.dumps(told))
