"""Batches of revision 2025-03-26: taken over every door by sessions that settled on it, and by no other."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import (
    OLDER,
    HttpClient,
    Message,
    TwoWay,
    enveloped,
    http,
    post,
    request,
    sse,
    stdio,
    text_of,
    tool,
)
from gateway_world import Gateway, gateway, hostile, until, witness

BATCHING = "2025-03-26"
REVISIONS = ("2024-11-05", BATCHING, "2025-06-18", OLDER)
NOTE = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
REPLY = {"jsonrpc": "2.0", "id": 77, "result": {}}


class Batcher:
    """A client that sends batches, over one of the doors."""

    def __init__(self, client: HttpClient | TwoWay) -> None:
        self.client = client

    async def greet(self, revision: str) -> None:
        assert (await self.client.greet(revision))["protocolVersion"] == revision

    async def batch(self, *messages: Any) -> Any:
        """All that comes back: None for nothing."""
        data = json.dumps(messages).encode()
        if isinstance(self.client, TwoWay):
            await self.client.say(data)
            # Answered behind what the batch brings, where that is known at once.
            return await self.client.hear()
        answer = await post(self.client.gateway, data, self.client.headers())
        if answer.status == 202:
            assert answer.body == b""
            return None
        said = answer.message
        assert answer.status == (200 if isinstance(said, list) else 400)
        return said


@asynccontextmanager
async def over_http(running: Gateway) -> AsyncIterator[Batcher]:
    async with http(running) as client:
        yield Batcher(client)


@asynccontextmanager
async def over_stdio(running: Gateway) -> AsyncIterator[Batcher]:
    async with stdio(running.world) as client:
        yield Batcher(client)


@asynccontextmanager
async def over_sse(running: Gateway) -> AsyncIterator[Batcher]:
    async with sse(running) as client:
        yield Batcher(client)


Door = Callable[[Gateway], AbstractAsyncContextManager[Batcher]]
DOORS = pytest.mark.parametrize("door", [over_http, over_stdio, over_sse], ids=["http", "stdio", "sse"])


def echo(id: Any, text: str) -> Message:
    return request("tools/call", tool("w_echo", {"text": text}), id)


@DOORS
async def test_a_batch_is_answered_in_one_array_and_what_needs_no_answer_gets_none(tmp_path: Path, door: Door) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}) as running, door(running) as at:
        await at.greet(BATCHING)
        said = await at.batch(NOTE, echo(1, "one"), REPLY, echo("1", "two"), request("ping", id=3))
        assert {(type(answer["id"]), answer["id"]) for answer in said} == {(int, 1), (str, "1"), (int, 3)}
        assert {text_of(answer) for answer in said if answer["id"] != 3} == {"one", "two"}
        if isinstance(at.client, HttpClient):
            assert await at.batch(NOTE, REPLY) is None
        (lone,) = await at.batch(NOTE, request("tools/list", id=4))
        assert len(lone["result"]["tools"]) == 4
    assert len([call for call in running.world.calls().values() if call.intents]) == 2


@DOORS
async def test_what_is_asked_in_one_batch_runs_at_the_same_time(tmp_path: Path, door: Door) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}) as running, door(running) as at:
        await at.greet(BATCHING)
        # Each waits for what comes behind it: were they run in turn, none would end.
        waits = [request("tools/call", tool("w_wait"), id) for id in "abcde"]
        seen = tmp_path / "seen"
        if isinstance(at.client, TwoWay):
            await at.client.say(json.dumps(waits).encode())
            assert await until(lambda: seen.read_bytes().count(b'"name":"wait"') == 5)
            await at.client.begin("tools/call", tool("w_release"))
            heard = [await at.client.hear(), await at.client.hear()]
            said = next(one for one in heard if isinstance(one, list))
        else:
            await at.client.line.send("POST", at.client.headers(), json.dumps(waits).encode())
            assert await until(lambda: seen.read_bytes().count(b'"name":"wait"') == 5)
            released = request("tools/call", tool("w_release"))
            assert (await post(running, released, at.client.headers())).status == 200
            said = (await at.client.line.answer()).message
        assert sorted(answer["id"] for answer in said) == list("abcde")
        assert {text_of(answer) for answer in said} == {"waited"}


@DOORS
async def test_each_fault_in_a_batch_is_answered_by_itself(tmp_path: Path, door: Door) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}) as running, door(running) as at:
        await at.greet(BATCHING)
        hello = {"protocolVersion": BATCHING, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        said = await at.batch(
            1,
            [request("ping")],
            {"jsonrpc": "1.0", "id": 2, "method": "ping"},
            request("initialize", hello, 3),
            request("tools/call", enveloped(tool("w_echo")), 4),
            request("no/such", id=5),
            request("ping", id=6),
        )
        assert [(answer["id"], answer["error"]["code"]) for answer in said if "error" in answer] == [
            (None, -32600),
            (None, -32600),
            (2, -32600),
            (3, -32600),
            (4, -32600),
            (5, -32601),
        ]
        assert "must not be part of a batch" in said[3]["error"]["message"]
        assert said[-1] == {"jsonrpc": "2.0", "id": 6, "result": {}}


@DOORS
async def test_an_array_that_is_empty_or_too_long_is_refused_with_one_error(tmp_path: Path, door: Door) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}) as running, door(running) as at:
        await at.greet(BATCHING)
        for batch, reason in (([], "at least one"), ([request("ping", id=i) for i in range(101)], "at most 100")):
            said = await at.batch(*batch)
            assert (said["id"], said["error"]["code"]) == (None, -32600)
            assert reason in said["error"]["message"]
        assert len(await at.batch(*(request("ping", id=i) for i in range(100)))) == 100


@pytest.mark.parametrize("revision", [revision for revision in REVISIONS if revision != BATCHING])
@DOORS
async def test_no_other_revision_has_batches(tmp_path: Path, door: Door, revision: str) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen)}) as running, door(running) as at:
        await at.greet(revision)
        said = await at.batch(echo(1, "no"))
        assert said["error"]["code"] == -32600
        assert "a batch is not accepted" in said["error"]["message"]
    assert b"tools/call" not in seen.read_bytes()


@DOORS
async def test_answers_that_are_too_large_for_one_message_come_as_several_arrays(tmp_path: Path, door: Door) -> None:
    async with gateway(tmp_path / "home", {"h": hostile()}) as running, door(running) as at:
        await at.greet(BATCHING)
        calls = [request("tools/call", tool("h_big", {"bytes": 1_500_000}), id) for id in "abcde"]
        if isinstance(at.client, TwoWay):
            await at.client.say(json.dumps(calls).encode())
            arrays = [await at.client.hear() for _ in range(3)]
        else:
            await at.client.line.send("POST", at.client.headers(), json.dumps(calls).encode())
            arrays = [message async for message in at.client.messages()]
        assert [len(array) for array in arrays] == [2, 2, 1]
        assert sorted(answer["id"] for array in arrays for answer in array) == list("abcde")


async def test_over_http_a_batch_needs_its_session(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}) as running, http(running) as client:
        await client.greet(BATCHING)
        data = json.dumps([request("ping")]).encode()
        bare = {key: value for key, value in client.headers().items() if not key.startswith("mcp-")}
        assert (await post(running, data, bare)).code == -32600
        assert (await post(running, data, bare | {"mcp-session-id": "another"})).status == 404
        modern = client.headers() | {"mcp-protocol-version": "2026-07-28"}
        assert (await post(running, data, modern)).code == -32600
        assert (await post(running, data, {**client.headers(), "authorization": "Bearer no"})).status == 401


async def test_over_http_events_come_before_the_array_that_ends_the_stream(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}) as running, http(running) as client:
        await client.greet(BATCHING)
        works = [
            request("tools/call", {**tool("w_work"), "_meta": {"progressToken": token}}, token) for token in ("a", "b")
        ]
        await client.line.send("POST", client.headers(), json.dumps(works).encode())
        *told, last = [message async for message in client.messages()]
        assert sorted((e["params"]["progressToken"], e["params"]["progress"]) for e in told) == [
            (token, step) for token in ("a", "b") for step in (1, 2, 3)
        ]
        assert isinstance(last, list)
        assert {answer["id"]: text_of(answer) for answer in last} == {"a": "worked", "b": "worked"}


@DOORS
async def test_a_call_of_a_batch_can_be_cancelled_and_the_others_are_answered(tmp_path: Path, door: Door) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen)}) as running, door(running) as at:
        await at.greet(BATCHING)
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        said = await at.batch(request("tools/call", tool("w_wait"), 1), cancel, echo(2, "two"))
        assert [answer["id"] for answer in said] == [2]
