"""A stream that is held open ends when who opened it is not let in any more, whatever door it came by."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from gateway_clients import Wire
from raw_http import Peer, events, newer

from douane.protocol.call import Principal
from douane.sdk import Server
from douane.sdk.client_sessions import Sessions
from douane.sdk.held import Held, NotYet, Turned
from douane.sdk.http_door import HttpDoor
from douane.sdk.sse_door import SseDoor
from douane.transports.http_server import Guard, Reply, Request, serve
from douane.wire.rpc import Limits


class Lodge:
    """Lets in who has not been put out."""

    def __init__(self) -> None:
        self.out: set[bytes] = set()
        self.fault: Exception = Turned(401, "client: no longer")
        self.later = False
        """Whether a stream that is open may go on has to be asked for."""

    def __call__(self, request: Request) -> Principal:
        name = request.headers.get(b"authorization", b"")
        if name in self.out and not (self.later and "held" not in request.memo):
            raise NotYet(self._ask) if self.later else self.fault
        return Principal(name.decode())

    async def _ask(self) -> Principal:
        raise self.fault


@asynccontextmanager
async def doors() -> AsyncGenerator[tuple[Lodge, Server, int]]:
    """Both doors of a server over HTTP, which look at each stream all the time."""
    server, lodge = Server("held"), Lodge()
    server.resource("x://a")(lambda: "a")
    clock = asyncio.get_running_loop().time
    door = HttpDoor(
        server.listener,
        lodge,
        Sessions(server.toolbox, clock),
        Limits(),
        papers_s=0.0,
        held=Held(lodge, look_every_s=0.005),
    )
    older = SseDoor(server.listener, lodge, Limits(), held=Held(lodge, look_every_s=0.005, pulses=False))

    def route(request: Request, reply: Reply) -> None:
        older.paths.get(request.path, door)(request, reply)

    bound = socket.create_server(("127.0.0.1", 0))
    listening = await serve(route, guard=Guard.loopback(bound.getsockname()[1]), sock=bound)
    try:
        async with server.ready():
            yield lodge, server, listening.port
    finally:
        await older.aclose()
        await door.aclose()
        await listening.aclose(0)


@pytest.mark.parametrize("kind", ["get", "listen", "sse"])
async def test_a_stream_does_not_outlive_the_token_it_was_opened_with(kind: str) -> None:
    async with doors() as (lodge, server, port):
        anna, bert = Peer(port, "anna"), Peer(port, "bert")
        async with anna.wire() as one, bert.wire() as other:
            for peer, line in ((anna, one), (bert, other)):
                await opened(peer, line, kind)
            lodge.out.add(b"Bearer anna")
            left = b"".join([chunk async for chunk in one.chunks({"transfer-encoding": "chunked"})])
            assert (b'"result"' in left) == (kind == "listen")
            # The other is still told what there is to tell.
            if kind != "sse":
                server.remove("resources", "x://a")
                stream = events(other)
                await anext(stream)
                assert (await anext(stream)).message["method"] == "notifications/resources/list_changed"  # type: ignore[index]


@pytest.mark.parametrize("fault", [Turned(401, "client: no longer"), RuntimeError("the issuer is gone")])
async def test_a_stream_ends_when_it_is_answered_later_that_it_may_not_go_on(fault: Exception) -> None:
    async with doors() as (lodge, _, port):
        anna = Peer(port, "anna")
        async with anna.wire() as one:
            await opened(anna, one, "get")
            lodge.fault, lodge.later = fault, True
            lodge.out.add(b"Bearer anna")
            assert [chunk async for chunk in one.chunks({"transfer-encoding": "chunked"})]


async def test_a_stream_ends_when_nobody_can_say_whether_it_may_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async with doors() as (lodge, server, port):
        anna, bert = Peer(port, "anna"), Peer(port, "bert")
        async with anna.wire() as one, bert.wire() as other:
            await opened(anna, one, "get")
            await opened(bert, other, "get")
            lodge.fault = RuntimeError("the table of tokens is gone")
            lodge.out.add(b"Bearer anna")
            assert [chunk async for chunk in one.chunks({"transfer-encoding": "chunked"})]
            server.remove("resources", "x://a")
            stream = events(other)
            await anext(stream)
            assert (await anext(stream)).message["method"] == "notifications/resources/list_changed"  # type: ignore[index]
    assert "cannot be said" in caplog.text


async def opened(peer: Peer, line: Wire, kind: str) -> None:
    if kind == "get":
        await peer.greet()
        assert await peer.listen(line) == 200
    elif kind == "listen":
        await peer.begin(line, "subscriptions/listen", newer(notifications={"resourcesListChanged": True}), 1)
        assert (await line.status())[0] == 200
    else:
        await line.send("GET", peer.headers({}) | {"accept": "text/event-stream"}, path="/sse")
        assert (await line.status())[0] == 200


async def first(line: Wire, count: int):
    stream = events(line)
    for _ in range(count):
        yield await anext(stream)


async def test_a_silent_stream_is_kept_awake() -> None:
    async with doors() as (_, _, port):
        peer = Peer(port, "anna")
        async with peer.wire() as line:
            await opened(peer, line, "get")
            said = b""
            async for chunk in line.chunks({"transfer-encoding": "chunked"}):
                said += chunk
                if said.endswith(b"\n\n:\n\n:\n\n"):
                    break
