"""Tasks of upstreams that clients listen to through the gateway: under its ids, judged each time, whoever tells or does not."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import enveloped
from gateway_clients import tool as tool_call
from gateway_world import gateway
from http_upstream import Heard, HttpUpstream, http_upstream
from peers import Speaks, tool
from raw_http import Json, Peer, Said, events, newer

from frontdoor.test_subscriptions import SUBSCRIPTION, heard, listening

ERAS: tuple[Speaks, ...] = ("handshake", "stateless")
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
DECLARED: Json = {CAPABILITIES: {"extensions": {"io.modelcontextprotocol/tasks": {}}}}
NEVER_MS = 3_600_000
"""Longer than any test: nobody looks again of its own accord."""


class Job:
    """An upstream with one tool, that runs as one task."""

    def __init__(self, upstream: HttpUpstream, poll_ms: int) -> None:
        self.upstream, self.older = upstream, upstream.speaks == "handshake"
        older = {"tasks": {"cancel": {}, "requests": {"tools": {"call": {}}}}}
        newest = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
        upstream.capabilities = {"tools": {}, **(older if self.older else newest)}
        upstream.tools = [tool("job", execution={"taskSupport": "required"})]
        self.task: Json = {"taskId": "own", "status": "working", "createdAt": "a", "lastUpdatedAt": "a"}
        self.task |= (
            {"ttl": NEVER_MS, "pollInterval": poll_ms}
            if self.older
            else {
                "ttlMs": NEVER_MS,
                "pollIntervalMs": poll_ms,
            }
        )
        upstream.on["tools/call"] = self.begin
        upstream.on["tasks/get"] = lambda asked: asked.answer(self.typed(self.task))
        upstream.on["tasks/result"] = lambda asked: asked.answer({"content": []})
        upstream.on["subscriptions/listen"] = self.listen

    def typed(self, result: Json) -> Json:
        return result if self.older else {"resultType": "complete", **result}

    def begin(self, asked: Heard) -> None:
        asked.answer({"task": self.task} if self.older else {**self.task, "resultType": "task"})

    def listen(self, asked: Heard) -> None:
        asked.listen()
        self.say(asked, "notifications/subscriptions/acknowledged", notifications=asked.params["notifications"])

    def say(self, asked: Heard, method: str, **params: Any) -> None:
        asked.tell(method, {**params, "_meta": {SUBSCRIPTION: asked.id}} if asked.id is not None else params)

    def end(self) -> None:
        self.task["status"] = "completed"
        if not self.older:
            self.task["result"] = {"content": []}

    def tell(self) -> None:
        self.say(self.upstream.ears[-1], "notifications/tasks" + ("/status" if self.older else ""), **self.task)

    def followed(self) -> list[str]:
        """The tasks that the gateway listens to."""
        asked = self.upstream.ears[-1].params.get("notifications", {}) if self.upstream.ears else {}
        return asked.get("taskIds", [])


@asynccontextmanager
async def job(home: Path, speaks: Speaks, poll_ms: int = NEVER_MS, **config: Any) -> AsyncGenerator[tuple[Job, Peer]]:
    async with http_upstream(speaks) as upstream:
        at = Job(upstream, poll_ms)
        async with gateway(home, {"u": upstream.config}, **config) as running:
            yield at, Peer(running.port, running.token)


async def begin(peer: Peer) -> str:
    return (await peer.post("tools/call", enveloped(tool_call("u_job"), **DECLARED))).message["result"]["taskId"]


def asking(*ids: str) -> Json:
    return enveloped({"notifications": {"taskIds": list(ids)}}, **DECLARED)


async def told(stream: AsyncIterator[Said]) -> Json:
    said = await heard(stream)
    assert said["method"] == "notifications/tasks"
    return said["params"]


@pytest.mark.parametrize("speaks", ERAS)
async def test_what_an_upstream_tells_of_a_task_is_told_under_the_gateways_id(tmp_path: Path, speaks: Speaks) -> None:
    async with job(tmp_path, speaks) as (at, peer):
        id_ = await begin(peer)
        async with listening(peer, asking(id_)) as (stream, honoured):
            assert honoured == {"taskIds": [id_]}
            first = await told(stream)
            assert (first["taskId"], first["status"], first["_meta"]) == (id_, "working", {SUBSCRIPTION: "l"})
            if speaks == "stateless":
                await at.upstream.when(lambda: at.followed() == ["own"])
                declared = at.upstream.ears[-1].params["_meta"][CAPABILITIES]
                assert declared == DECLARED[CAPABILITIES]
            at.end()
            at.tell()
            last = await told(stream)
            assert (last["taskId"], last["status"], last["result"]["content"]) == (id_, "completed", [])
        if speaks == "stateless":
            # It is over: nobody need be told any more.
            await at.upstream.when(lambda: at.followed() == [])


@pytest.mark.parametrize("speaks", ERAS)
async def test_a_task_of_an_upstream_that_tells_nothing_is_looked_at(tmp_path: Path, speaks: Speaks) -> None:
    async with job(tmp_path, speaks, poll_ms=50) as (at, peer):
        at.upstream.on["subscriptions/listen"] = lambda asked: asked.error(-32601, "method not found")
        async with listening(peer, asking(await begin(peer))) as (stream, _):
            assert (await told(stream))["status"] == "working"
            at.end()
            assert (await told(stream))["status"] == "completed"


@pytest.mark.parametrize("speaks", ERAS)
async def test_a_session_is_told_unasked_of_the_task_it_has_begun(tmp_path: Path, speaks: Speaks) -> None:
    async with job(tmp_path, speaks) as (at, peer), peer.wire() as line:
        await peer.greet()
        assert await peer.listen(line) == 200
        made = (await peer.post("tools/call", tool_call("u_job") | {"task": {}})).message["result"]["task"]
        if speaks == "stateless":
            await at.upstream.when(lambda: at.followed() == ["own"])
        at.end()
        at.tell()
        said = await heard(events(line))
        assert (said["method"], said["params"]["taskId"], said["params"]["status"]) == (
            "notifications/tasks/status",
            made["taskId"],
            "completed",
        )
        assert said["params"].keys().isdisjoint({"result", "ttlMs"})


async def test_nobody_is_told_of_what_is_not_its_own_or_is_not_there(tmp_path: Path) -> None:
    async with job(tmp_path, "stateless") as (_, peer):
        id_ = await begin(peer)
        async with listening(peer, asking(id_, "own", "never-given")) as (_, honoured):
            assert honoured == {"taskIds": [id_]}
        refused = (await peer.post("subscriptions/listen", asking("own"))).message["error"]
        assert refused["code"] == -32602
        undeclared = newer(notifications={"taskIds": [id_]})
        assert (await peer.post("subscriptions/listen", undeclared)).message["error"]["code"] == -32021


async def test_who_may_not_look_any_more_is_not_told_any_more(tmp_path: Path) -> None:
    rules = tmp_path / "own.cedar"
    rules.write_text('@id("all") permit (principal, action, resource);')
    config = {"policy": {"files": [str(rules)]}}
    async with (
        job(tmp_path / "home", "stateless", poll_ms=50, **config) as (_, peer),
        listening(peer, asking(await begin(peer))) as (stream, _),
    ):
        await told(stream)
        rules.write_text('@id("lists") permit (principal, action == Douane::Action::"list", resource);')
        assert (await heard(stream))["result"]["_meta"] == {SUBSCRIPTION: "l"}
