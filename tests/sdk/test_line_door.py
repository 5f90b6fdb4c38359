"""A client on a line: both eras on one connection, cancelling, and the end that cancels everything."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from peers import ANNA, BOUND_S, ENVELOPE, OLDER, Json

from douane.flow.chain import Emit
from douane.gateway.front import ABOUT
from douane.protocol.call import Call, Event
from douane.protocol.outcome import Complete, Outcome, Refused
from douane.registry.catalog import Catalog, Item
from douane.sdk.line_door import MAX_OPEN, LineDoor
from douane.sdk.listener import Listener
from douane.transports.memory import pair
from douane.wire.rpc import Limits


class Client:
    """The other end of the line, and the chain behind the door."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.calls: list[Call] = []
        self.cancelled: list[str | None] = []
        self.held = asyncio.Event()
        self.frames: asyncio.Queue[Json] = asyncio.Queue()
        self.link, theirs = pair()
        self.link.start(lambda data: self.frames.put_nowait(json.loads(data)), lambda _: None)
        self.door = LineDoor(theirs, Listener(self.serve, self.catalog, ABOUT, self.settled), ANNA, Limits())

    async def settled(self) -> None:
        return

    async def serve(self, call: Call, emit: Emit) -> Outcome:
        self.calls.append(call)
        if call.target == "held":
            try:
                await self.held.wait()
            except asyncio.CancelledError:
                self.cancelled.append(call.target)
                raise
        if call.target == "refused":
            return Refused(1403, "policy: no")
        emit(Event("notifications/progress", {"progress": 1}))
        if call.method == "tools/list":
            tools = [{"name": "t", "icons": [], "execution": {}}]
            return Complete({"resultType": "complete", "tools": tools, "ttlMs": 1, "cacheScope": "private"})
        return Complete({"content": []})

    def send(self, **message: Any) -> None:
        self.link.send(json.dumps({"jsonrpc": "2.0", **message}).encode())

    async def hear(self) -> Json:
        return await asyncio.wait_for(self.frames.get(), BOUND_S)

    async def ask(self, id_: Any, method: str, params: Json | None = None) -> Json:
        self.send(id=id_, method=method, params=params or {})
        return await self.hear()

    async def greet(self, revision: str = OLDER) -> Json:
        hello = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "c"}}
        return await self.ask("hello", "initialize", hello)

    async def until_called(self, count: int) -> None:
        # Answered behind all that was sent before it.
        while len(self.calls) < count:
            await self.ask("ping", "ping")


def newer(**params: Any) -> Json:
    return {**params, "_meta": {**ENVELOPE, **params.get("_meta", {})}}


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    made = Client()
    try:
        yield made
    finally:
        await made.door.aclose()


async def test_both_eras_are_spoken_on_one_line_each_answered_in_its_own_words() -> None:
    async with client() as at:
        assert (await at.greet())["result"]["protocolVersion"] == OLDER
        at.send(method="notifications/initialized")
        assert await at.ask(1, "tools/call", {"name": "t"}) == {
            "jsonrpc": "2.0",
            "method": "notifications/progress",
            "params": {"progress": 1},
        }
        assert await at.hear() == {"jsonrpc": "2.0", "id": 1, "result": {"content": []}}
        progress = await at.ask("1", "tools/call", newer(name="t", _meta={"progressToken": "p"}))
        assert progress["params"] == {"progress": 1, "progressToken": "p"}
        assert await at.hear() == {"jsonrpc": "2.0", "id": "1", "result": {"resultType": "complete", "content": []}}
        assert [call.principal for call in at.calls] == [ANNA, ANNA]
        assert len({call.id for call in at.calls}) == 2
        assert len({call.conversation for call in at.calls}) == 1


async def test_a_list_is_told_in_the_words_of_each_revision() -> None:
    async with client() as at:

        async def tools(params: Json) -> Json:
            await at.ask(1, "tools/list", params)
            return (await at.hear())["result"]

        assert (await tools(newer()))["ttlMs"] == 1
        await at.greet("2025-11-25")
        assert await tools({}) == {"tools": [{"name": "t", "icons": [], "execution": {}}]}
        await at.greet("2025-06-18")
        assert await tools({}) == {"tools": [{"name": "t"}]}


async def test_discovery_and_ping_need_no_greeting_and_calls_do() -> None:
    async with client() as at:
        assert (await at.ask(1, "server/discover", newer()))["result"]["supportedVersions"] == ["2026-07-28"]
        assert (await at.ask(2, "ping"))["result"] == {}
        error = (await at.ask(3, "tools/list"))["error"]
        assert error["code"] == -32600
        assert "initialize first" in error["message"]
        assert at.calls == []


async def test_a_client_that_has_asked_in_the_newer_era_may_still_shake_hands() -> None:
    # Some ask first and go back to what they know, on the same process: other servers refuse them then.
    async with client() as at:
        await at.ask(1, "server/discover", newer())
        assert (await at.greet())["result"]["protocolVersion"] == OLDER
        assert (await at.ask(2, "ping"))["result"] == {}
        # And back.
        assert (await at.ask(3, "server/discover", newer()))["result"]["supportedVersions"] == ["2026-07-28"]


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel", "x", "resources/subscribe"])
async def test_a_method_that_is_not_of_the_newer_era_does_not_exist_in_its_envelope(method: str) -> None:
    async with client() as at:
        assert (await at.ask(1, method, newer(level="info")))["error"]["code"] == -32601


