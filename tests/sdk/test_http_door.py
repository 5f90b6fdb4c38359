"""The HTTP door: a caller that hangs up has cancelled its call, whenever it does so."""

import asyncio
from typing import Any, cast

from douane.flow.chain import Emit
from douane.gateway.front import ABOUT
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Outcome
from douane.registry.catalog import Catalog
from douane.sdk.client_sessions import Sessions
from douane.sdk.held import Turned
from douane.sdk.http_door import HttpDoor
from douane.sdk.listener import Listener
from douane.transports.http_server import Reply, Request
from douane.wire import rpc

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
HEADERS = {
    b"content-type": b"application/json",
    b"mcp-protocol-version": VERSION.encode(),
    b"mcp-method": b"tools/call",
    b"mcp-name": b"echo",
}


class Peer:
    """A handler that never answers, and says what became of it."""

    def __init__(self) -> None:
        self.reached, self.ended = asyncio.Event(), asyncio.Event()

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        self.reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError


def listener_to(peer: Peer) -> Listener:
    listener = Listener(peer, Catalog(), ABOUT, lambda: asyncio.sleep(0))
    listener.ready()
    return listener


def door_to(peer: Peer) -> HttpDoor:
    return HttpDoor(listener_to(peer), lambda _: Principal("anna"), sessions(), rpc.Limits())


def sessions() -> Sessions:
    return Sessions(Catalog(), asyncio.get_running_loop().time, max_sessions=1, idle_s=60.0)


class Lodge:
    """Lets in until it is closed, and counts whom it looked at."""

    def __init__(self) -> None:
        self.looked, self.is_open = 0, True

    def __call__(self, request: Request) -> Principal:
        self.looked += 1
        if not self.is_open:
            raise Turned(401, "client: no longer")
        return Principal("anna")


async def test_who_was_let_in_is_looked_at_anew_when_its_time_is_up() -> None:
    lodge, peer = Lodge(), Peer()
    for papers_s, looked in ((60.0, 1), (-1.0, 3)):
        lodge.looked, lodge.is_open = 0, True
        door = HttpDoor(listener_to(peer), lodge, sessions(), rpc.Limits(), papers_s=papers_s)
        memo: dict[str, object] = {}
        for _ in range(3):
            asked(door, memo)
        assert (lodge.looked, door.open_calls) == (looked, 3)
        lodge.is_open = False
        asked(door, memo)
        assert door.open_calls == (4 if papers_s > 0 else 3)
        await door.aclose()


def asked(door: HttpDoor, memo: dict[str, object] | None = None) -> Reply:
    body = rpc.write_request(1, "tools/call", {"name": "echo", "arguments": {}, "_meta": META})
    request = Request(b"POST", b"/mcp", b"", HEADERS, body, memo={} if memo is None else memo)
    reply = Reply(cast("Any", None), False)
    door(request, reply)
    return reply


async def nothing_open(door: HttpDoor) -> None:
    me = asyncio.current_task()
    others = {task for task in asyncio.all_tasks() if task is not me}
    if others:
        await asyncio.wait(others, timeout=5)
    # The callbacks of the last task run in the turn after it.
    await asyncio.sleep(0)
    assert door.open_calls == 0


async def test_who_hangs_up_while_the_call_runs_has_cancelled_it() -> None:
    peer = Peer()
    door = door_to(peer)
    reply = asked(door)
    await asyncio.wait_for(peer.reached.wait(), 5)
    assert door.open_calls == 1
    reply.cut()
    await asyncio.wait_for(peer.ended.wait(), 5)
    await nothing_open(door)


async def test_who_hangs_up_before_the_call_began_leaves_nothing_behind() -> None:
    peer = Peer()
    door = door_to(peer)
    asked(door).cut()
    await nothing_open(door)
    assert not peer.reached.is_set()


async def test_closing_the_door_cancels_what_is_open() -> None:
    peer = Peer()
    door = door_to(peer)
    asked(door)
    await asyncio.wait_for(peer.reached.wait(), 5)
    await door.aclose()
    assert (peer.ended.is_set(), door.open_calls) == (True, 0)


async def test_who_cancels_a_call_of_a_session_before_it_began_gets_its_end() -> None:
    peer, held = Peer(), sessions()
    anna = Principal("anna")
    door = HttpDoor(listener_to(peer), lambda _: anna, held, rpc.Limits())
    session = held.open(anna, "2025-11-25", {})
    assert not isinstance(session, str)
    headers = {b"content-type": b"application/json", b"mcp-session-id": session.id.encode()}
    call = rpc.write_request(1, "tools/call", {"name": "echo", "arguments": {}})
    note = rpc.write_notification("notifications/cancelled", {"requestId": 1})
    replies: list[Reply] = []
    for body in (call, note):
        replies.append(Reply(cast("Any", None), False))
        door(Request(b"POST", b"/mcp", b"", headers, body), replies[-1])
    await nothing_open(door)
    assert not peer.reached.is_set()
    assert [reply.begun for reply in replies] == [True, True]
    assert session.open == {}


async def test_a_session_whose_client_has_left_is_dropped_though_nobody_comes() -> None:
    held = Sessions(Catalog(), asyncio.get_running_loop().time, idle_s=0.01)
    door = HttpDoor(listener_to(Peer()), lambda _: Principal("anna"), held, rpc.Limits(), sweep_every_s=0.01)
    ended = asyncio.Event()
    held.ended = lambda session: ended.set()
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    body = rpc.write_request(1, "initialize", hello)
    reply = Reply(cast("Any", None), False)
    reply.cut()
    door(Request(b"POST", b"/mcp", b"", {b"content-type": b"application/json"}, body, memo={}), reply)
    assert len(held) == 1
    await asyncio.wait_for(ended.wait(), 5)
    assert len(held) == 0
    await door.aclose()
