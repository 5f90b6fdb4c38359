"""Who has access: asked of a running gateway and without one, with what was used and by which rule."""

import json
from pathlib import Path
from typing import Any

from gateway_clients import http, text_of
from gateway_world import World, gateway, witness

PASSWORD = "correct horse battery"


async def seen(world: World, *words: str) -> Any:
    ran = await world.run("access", "--json", *words, "--config", str(world.config))
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def of(found: Any, subject: str, kind: str = "user") -> Any:
    (one,) = [one for one in found["principals"] if (one["kind"], one["subject"]) == (kind, subject)]
    return one


async def test_it_says_who_may_call_what_by_which_rule_and_when_it_was_last_used(tmp_path: Path) -> None:
    upstream = witness(tmp_path / "seen") | {"reads": {"tools": ["echo"]}}
    async with gateway(tmp_path, {"w": upstream}) as running:
        world = running.world
        assert (await world.run("allow", "w_release", "--user", "eve")).code == 0
        async with http(running) as client:
            assert text_of(await client.call("w_echo", text="hello")) == "hello"
        found = await seen(world)
        assert found["catalog"] == "gateway"
        owner = of(found, "owner")
        (echo,) = owner["may"]
        assert (echo["name"], echo["may"], echo["rule"], echo["calls"]) == ("w_echo", "yes", "reading", 1)
        assert owner["last"] >= echo["last"] > "2"
        eve = of(found, "eve")
        assert {may["name"] for may in eve["may"]} == {"w_echo", "w_release"}
        assert (eve["last"], eve["known_by"], eve["groups_known"]) == ("", ["rule"], False)
        assert [given["kind"] for given in eve["given"]] == ["rule"]
        who = await seen(world, "--tool", "w_release")
        assert [one["subject"] for one in who["principals"]] == ["eve"]
        assert (await seen(world, "--server", "other"))["principals"] == []
        assert "owner" not in [one["subject"] for one in (await seen(world, "--unused", "1h"))["principals"]]
        ran = await world.run("access", "--config", str(world.config), COLUMNS="60")
        assert ran.code == 0
        assert max(map(len, ran.out.splitlines())) <= 60
        told = await world.run("access", "--user", "eve", "--config", str(world.config))
        assert "may w_release: rule allow-" in told.out
    assert (await world.run("revoke", "user", "eve")).code == 0
    ran = await world.run("access", "--json", "--config", str(world.config))
    offline = json.loads(ran.out)
    assert offline["catalog"] == "audit"
    assert of(offline, "eve")["revoked"] == "revoked user eve"
    assert of(offline, "eve")["may"] == []
    assert [may["name"] for may in of(offline, "owner")["may"]] == ["w_echo"]
