"""Who has access: asked of a running gateway and without one, with what was used and by which rule."""

import asyncio
import csv
import io
import json
import time
from pathlib import Path
from typing import Any

from gateway_clients import http, text_of
from gateway_world import BOUND_S, World, gateway, until, witness

from douane.auth.authority.grants import Grant
from douane.auth.authority.stored import Shelf
from douane.auth.authority.subject import Subject
from douane.auth.authority.users import User
from douane.stores.records import SqliteRecords

from .test_revoke import As, changes, client_of
from .test_user_grants import world as user_grants

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


async def test_a_review_is_a_snapshot_whose_parts_are_confirmed_or_withdrawn_and_written_down(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"w": witness(tmp_path / "seen")}, auth={"api_keys": True}) as running:
        world = running.world
        assert (await world.run("access", "review", "list")).code == 1
        assert (await world.run("access", "review", "start", "--config", str(world.config))).code == 1
        assert (await world.run("key", "create", "robot", "--name", "=cmd()")).code == 0
        assert (await world.run("allow", "w_release", "--user", "eve")).code == 0
        assert (await world.run("allow", "w_wait")).code == 0
        started = await world.run("access", "review", "start", "--config", str(world.config))
        assert (started.code, ", of 3;" in started.out) == (0, True), started.err
        assert (await world.run("allow", "w_echo", "--user", "late")).code == 0
        items = json.loads((await world.run("access", "review", "list", "--json")).out)
        number = {(item["given"]["kind"], item["given"]["subject"]): str(item["n"]) for item in items}
        assert set(number) == {("rule", ""), ("rule", "eve"), ("key", "robot")}
        key, rule = number["key", "robot"], number["rule", "eve"]
        kept = await world.run("access", "review", "confirm", number["rule", ""], "--why", "the desk needs it")
        assert kept.code == 0, kept.err
        assert (await world.run("access", "review", "withdraw", key, rule)).code == 2
        gone = await world.run("access", "review", "withdraw", key, rule, "--why", "nobody knows it", "--yes")
        assert (gone.code, gone.out.count("withdrawn: ")) == (0, 2), gone.err
        assert (await world.run("access", "review", "withdraw", key, "--yes")).code == 1
        assert (await world.run("access", "review", "confirm", rule)).code == 1
        assert (await world.run("access", "review", "confirm", "99")).code == 1
        assert json.loads((await world.run("key", "list", "--json")).out) == []
        assert '"eve"' not in world.paths.allowed.read_text()
        (status,) = json.loads((await world.run("access", "review", "status", "--json")).out)
        assert (status["open"], status["confirmed"], status["withdrawn"]) == (0, 1, 2)
        assert "nothing is open" in (await world.run("access", "review", "list", "--open")).out
        rows = list(csv.DictReader(io.StringIO((await world.run("access", "review", "list", "--csv")).out)))
        assert [row["what"] for row in rows if row["kind"] == "key"] == ["'=cmd()"]
        assert {row["state"] for row in rows} == {"confirmed", "withdrawn"}
        assert {row["why"] for row in rows} == {"the desk needs it", "nobody knows it"}
        assert await until(lambda: len(changes(world)) == 3)
        assert [change[:2] for change in changes(world)] == [
            ("confirm", "rule"),
            ("withdraw", "key"),
            ("withdraw", "rule"),
        ]
        narrow = await world.run("access", "review", "list", COLUMNS="60")
        assert max(map(len, narrow.out.splitlines())) <= 60
        assert (await world.run("access", "review", "start", "--config", str(world.config))).code == 0
        assert len(json.loads((await world.run("access", "review", "status", "--json")).out)) == 2
    assert (await world.verified())["ok"] is True


async def test_an_account_is_used_by_whichever_client_its_user_comes(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"w": witness(tmp_path / "seen")}, auth={"api_keys": True}) as running:
        world = running.world
        records = SqliteRecords(world.paths.records)
        try:
            for name in ("ann", "idle"):
                await Shelf(records, "user", User).add(name, User(name=name, password_hash="", groups=("desk",)))
        finally:
            await records.aclose()
        key = (await world.run("key", "create", "ann")).out.strip()
        async with http(As(running, key)) as client:
            assert text_of(await client.call("w_echo", text="hello")) == "hello"
        account, by_key = [one for one in (await seen(world))["principals"] if one["subject"] == "ann"]
        assert (account["client"], by_key["client"]) == ("", client_of(key))
        assert account["last"] == by_key["last"] != ""
        assert account["groups"] == by_key["groups"] == ["desk"]
        unused = (await seen(world, "--unused", "1h"))["principals"]
        assert [one["subject"] for one in unused] == ["idle"]
        for wrong in ("soon", "2027-01-31", "99999999w"):
            assert (await world.run("access", "--unused", wrong, "--config", str(world.config))).code == 2


async def test_a_review_has_grants_and_logins_with_their_scopes_and_last_use(tmp_path: Path) -> None:
    async with user_grants(tmp_path, scopes=["files:read"]) as at:
        link, _ = await at.asked()
        await at.grant(link)
        assert "result" in await at.call()
        world = at.gateway.world
        records = SqliteRecords(world.paths.records)
        try:
            login = Grant(
                id="1",
                subject=Subject("ann", ("desk",)),
                client="app",
                client_name="An app",
                scopes=("mcp:read",),
                resource="http://here/mcp",
                created_s=0.0,
                used_s=time.time(),
            )
            await Shelf(records, "grant", Grant).add("1", login, time.time() + 3600)
            assert (await world.run("access", "review", "start", "--config", str(world.config))).code == 0
            found = json.loads((await world.run("access", "review", "list", "--json")).out)
            items = {item["given"]["kind"]: item for item in found}
            assert {kind: item["given"]["scopes"] for kind, item in items.items()} == {
                "grant": ["files:read"],
                "login": ["mcp:read"],
            }
            assert all(item["last"] > "2" for item in items.values())
            assert (await world.run("access", "review", "withdraw", "1", "2", "--yes")).code == 0
            assert await Shelf(records, "grant", Grant).all() == []
        finally:
            await records.aclose()
        async with asyncio.timeout(BOUND_S):
            while "inputRequests" not in (await at.call())["result"]:
                pass
