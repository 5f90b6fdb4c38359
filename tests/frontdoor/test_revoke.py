"""The kill switch: who calls and what is called is cut off in time, with what is under way, and comes back when it may."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from gateway_clients import HttpClient, LineClient, Message, http, stdio, text_of
from gateway_world import Gateway, World, gateway, until, witness

from douane.audit.entry import Admin
from douane.auth.authority.grants import Grant
from douane.auth.authority.stored import Shelf
from douane.auth.authority.subject import Subject
from douane.stores.ports import NEW
from douane.stores.records import SqliteRecords

from .test_tasks import begin as begin_task
from .test_tasks import of as of_task
from .test_tasks import upstream as task_upstream
from .test_user_grants import text
from .test_user_grants import world as user_grants

WITHIN_S = 5.0


@asynccontextmanager
async def waiting(running: Gateway, seen: Path) -> AsyncIterator["asyncio.Task[Message]"]:
    """A call that its server has, and does not answer."""
    async with http(running) as client:
        call = asyncio.create_task(client.call("w_wait"))
        assert await until(lambda: seen.exists() and '"name":"wait"' in seen.read_text().replace(" ", ""))
        yield call
        call.cancel()
        await asyncio.wait({call})


@pytest.mark.parametrize(
    ("kind", "name"), [("user", "owner"), ("server", "w"), ("tool", "w_wait"), ("tenant", "default")]
)
async def test_what_is_revoked_is_cut_off_within_five_seconds_with_what_is_under_way(
    tmp_path: Path, kind: str, name: str
) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path, {"w": witness(seen)}) as running, waiting(running, seen) as call:
        began_s = time.monotonic()
        ran = await running.world.run("revoke", kind, name, "--why", "it leaked")
        assert ran.code == 0, ran.err
        assert ran.out.startswith(f"revoked: {kind} {name}, in ")
        async with asyncio.timeout(WITHIN_S):
            answer = await call
        assert time.monotonic() - began_s < WITHIN_S
        said = answer["error"]["message"]
        assert f'forbidden by rule "revoked {kind} {name}"' in said
        assert "it was cut off and may have run" in said
        # The server is told, so that it stops.
        assert await until(lambda: "notifications/cancelled" in seen.read_text())
        async with http(running) as client:
            refused = await client.call("w_wait")
        assert f'forbidden by rule "revoked {kind} {name}"' in refused["error"]["message"]
        assert seen.read_text().replace(" ", "").count('"name":"wait"') == 1
        back = await running.world.run("revoke", kind, name, "--undo")
        assert back.out.startswith(f"taken back: {kind} {name}")
        async with http(running) as client:
            assert text_of(await judged(client, "w_echo", "result")) == "hello"
    outcomes = [outcome for call in running.world.calls().values() for outcome in call.outcomes]
    cut = [outcome for outcome in outcomes if outcome.sent == "unknown"]
    assert [(one.rule, one.decision, one.cause) for one in cut] == [(f"revoked {kind} {name}", "deny", "revoked")]
    assert (await running.world.verified())["ok"] is True


async def judged(client: HttpClient | LineClient, name: str, key: str) -> Message:
    """The first answer that has `key`."""
    async with asyncio.timeout(WITHIN_S):
        while key not in (answer := await client.call(name, text="hello")):
            pass
    return answer


async def test_the_tasks_of_who_is_cut_off_are_ended_at_their_upstreams(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"work": task_upstream()}) as running, http(running) as client:
        world = running.world
        task = await begin_task(client, "work_slow_compute", seconds=3600)
        assert (await world.run("revoke", "user", "owner")).code == 0
        async with asyncio.timeout(WITHIN_S):
            while "error" not in await of_task(client, task["taskId"]):
                pass
        assert await until(lambda: any("was ended, which is refused now" in line for line in running.log))
        assert (await world.run("revoke", "user", "owner", "--undo")).code == 0
        async with asyncio.timeout(WITHIN_S):
            while "error" in (said := await of_task(client, task["taskId"])):
                pass
        assert said["result"]["status"] == "cancelled"


async def test_other_calls_go_on(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path, {"w": witness(seen)}) as running, waiting(running, seen) as call:
        assert (await running.world.run("revoke", "tool", "w_echo")).code == 0
        async with stdio(running.world) as client:
            await client.greet()
            await judged(client, "w_echo", "error")
            assert not call.done()
            await client.call("w_release")
        assert "result" in await call


async def test_who_was_asked_something_is_not_waited_for(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    asking = witness(seen, "ask")
    async with gateway(tmp_path, {"w": asking}) as running, http(running) as client:
        capabilities = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}
        params = {"name": "w_ask", "arguments": {"kinds": ["elicitation"]}}
        asked = (await client.ask("tools/call", params, **capabilities))["result"]
        assert asked["resultType"] == "input_required"
        assert (await running.world.run("revoke", "user", "owner")).code == 0
        assert await until(lambda: '"result":{"action":"cancel"}' in seen.read_text().replace(" ", ""))
        answers = {key: {"action": "accept", "content": {"name": "me"}} for key in asked["inputRequests"]}
        late = params | {"inputResponses": answers, "requestState": asked["requestState"]}
        refused = await client.ask("tools/call", late, **capabilities)
        assert 'forbidden by rule "revoked user owner"' in refused["error"]["message"]
    assert '"content"' not in seen.read_text()


async def test_no_gateway_has_to_run_and_a_name_that_is_not_there_is_doubted(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path, {"w": witness(seen)}) as running:
        doubted = await running.world.run("revoke", "tool", "w_ecko")
        assert doubted.code == 0
        assert "there is no tool of that name here now" in doubted.err
        world = running.world
    assert (await world.run("revoke", "server", "w", "--until", "7d")).code == 0
    again = await world.run("revoke", "server", "other", "--undo")
    assert (again.code, "is not revoked" in again.err) == (1, True)
    for wrong in (("robot", "x"), ("user",), ("user", "x", "--undo", "--why", "y"), ("user", "x", "--until", "soon")):
        assert (await world.run("revoke", *wrong)).code == 2
    running = await world.up()
    async with http(running) as client:
        refused = await client.call("w_echo", text="hello")
    assert "revoked server w" in json.dumps(refused)
    assert await running.stop() == 0


class As:
    """The gateway, for who comes with another token."""

    def __init__(self, running: Gateway, token: str) -> None:
        self.port, self.log, self.token = running.port, running.log, token


def client_of(key: str) -> str:
    """As rules and the audit know what comes with it. Its secret may have the same sign in it."""
    return "_".join(key.split("_")[:2])


def changes(world: World) -> list[tuple[str, str, object]]:
    """What the audit has of who changed access."""
    found = [(entry.leaf, entry.payload) for entry in world.audit() if isinstance(entry.leaf, Admin)]
    return [(leaf.act, leaf.of, json.loads(payload or b"{}")) for leaf, payload in found]


async def test_a_key_is_removed_and_what_is_under_way_with_it_is_cut_off(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path, {"w": witness(seen)}, auth={"api_keys": True}) as running:
        world = running.world
        key = (await world.run("key", "create", "robot")).out.strip()
        id_ = key.removeprefix("dk_").partition("_")[0]
        async with http(As(running, key)) as client:
            call = asyncio.create_task(client.call("w_wait"))
            assert await until(lambda: seen.exists() and '"name":"wait"' in seen.read_text().replace(" ", ""))
            ran = await world.run("revoke", "key", id_, "--why", "it leaked")
            assert (ran.code, ran.out) == (0, f"removed: key {id_} of robot\n"), ran.err
            async with asyncio.timeout(WITHIN_S):
                answer = await call
        assert "the key that this call was made with was taken away" in answer["error"]["message"]
        assert await until(lambda: "notifications/cancelled" in seen.read_text())
        assert await until(
            lambda: changes(world) == [("revoke", "key", {"name": id_, "subject": "robot", "why": "it leaked"})]
        )
        assert (await world.run("revoke", "key", id_)).code == 1
        assert (await world.run("revoke", "key", id_, "--undo")).code == 2
    assert (await world.verified())["ok"] is True


async def test_a_client_is_cut_off_within_five_seconds_with_what_is_under_way(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path, {"w": witness(seen)}, auth={"api_keys": True}) as running:
        world = running.world
        key = (await world.run("key", "create", "robot")).out.strip()
        as_robot = As(running, key)
        # A key is a client of its own; others of the same user go on.
        client_id = client_of(key)
        async with http(as_robot) as client:
            call = asyncio.create_task(client.call("w_wait"))
            assert await until(lambda: seen.exists() and '"name":"wait"' in seen.read_text().replace(" ", ""))
            assert (await world.run("revoke", "client", client_id)).code == 0
            async with asyncio.timeout(WITHIN_S):
                answer = await call
        assert f'forbidden by rule "revoked client {client_id}"' in answer["error"]["message"]
        other = (await world.run("key", "create", "robot")).out.strip()
        async with http(as_robot) as client, http(As(running, other)) as another:
            assert "error" in await client.call("w_echo", text="hello")
            assert text_of(await another.call("w_echo", text="hello")) == "hello"


async def test_a_call_under_way_with_a_grant_is_cut_off_when_that_is_removed(tmp_path: Path) -> None:
    async with user_grants(tmp_path) as at:
        link, _ = await at.asked()
        await at.grant(link)
        assert text(await at.call()) == {"a": 1}
        # It takes the call, and answers nothing.
        at.upstream.on["tools/call"] = lambda heard: None
        before = len(at.calls)
        call = asyncio.create_task(at.call())
        assert await until(lambda: len(at.calls) > before)
        assert (await at.gateway.world.run("revoke", "grant", "owner/far")).code == 0
        async with asyncio.timeout(WITHIN_S):
            answer = await call
        assert "the grant that this call was made with was taken away" in answer["error"]["message"]


async def test_a_grant_is_removed_and_its_user_is_asked_again(tmp_path: Path) -> None:
    async with user_grants(tmp_path) as at:
        link, _ = await at.asked()
        await at.grant(link)
        assert text(await at.call()) == {"a": 1}
        world = at.gateway.world
        listed = json.loads((await world.run("access", "--user", "owner", "--json", "--config", str(world.config))).out)
        given = [given["id"] for one in listed["principals"] for given in one["given"]]
        assert given == ["owner/far"]
        assert (await world.run("revoke", "grant", "owner/other")).code == 1
        assert (await world.run("revoke", "grant", "owner/far")).code == 0
        async with asyncio.timeout(WITHIN_S):
            while "inputRequests" not in (await at.call())["result"]:
                pass
        assert await until(lambda: [change[:2] for change in changes(world)] == [("revoke", "grant")])


async def test_what_was_done_while_no_gateway_ran_is_in_the_audit_once_one_does(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"w": witness(tmp_path / "seen")}) as running:
        world = running.world
    assert (await world.run("revoke", "client", "app", "--until", "7d", "--why", "lost")).code == 0
    assert (await world.run("revoke", "client", "app", "--undo")).code == 0
    assert changes(world) == []
    records = SqliteRecords(world.paths.records)
    # Of a version that knows more: it holds up nothing.
    await records.put("access.note", "0", b'{"act":1}', version=NEW)
    await records.aclose()
    again = await world.up()
    try:
        assert await until(lambda: len(changes(world)) == 2)
    finally:
        assert await again.stop() == 0
    revoked, back = changes(world)
    assert (revoked[:2], back[:2]) == (("revoke", "client"), ("reinstate", "client"))
    tail = await world.run("audit", "tail")
    assert "revoke client" in tail.out
    assert (await world.verified())["ok"] is True


@pytest.mark.parametrize(("kind", "name"), [("user", "ann"), ("client", "app")])
async def test_the_logins_of_a_user_or_a_client_end_with_the_rule(tmp_path: Path, kind: str, name: str) -> None:
    async with gateway(tmp_path, {"w": witness(tmp_path / "seen")}) as running:
        world = running.world
        records = SqliteRecords(world.paths.records)
        try:
            grants = Shelf(records, "grant", Grant)
            for id_, subject, client in (("1", "ann", "app"), ("2", "bob", "other")):
                grant = Grant(
                    id=id_,
                    subject=Subject(subject),
                    client=client,
                    client_name="An app",
                    scopes=("mcp",),
                    resource="http://here/mcp",
                    created_s=time.time(),
                    used_s=time.time(),
                )
                await grants.add(id_, grant, time.time() + 60)
            ran = await world.run("revoke", kind, name)
            assert "logins ended: 1" in ran.out, ran.err
            assert [held.key for held in await grants.all()] == ["2"]
        finally:
            await records.aclose()
