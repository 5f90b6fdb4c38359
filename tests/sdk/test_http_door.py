"""The HTTP door: a caller that hangs up has cancelled its call, whenever it does so."""

import asyncio
from typing import Any, cast

from douane.flow.chain import Emit
from douane.gateway.app import ABOUT
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Outcome
from douane.registry.catalog import Catalog
from douane.sdk.client_sessions import Sessions
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


def door_to(peer: Peer) -> HttpDoor:
    catalog = Catalog()
    listener = Listener(peer, catalog, ABOUT, lambda: asyncio.sleep(0))
    listener.ready()
    sessions = Sessions(catalog, asyncio.get_running_loop().time, max_sessions=1, idle_s=60.0)
    return HttpDoor(listener, lambda _: Principal("anna"), sessions, rpc.Limits())


def asked(door: HttpDoor) -> Reply:
    body = rpc.write_request(1, "tools/call", {"name": "echo", "arguments": {}, "_meta": META})
    request = Request(b"POST", b"/mcp", b"", HEADERS, body)
    reply = Reply(cast("Any", None), request)
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