async def test_an_unknown_method_of_a_greeted_client_does_not_exist() -> None:
    async with client() as at:
        await at.greet()
        assert (await at.ask(1, "tasks/update"))["error"] == {
            "code": -32601,
            "message": "client: unknown method 'tasks/update'",
        }


async def test_the_log_level_of_a_session_goes_with_its_calls() -> None:
    async with client() as at:
        await at.greet()
        assert (await at.ask(1, "logging/setLevel", {"level": "loud"}))["error"]["code"] == -32602
        assert (await at.ask(2, "logging/setLevel", {"level": "notice"}))["result"] == {}
        await at.ask(3, "tools/call", {"name": "refused"})
        assert at.calls[0].log_level == "notice"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"hello", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}', -32700),
    ],
)
async def test_a_broken_message_is_answered_and_the_line_goes_on(frame: bytes, code: int) -> None:
    async with client() as at:
        at.link.send(frame)
        error = (await at.hear())["error"]
        assert error["code"] == code
        assert error["message"].startswith("client: ")
        assert (await at.ask(2, "ping"))["result"] == {}


async def test_a_cancelled_call_is_cancelled_and_never_answered() -> None:
    async with client() as at:
        at.send(id=1, method="tools/call", params=newer(name="held"))
        await at.until_called(1)
        for wrong in ("1", 2, None, {}, [1], True, 1.0):
            at.send(method="notifications/cancelled", params={"requestId": wrong})
        await at.ask("before", "ping")
        assert at.cancelled == []
        at.send(method="notifications/cancelled", params={"requestId": 1})
        at.send(method="notifications/cancelled", params={"requestId": 1})
        assert await at.ask("next", "ping") == {"jsonrpc": "2.0", "id": "next", "result": {}}
        assert at.cancelled == ["held"]
        assert (await at.ask(1, "ping"))["result"] == {}


async def test_an_id_that_is_still_open_is_not_taken_twice() -> None:
    async with client() as at:
        at.send(id=1, method="tools/call", params=newer(name="held"))
        await at.until_called(1)
        assert await at.ask(1, "tools/call", newer(name="t")) == {
            "jsonrpc": "2.0",
            "id": 1,
            "error": {"code": -32600, "message": "client: a request with this id is still open"},
        }
        at.held.set()
        assert (await at.hear())["method"] == "notifications/progress"
        assert (await at.hear())["result"] == {"resultType": "complete", "content": []}
        assert len(at.calls) == 1


async def test_one_line_has_only_so_many_calls_open() -> None:
    async with client() as at:
        for number in range(MAX_OPEN + 1):
            at.send(id=number, method="tools/call", params=newer(name="held"))
        assert await at.hear() == {
            "jsonrpc": "2.0",
            "id": MAX_OPEN,
            "error": {"code": -32600, "message": f"gateway: more than {MAX_OPEN} calls open on one line"},
        }


async def test_a_greeted_client_is_told_of_changed_lists_and_another_is_not() -> None:
    async with client() as at, client() as silent:
        await at.greet()
        for one in (at, silent):
            one.catalog.publish("files", [Item("tools", "files", "x", "x", {}, "d")], frozenset({"tools"}))
        assert await at.hear() == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {}}
        assert await silent.ask(1, "ping") == {"jsonrpc": "2.0", "id": 1, "result": {}}


async def test_the_end_of_the_line_cancels_everything_and_forgets_the_client() -> None:
    async with client() as at:
        await at.greet()
        for number in range(10):
            at.send(id=number, method="tools/call", params={"name": "held"})
        await at.until_called(10)
        await at.link.aclose()
        assert await asyncio.wait_for(at.door.ended, BOUND_S) == "closed by the peer"
        await at.door.aclose()
        assert at.cancelled == ["held"] * 10
        assert at.catalog.on_change == []


async def test_a_refusal_is_an_error_in_either_era() -> None:
    async with client() as at:
        error = {"code": 1403, "message": "policy: no"}
        assert (await at.ask(1, "tools/call", newer(name="refused")))["error"] == error
        await at.greet()
        assert (await at.ask(2, "tools/call", {"name": "refused"}))["error"] == error


class Quick:
    """A peer that has read an answer, and says the next thing, before the door comes back from sending it."""

    def __init__(self, params: Json) -> None:
        self.params, self.heard, self.done = params, list[Json](), asyncio.Event()

    def start(self, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]) -> None:
        self.on_frame, self.on_close = on_frame, on_close

    def call(self) -> None:
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": self.params}
        self.on_frame(json.dumps(request).encode())

    def send(self, frame: bytes) -> None:
        self.heard.append(json.loads(frame))
        if len(self.heard) < 3:
            self.call()
        else:
            self.done.set()

    async def aclose(self) -> None:
        self.on_close("gone")


async def test_an_id_is_free_again_when_its_answer_is_heard() -> None:
    async def serve(call: Call, emit: Emit) -> Outcome:
        return Complete({"content": []})

    peer = Quick(newer(name="t"))
    door = LineDoor(peer, Listener(serve, Catalog(), ABOUT), ANNA, Limits())
    peer.call()
    await asyncio.wait_for(peer.done.wait(), BOUND_S)
    await door.aclose()
    assert ["result" in message for message in peer.heard] == [True, True, True]
