"""Subscriptions through the gateway: joined at the upstream, decided by the policy, and both eras on both sides."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import http, sse, stdio
from gateway_world import Gateway, gateway, until
from http_upstream import Heard, HttpUpstream, http_upstream
from peers import BOUND_S, Speaks
from raw_http import Json, Peer, Said, events, newer

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
HAS = {"tools": {"listChanged": True}, "resources": {"subscribe": True, "listChanged": True}}
UPDATED = "notifications/resources/updated"
ERAS: tuple[Speaks, ...] = ("handshake", "stateless")


class Shelf:
    """An upstream with resources, that can say that one has changed."""

    def __init__(self, upstream: HttpUpstream) -> None:
        self.upstream = upstream
        upstream.capabilities = HAS
        upstream.on["resources/list"] = self.show
        upstream.on["resources/templates/list"] = lambda heard: heard.answer(self.typed({"resourceTemplates": []}))
        upstream.on["resources/subscribe"] = upstream.on["resources/unsubscribe"] = lambda heard: heard.answer({})
        upstream.on["subscriptions/listen"] = self.listen
        self.names = ["a", "b"]

    def typed(self, result: Json) -> Json:
        hints = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        return result if self.upstream.speaks == "handshake" else {**result, **hints}

    def show(self, heard: Heard) -> None:
        found = [{"uri": f"x://{name}", "name": name} for name in self.names]
        heard.answer(self.typed({"resources": found}))

    def listen(self, heard: Heard) -> None:
        heard.listen()
        self.say(heard, "notifications/subscriptions/acknowledged", notifications=heard.params["notifications"])

    def say(self, heard: Heard, method: str, **params: Any) -> None:
        heard.tell(method, {**params, "_meta": {SUBSCRIPTION: heard.id}} if heard.id is not None else params)

    def tell(self, method: str, **params: Any) -> None:
        """On the stream that is open: a GET, or the newest listen."""
        self.say(self.upstream.ears[-1], method, **params)

    def watched(self) -> list[str]:
        """What the gateway wants to hear of now."""
        if self.upstream.speaks == "stateless":
            asked = self.upstream.ears[-1].params["notifications"] if self.upstream.ears else {}
            return sorted(asked.get("resourceSubscriptions", ()))
        held: set[str] = set()
        for heard in self.upstream.heard:
            if heard.method == "resources/subscribe":
                held.add(heard.params["uri"])
            elif heard.method == "resources/unsubscribe":
                held.discard(heard.params["uri"])
        return sorted(held)

    async def watches(self, *uris: str) -> None:
        await self.upstream.when(lambda: self.watched() == sorted(uris))


def write(home: Path, policy: str) -> None:
    (home / "own.cedar").write_text(policy)


@asynccontextmanager
async def shelf(
    home: Path, speaks: Speaks, policy: str = "", **config: Any
) -> AsyncGenerator[tuple[Shelf, Gateway, Peer]]:
    async with http_upstream(speaks) as upstream:
        at = Shelf(upstream)
        own = upstream.config | {"reads": {"tools": ["*"], "resources": ["*"]}}
        if policy:
            write(home, policy)
            config["policy"] = {"files": ["own.cedar"]}
        async with gateway(home, {"u": own}, **config) as running:
            yield at, running, Peer(running.port, running.token)


def asking(*uris: str, **lists: bool) -> Json:
    return newer(notifications={**lists, "resourceSubscriptions": list(uris)})


@asynccontextmanager
async def listening(peer: Peer, params: Json, id: Any = "l") -> AsyncGenerator[tuple[AsyncIterator[Said], Json]]:
    async with peer.wire() as line:
        await peer.begin(line, "subscriptions/listen", params, id)
        assert (await line.status())[0] == 200
        stream = events(line)
        ack = await heard(stream)
        assert (ack["method"], ack["params"]["_meta"]) == (
            "notifications/subscriptions/acknowledged",
            {SUBSCRIPTION: id},
        )
        yield stream, ack["params"]["notifications"]


async def heard(stream: AsyncIterator[Said]) -> Json:
    async with asyncio.timeout(BOUND_S):
        while (message := (await anext(stream)).message) is None:
            pass
    return message


@asynccontextmanager
async def session(at: Peer, *uris: str) -> AsyncGenerator[AsyncIterator[Said]]:
    """A session of the handshake era that listens on its stream."""
    peer = Peer(at.port, at.token)
    async with peer.wire() as line:
        hello = await peer.greet()
        assert hello["capabilities"]["resources"] == {"listChanged": True, "subscribe": True}
        for uri in uris:
            assert (await peer.post("resources/subscribe", {"uri": uri})).message["result"] == {}
        assert await peer.listen(line) == 200
        yield events(line)
        async with peer.wire() as other:
            await other.send("DELETE", peer.headers({}))
            assert (await other.answer()).status == 204


@pytest.mark.parametrize("speaks", ERAS)
async def test_what_many_want_to_hear_of_is_asked_for_once_and_told_to_all(tmp_path: Path, speaks: Speaks) -> None:
    async with shelf(tmp_path, speaks) as (at, running, peer):
        async with (
            listening(peer, asking("x://a"), 1) as (one, honoured),
            listening(peer, asking("x://a", "x://b"), "1") as (other, _),
            session(peer, "x://a") as older,
            sse(running) as eldest,
            stdio(running.world) as line,
        ):
            assert honoured == {"resourceSubscriptions": ["x://a"]}
            for client in (eldest, line):
                await client.greet("2024-11-05" if client is eldest else "2025-11-25")
                assert (await client.ask("resources/subscribe", {"uri": "x://a"}))["result"] == {}
            await at.watches("x://a", "x://b")
            at.tell(UPDATED, uri="x://a")
            for stream, id in ((one, 1), (other, "1")):
                said = await heard(stream)
                assert (said["method"], said["params"]) == (UPDATED, {"uri": "x://a", "_meta": {SUBSCRIPTION: id}})
            assert (await heard(older))["params"] == {"uri": "x://a"}
            for client in (eldest, line):
                assert (await client.note_of(UPDATED))["params"] == {"uri": "x://a"}
        await at.watches()
        asked = at.upstream.methods()
        assert asked.count("resources/subscribe") == (2 if speaks == "handshake" else 0)


@pytest.mark.parametrize("speaks", ERAS)
async def test_who_leaves_first_takes_nothing_from_who_stays(tmp_path: Path, speaks: Speaks) -> None:
    async with shelf(tmp_path, speaks) as (at, _, peer), listening(peer, asking("x://a"), 1) as (stays, _):
        async with listening(peer, asking("x://a", "x://b"), 2):
            await at.watches("x://a", "x://b")
        await at.watches("x://a")
        at.tell(UPDATED, uri="x://b")
        at.tell(UPDATED, uri="x://a")
        assert (await heard(stays))["params"]["uri"] == "x://a"


@pytest.mark.parametrize("speaks", ERAS)
async def test_a_list_that_changed_is_told_to_who_asked_for_it(tmp_path: Path, speaks: Speaks) -> None:
    async with (
        shelf(tmp_path, speaks) as (at, _, peer),
        listening(peer, asking(resourcesListChanged=True, promptsListChanged=True)) as (newer_one, honoured),
        listening(peer, asking("x://a")) as (silent, _),
        session(peer) as older,
    ):
        # Nobody here has prompts.
        assert honoured == {"resourcesListChanged": True}
        await at.watches("x://a")
        at.names = ["a"]
        at.tell("notifications/resources/list_changed")
        assert (await heard(newer_one))["method"] == "notifications/resources/list_changed"
        assert (await heard(older))["method"] == "notifications/resources/list_changed"
        at.tell(UPDATED, uri="x://a")
        assert (await heard(silent))["method"] == UPDATED


@pytest.mark.parametrize("speaks", ERAS)
async def test_a_change_that_nobody_sees_is_told_to_nobody(tmp_path: Path, speaks: Speaks) -> None:
    """T19: what the operator hides changes no list that anybody has."""
    hidden = {"servers": {"small": {"select": {"u": {"resources": ["x://a"]}}}}}
    async with shelf(tmp_path, speaks, **hidden) as (at, _, peer):
        small = Peer(peer.port, peer.token, "/mcp/small")
        async with (
            listening(small, asking("x://a", "x://b", resourcesListChanged=True)) as (stream, honoured),
            listening(peer, asking(resourcesListChanged=True)) as (whole, _),
        ):
            assert honoured == {"resourcesListChanged": True, "resourceSubscriptions": ["x://a"]}
            at.names = ["a", "b", "c"]
            at.tell("notifications/resources/list_changed")
            assert (await heard(whole))["method"] == "notifications/resources/list_changed"
            at.tell(UPDATED, uri="x://a")
            assert (await heard(stream))["method"] == UPDATED


@pytest.mark.parametrize("speaks", ERAS)
async def test_what_changes_while_it_is_subscribed_to_is_told_behind_the_acknowledgement(
    tmp_path: Path, speaks: Speaks
) -> None:
    """T18"""
    async with shelf(tmp_path, speaks) as (at, _, peer):

        def listen(asked: Heard) -> None:
            at.listen(asked)
            at.say(asked, UPDATED, uri="x://a")

        def subscribe(asked: Heard) -> None:
            at.tell(UPDATED, uri="x://a")
            asked.answer({})

        at.upstream.on["subscriptions/listen"], at.upstream.on["resources/subscribe"] = listen, subscribe
        await at.upstream.when(lambda: speaks == "stateless" or bool(at.upstream.ears))
        async with listening(peer, asking("x://a")) as (stream, _):
            assert (await heard(stream))["params"]["uri"] == "x://a"


@pytest.mark.parametrize("speaks", ERAS)
async def test_after_a_lost_stream_everything_that_is_watched_counts_as_changed(tmp_path: Path, speaks: Speaks) -> None:
    async with shelf(tmp_path, speaks) as (at, _, peer), listening(peer, asking("x://a")) as (stream, _):
        await at.watches("x://a")
        before = at.upstream.ears[-1]
        before.end()
        assert (await heard(stream))["params"]["uri"] == "x://a"
        await at.watches("x://a")
        assert at.upstream.ears[-1] is not before


async def test_what_is_below_is_told_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    async with shelf(tmp_path, "handshake") as (at, _, peer), listening(peer, asking("x://a")) as (stream, _):
        at.tell(UPDATED, uri="x://a2")
        at.tell(UPDATED, uri="x://a/secret#1")
        assert (await heard(stream))["params"]["uri"] == "x://a"


async def test_a_resource_that_changes_all_the_time_is_told_of_now_and_then(tmp_path: Path) -> None:
    async with shelf(tmp_path, "handshake") as (at, _, peer), listening(peer, asking("x://a", "x://b")) as (stream, _):
        for _ in range(500):
            at.tell(UPDATED, uri="x://a")
        at.tell(UPDATED, uri="x://b")
        told = 0
        while (await heard(stream))["params"]["uri"] == "x://a":
            told += 1
        assert told <= 5
        assert (await heard(stream))["params"]["uri"] == "x://a"


async def test_an_upstream_that_does_not_tell_is_said_so(tmp_path: Path) -> None:
    async with shelf(tmp_path, "handshake") as (at, _, peer):
        at.upstream.on["resources/subscribe"] = lambda heard: heard.error(-32002, "no such resource")
        answer = await peer.post("subscriptions/listen", asking("x://a"))
        assert answer.message["error"]["message"] == "upstream u: no such resource"
        async with listening(peer, asking("x://a", toolsListChanged=True)) as (_, honoured):
            assert honoured == {"toolsListChanged": True}
        older = Peer(peer.port, peer.token)
        await older.greet()
        refused = await older.post("resources/subscribe", {"uri": "x://a"})
        assert refused.code == -32002
        assert (await older.post("resources/subscribe", {"uri": "x://unknown"})).code == -32002


# --- who may ---


PERMIT_ALL = "permit (principal, action, resource);\n"
NOT_A = '@id("not-a") forbid (principal, action, resource == Douane::Resource::"x://a");\n'


async def test_subscribing_is_decided_and_recorded_as_any_call(tmp_path: Path) -> None:
    async with shelf(tmp_path, "handshake", PERMIT_ALL + NOT_A) as (at, running, peer):
        async with listening(peer, asking("x://a", "x://b")) as (_, honoured):
            assert honoured == {"resourceSubscriptions": ["x://b"]}
            await at.watches("x://b")
        answer = await peer.post("subscriptions/listen", asking("x://a"))
        assert answer.code == 1403
        assert 'forbidden by rule "not-a"' in answer.message["error"]["message"]
        world = running.world
    recorded = world.calls().values()
    said = sorted(
        (outcome.method, outcome.tool, outcome.status, outcome.decision)
        for call in recorded
        for outcome in call.outcomes
        if outcome.method in ("subscriptions/listen", "resources/subscribe")
    )
    assert said == [
        ("resources/subscribe", "x://a", "refused", "deny"),
        ("resources/subscribe", "x://a", "refused", "deny"),
        ("subscriptions/listen", "", "ok", "allow"),
        ("subscriptions/listen", "", "ok", "allow"),
    ]
    intents = [entry.leaf for call in recorded for entry in call.intents]
    assert [(leaf.method, leaf.tool) for leaf in intents] == [("resources/subscribe", "x://b")]  # type: ignore[union-attr]


async def test_who_may_not_any_more_hears_no_more(tmp_path: Path) -> None:
    async with (
        shelf(tmp_path, "handshake", PERMIT_ALL) as (at, running, peer),
        session(peer, "x://a", "x://b") as older,
        listening(peer, asking("x://b"), 2) as (stays, _),
        listening(peer, asking("x://a"), 1) as (stream, _),
    ):
        write(running.world.home, PERMIT_ALL + NOT_A)
        last = await heard(stream)
        assert (last["id"], last["result"]) == (1, {"resultType": "complete", "_meta": {SUBSCRIPTION: 1}})
        await at.watches("x://b")
        at.tell(UPDATED, uri="x://a")
        at.tell(UPDATED, uri="x://b")
        assert (await heard(older))["params"]["uri"] == "x://b"
        assert (await heard(stays))["params"]["uri"] == "x://b"


async def test_a_gateway_that_stops_ends_listening_with_a_result(tmp_path: Path) -> None:
    async with shelf(tmp_path, "stateless") as (_, running, peer), listening(peer, asking("x://a")) as (stream, _):
        stopping = asyncio.create_task(running.stop())
        assert (await heard(stream))["result"]["_meta"] == {SUBSCRIPTION: "l"}
        assert await stopping == 0


async def test_discovery_says_what_can_be_heard(tmp_path: Path) -> None:
    async with shelf(tmp_path, "stateless") as (at, running, peer), http(running) as client:
        found = (await client.ask("server/discover"))["result"]["capabilities"]
        assert found["resources"] == {"listChanged": True, "subscribe": True}
        assert json.dumps(found["tools"]) == '{"listChanged": true}'
        assert at.watched() == []
        assert await until(lambda: at.upstream.ears)
        assert (await peer.post("subscriptions/listen", asking("x://no"))).code == -32602
