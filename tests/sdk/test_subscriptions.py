"""Who subscribed is told of changed resources and lists, in either era, by every door, and nobody else is."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from gateway_world import until
from raw_http import OLDER, Json, Peer, Said, events, newer, served

from douane.protocol.call import Principal
from douane.sdk import Server
from douane.sdk.line_door import LineDoor
from douane.sdk.listener import Listener
from douane.sdk.subscriptions import Bounds
from douane.transports.memory import pair
from douane.wire.rpc import Limits

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
BOUND_S = 5.0


def shelf() -> Server:
    server = Server("shelf")

    @server.resource("file:///shelf")
    def shelf() -> str:
        return "books"

    @server.resource("file:///shelf/{book}")
    def book(book: str) -> str:
        return book

    @server.tool()
    def touch(uri: str) -> str:
        """In a thread of its own."""
        server.updated(uri)
        return "touched"

    return server


def asking(*uris: str, **lists: bool) -> Json:
    return newer(notifications={**lists, **({"resourceSubscriptions": list(uris)} if uris else {})})


@asynccontextmanager
async def listening(peer: Peer, params: Json, id: Any = "l") -> AsyncIterator[tuple[AsyncIterator[Said], Json]]:
    """A listen stream over HTTP, and its acknowledgement."""
    async with peer.wire() as line:
        await peer.begin(line, "subscriptions/listen", params, id)
        status, headers = await line.status()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        stream = events(line)
        ack = (await anext(stream)).message
        assert ack is not None
        yield stream, ack


async def heard(stream: AsyncIterator[Said]) -> Json:
    while (message := (await anext(stream)).message) is None:
        pass
    return message


def update(uri: str, id: Any) -> Json:
    return {
        "jsonrpc": "2.0",
        "method": "notifications/resources/updated",
        "params": {"uri": uri, "_meta": {SUBSCRIPTION: id}},
    }


# --- the newer era over HTTP ---


async def test_what_is_honoured_is_acknowledged_first_and_all_that_follows_bears_the_id() -> None:
    server = shelf()
    async with served(server) as peer:
        asked = asking("file:///shelf/a", toolsListChanged=True, promptsListChanged=True, resourcesListChanged=False)
        async with listening(peer, asked, 7) as (stream, ack):
            assert ack == {
                "jsonrpc": "2.0",
                "method": "notifications/subscriptions/acknowledged",
                "params": {
                    "notifications": {"toolsListChanged": True, "resourceSubscriptions": ["file:///shelf/a"]},
                    "_meta": {SUBSCRIPTION: 7},
                },
            }
            server.updated("file:///shelf/b")
            server.updated("file:///shelf/a")
            assert await heard(stream) == update("file:///shelf/a", 7)
            server.remove("resources", "file:///shelf")
            server.remove("tools", "touch")
            changed = await heard(stream)
            assert (changed["method"], changed["params"]) == (
                "notifications/tools/list_changed",
                {"_meta": {SUBSCRIPTION: 7}},
            )


async def test_an_update_is_told_to_who_subscribed_to_what_is_above_it() -> None:
    server = shelf()
    async with served(server) as peer, listening(peer, asking("file:///shelf")) as (stream, _):
        for other in ("file:///shelf2", "file:///", "file:///shel"):
            server.updated(other)
        server.updated("file:///shelf/a/page?n=1")
        assert await heard(stream) == update("file:///shelf/a/page?n=1", "l")


async def test_one_client_has_several_streams_each_with_its_own_id() -> None:
    server = shelf()
    async with (
        served(server) as peer,
        listening(peer, asking("file:///shelf/a"), 1) as (one, _),
        listening(peer, asking("file:///shelf/a"), "1") as (other, _),
    ):
        server.updated("file:///shelf/a")
        assert [await heard(one), await heard(other)] == [update("file:///shelf/a", 1), update("file:///shelf/a", "1")]


async def test_a_resource_that_does_not_exist_is_not_honoured() -> None:
    async with served(shelf()) as peer:
        async with listening(peer, asking("file:///shelf/a", "x://no")) as (_, ack):
            assert ack["params"]["notifications"] == {"resourceSubscriptions": ["file:///shelf/a"]}
        # Nothing to wait for is an error, and says why.
        answer = await peer.post("subscriptions/listen", asking("x://no"))
        assert (answer.code, answer.message["error"]["data"]) == (-32602, {"uri": "x://no"})
        async with listening(peer, asking()) as (_, ack):
            assert ack["params"]["notifications"] == {}


@pytest.mark.parametrize(
    "wanted",
    [None, [], "x", {"resourceSubscriptions": "x"}, {"resourceSubscriptions": [1]}, {"toolsListChanged": "yes"}],
)
async def test_a_filter_that_is_none_is_refused(wanted: Any) -> None:
    async with served(shelf()) as peer:
        answer = await peer.post("subscriptions/listen", newer(notifications=wanted))
        assert (answer.code, answer.headers["content-type"]) == (-32602, "application/json")
        assert "notifications" in answer.message["error"]["message"]


async def test_who_closes_the_stream_is_forgotten() -> None:
    server = shelf()
    async with served(server) as peer:
        async with listening(peer, asking("file:///shelf", toolsListChanged=True)):
            assert (server.listener.subscriptions.streams, server.listener.subscriptions.uris) == (1, 1)
        subscriptions = server.listener.subscriptions
        assert await until(lambda: not (subscriptions.streams or subscriptions.uris))


async def test_a_server_that_stops_ends_its_streams_with_a_result() -> None:
    async with Stopping(shelf()) as peer, peer.wire() as line:
        await peer.begin(line, "subscriptions/listen", asking("file:///shelf"), 3)
        await line.status()
        stream = events(line)
        await anext(stream)
        peer.stop()
        last = await heard(stream)
        assert last == {
            "jsonrpc": "2.0",
            "id": 3,
            "result": {"resultType": "complete", "_meta": {SUBSCRIPTION: 3}},
        }
        assert [said async for said in stream] == []


class Stopping:
    """A server that is told to stop while clients are there."""

    def __init__(self, server: Server) -> None:
        self.server, self._told = server, asyncio.Event()

    async def __aenter__(self) -> "Stopping":
        ready: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()
        self._serving = asyncio.create_task(self._serve(ready))
        peer = await ready
        self.wire, self.begin = peer.wire, peer.begin
        return self

    async def _serve(self, ready: "asyncio.Future[Peer]") -> None:
        async with served(self.server) as peer:
            ready.set_result(peer)
            await self._told.wait()

    def stop(self) -> None:
        self._told.set()

    async def __aexit__(self, *_: object) -> None:
        self._told.set()
        await asyncio.wait_for(self._serving, BOUND_S)


async def test_discovery_says_that_one_is_told() -> None:
    async with served(shelf()) as peer:
        found = (await peer.post("server/discover", newer())).message["result"]["capabilities"]
        assert found["resources"] == {"listChanged": True, "subscribe": True}
        assert found["tools"] == {"listChanged": True}
    async with served(Server("bare")) as peer:
        found = (await peer.post("server/discover", newer())).message["result"]["capabilities"]
        assert "resources" not in found


# --- the handshake era over HTTP ---


async def test_a_session_is_told_on_its_stream_until_it_unsubscribes() -> None:
    server = shelf()
    async with served(server) as peer, peer.wire() as line:
        hello = await peer.greet()
        assert hello["capabilities"]["resources"] == {"listChanged": True, "subscribe": True}
        assert await peer.listen(line) == 200
        stream = events(line)
        assert (await anext(stream)).message is None
        for uri in ("file:///shelf", "file:///shelf"):
            assert (await peer.post("resources/subscribe", {"uri": uri})).message["result"] == {}
        server.updated("file:///shelf/a")
        said = await heard(stream)
        assert (said["method"], said["params"]) == ("notifications/resources/updated", {"uri": "file:///shelf/a"})
        assert (await peer.post("resources/unsubscribe", {"uri": "file:///shelf"})).message["result"] == {}
        assert (await peer.post("resources/unsubscribe", {"uri": "file:///shelf"})).message["result"] == {}
        server.updated("file:///shelf/b")
        server.remove("tools", "touch")
        assert (await heard(stream))["method"] == "notifications/tools/list_changed"


async def test_what_is_told_before_a_subscriber_listens_waits_for_it() -> None:
    server = shelf()
    async with served(server) as peer:
        await peer.greet()
        await peer.post("resources/subscribe", {"uri": "file:///shelf"})
        server.updated("file:///shelf/a")
        for told in (1, 0):
            async with peer.wire() as line:
                assert await peer.listen(line) == 200
                server.updated("file:///shelf/last")
                stream = events(line)
                assert [(await heard(stream))["params"]["uri"] for _ in range(told)] == ["file:///shelf/a"] * told
                assert (await heard(stream))["params"]["uri"] == "file:///shelf/last"


async def test_a_session_cannot_subscribe_to_what_is_not_there() -> None:
    async with served(shelf()) as peer:
        await peer.greet()
        answer = await peer.post("resources/subscribe", {"uri": "x://no"})
        assert (answer.code, answer.message["error"]["data"]) == (-32002, {"uri": "x://no"})
        assert (await peer.post("resources/subscribe", {})).code == -32602
        # An envelope of the newest revision, under the headers of the session.
        assert (await peer.post("resources/subscribe", newer(uri="file:///shelf"))).code == -32020


async def test_a_plain_function_in_its_thread_tells_too() -> None:
    server = shelf()
    async with served(server) as peer, listening(peer, asking("file:///shelf")) as (stream, _):
        other = Peer(peer.port)
        await other.greet()
        await other.post("tools/call", {"name": "touch", "arguments": {"uri": "file:///shelf"}})
        assert await heard(stream) == update("file:///shelf", "l")
        thread = threading.Thread(target=server.updated, args=("file:///shelf/t",))
        thread.start()
        assert await heard(stream) == update("file:///shelf/t", "l")
        thread.join()


async def test_an_update_before_anybody_listens_or_after_all_have_gone_is_nothing() -> None:
    server = shelf()
    server.updated("file:///shelf")
    async with served(server):
        pass
    server.updated("file:///shelf")


async def test_the_end_of_a_session_ends_its_subscriptions() -> None:
    server = shelf()
    async with served(server) as peer:
        await peer.greet()
        await peer.post("resources/subscribe", {"uri": "file:///shelf"})
        assert server.listener.subscriptions.uris == 1
        async with peer.wire() as line:
            await line.send("DELETE", peer.headers({}))
            assert (await line.answer()).status == 204
        assert server.listener.subscriptions.uris == 0


# --- a line ---


class Line:
    def __init__(self, server: Server) -> None:
        self.frames: asyncio.Queue[Json] = asyncio.Queue()
        self.link, theirs = pair()
        self.link.start(lambda data: self.frames.put_nowait(json.loads(data)), lambda _: None)
        self.door = server.serve(theirs)

    def send(self, **message: Any) -> None:
        self.link.send(json.dumps({"jsonrpc": "2.0", **message}).encode())

    async def hear(self) -> Json:
        return await asyncio.wait_for(self.frames.get(), BOUND_S)

    async def ask(self, id_: Any, method: str, params: Json) -> Json:
        self.send(id=id_, method=method, params=params)
        return await self.hear()


@asynccontextmanager
async def line(server: Server) -> AsyncIterator[Line]:
    async with server.ready():
        made = Line(server)
        try:
            yield made
        finally:
            await made.door.aclose()


async def test_both_eras_subscribe_on_one_line() -> None:
    server = shelf()
    async with line(server) as at:
        hello = {"protocolVersion": OLDER, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
        assert (await at.ask(0, "initialize", hello))["result"]["capabilities"]["resources"]["subscribe"] is True
        assert (await at.ask(1, "resources/subscribe", {"uri": "file:///shelf"}))["result"] == {}
        ack = await at.ask("l", "subscriptions/listen", asking("file:///shelf/a"))
        assert ack["params"]["_meta"] == {SUBSCRIPTION: "l"}
        server.updated("file:///shelf/a")
        told = [(await at.hear())["params"], (await at.hear())["params"]]
        assert told == [{"uri": "file:///shelf/a", "_meta": {SUBSCRIPTION: "l"}}, {"uri": "file:///shelf/a"}]
        at.send(method="notifications/cancelled", params={"requestId": "l"})
        assert (await at.ask(2, "ping", {}))["result"] == {}
        server.updated("file:///shelf/a")
        assert (await at.hear())["params"] == {"uri": "file:///shelf/a"}
    assert (server.listener.subscriptions.streams, server.listener.subscriptions.uris) == (0, 0)
    assert server.toolbox.on_change == []


async def test_a_line_that_is_drained_ends_its_streams_with_a_result() -> None:
    async with line(shelf()) as at:
        await at.ask("l", "subscriptions/listen", asking("file:///shelf"))
        draining = asyncio.create_task(at.door.drain(BOUND_S))
        assert (await at.hear())["result"] == {"resultType": "complete", "_meta": {SUBSCRIPTION: "l"}}
        await draining


# --- bounds ---


@asynccontextmanager
async def bounded(**bounds: int) -> AsyncIterator[tuple[Listener, Any]]:
    """Doors for anybody, to one server with these bounds."""
    server = shelf()
    listener = Listener(server.toolbox, server.toolbox, server.about, bounds=Bounds(**bounds))
    doors: list[LineDoor] = []

    def enter(subject: str) -> Line:
        at = Line.__new__(Line)
        at.frames = asyncio.Queue()
        at.link, theirs = pair()
        at.link.start(lambda data: at.frames.put_nowait(json.loads(data)), lambda _: None)
        at.door = LineDoor(theirs, listener, Principal(subject), Limits())
        doors.append(at.door)
        return at

    async with server.ready():
        try:
            yield listener, enter
        finally:
            for door in doors:
                await door.aclose()
    assert (listener.subscriptions.streams, listener.subscriptions.uris) == (0, 0)


async def test_a_principal_has_a_share_of_the_streams_and_so_have_all() -> None:
    async with bounded(max_streams_per_principal=1, max_streams=2) as (_, enter):
        anna, again, bert, carl = enter("anna"), enter("anna"), enter("bert"), enter("carl")
        assert "method" in await anna.ask(1, "subscriptions/listen", asking())
        assert "you listen on 1 streams" in (await again.ask(1, "subscriptions/listen", asking()))["error"]["message"]
        assert "method" in await bert.ask(1, "subscriptions/listen", asking())
        assert "of all clients" in (await carl.ask(1, "subscriptions/listen", asking()))["error"]["message"]
        await anna.door.aclose()
        assert "method" in await again.ask(2, "subscriptions/listen", asking())


async def test_a_stream_a_principal_and_all_have_bounds_of_subscriptions() -> None:
    a, b, c = (f"file:///shelf/{name}" for name in "abc")
    async with bounded(max_uris=2, max_uris_per_principal=3, max_uris_in_all=4) as (listener, enter):
        anna, again, bert = enter("anna"), enter("anna"), enter("bert")
        refused = await anna.ask(0, "subscriptions/listen", asking(a, b, c))
        assert refused["error"]["code"] == -32602
        assert (await anna.ask(1, "subscriptions/listen", asking(a, b)))["params"]["notifications"] == {
            "resourceSubscriptions": [a, b]
        }
        assert (await again.ask(1, "subscriptions/listen", asking(a, b)))["params"]["notifications"] == {
            "resourceSubscriptions": [a]
        }
        assert (await bert.ask(1, "subscriptions/listen", asking(a, b)))["params"]["notifications"] == {
            "resourceSubscriptions": [a]
        }
        assert listener.subscriptions.uris == 4


async def test_a_subscription_that_was_refused_takes_no_share() -> None:
    async with bounded(max_uris_per_principal=1) as (listener, enter):
        anna = enter("anna")
        for number in range(3):
            assert "error" in await anna.ask(number, "subscriptions/listen", asking("x://no"))
        assert listener.subscriptions.uris == 0
        assert not listener.subscriptions.in_use
        assert "method" in await anna.ask(9, "subscriptions/listen", asking("file:///shelf"))


async def test_a_client_that_does_not_read_is_cut_and_nothing_waits_for_it() -> None:
    server = shelf()
    async with served(server) as peer, peer.wire() as line:
        await peer.begin(line, "subscriptions/listen", asking("file:///shelf"), 1)
        await line.status()
        async with asyncio.timeout(BOUND_S):
            while server.listener.subscriptions.streams:
                server.updated("file:///shelf/" + "x" * 100_000)
                await asyncio.sleep(0)
        assert server.listener.subscriptions.uris == 0
