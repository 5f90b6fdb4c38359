"""A fault of the doors' own is an answer too: nobody waits for ever, and nothing of it is shown."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from peers import BOUND_S

from douane.flow.chain import Emit, Handler
from douane.gateway.front import ABOUT
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Complete, Outcome
from douane.registry.catalog import Catalog
from douane.sdk.client_sessions import Sessions
from douane.sdk.http_door import HttpDoor
from douane.sdk.line_door import LineDoor
from douane.sdk.listener import Listener
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient, Origin
from douane.transports.http_server import Guard, serve
from douane.transports.memory import pair
from douane.wire import rpc

MODERN = "2026-07-28"
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
ANN = Principal("ann")
ECHO = {"name": "echo"}

Settled = Callable[[], Awaitable[None]]
Answer = dict[str, Any]
Ask = Callable[[str, Answer], Awaitable[Answer]]
"""A client: method and params to the answer."""


async def unwritable(call: Call, emit: Emit) -> Outcome:
    return Complete({"content": object()})


async def settled() -> None:
    return


async def unsettled() -> None:
    raise RuntimeError("the catalog is on fire")


@asynccontextmanager
async def line(handler: Handler, settled: Settled) -> AsyncIterator[Ask]:
    client, ours = pair()
    door = LineDoor(ours, Listener(handler, Catalog(), ABOUT, settled), ANN, rpc.Limits())
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    client.start(heard.put_nowait, lambda reason: None)

    async def ask(method: str, params: Answer) -> Answer:
        client.send(rpc.write_request(1, method, params))
        return json.loads(await asyncio.wait_for(heard.get(), BOUND_S))

    try:
        yield ask
    finally:
        await door.aclose()
        await client.aclose()


@asynccontextmanager
async def http(handler: Handler, settled: Settled) -> AsyncIterator[Ask]:
    """Afterwards: no session is left that nobody was told of."""
    catalog, loop = Catalog(), asyncio.get_running_loop()
    sessions = Sessions(catalog, loop.time)
    door = HttpDoor(Listener(handler, catalog, ABOUT, settled), lambda _: ANN, sessions, rpc.Limits())
    bound = socket.create_server(("127.0.0.1", 0))
    server = await serve(door, guard=Guard.loopback(bound.getsockname()[1]), sock=bound)
    origin, target = Origin.parse(f"http://127.0.0.1:{server.port}/mcp")
    client = HttpClient(reach=Reach.LOOPBACK)
    told: list[bytes] = []

    async def ask(method: str, params: Answer) -> Answer:
        headers = [(b"content-type", b"application/json"), *((b"mcp-session-id", id_) for id_ in told)]
        if "_meta" in params:
            named = ((b"mcp-name", params["name"].encode()),) if "name" in params else ()
            headers += [(b"mcp-protocol-version", MODERN.encode()), (b"mcp-method", method.encode()), *named]
        frame = rpc.write_request(1, method, params)
        response = await client.request("POST", origin, target, headers, frame, deadline=loop.time() + BOUND_S)
        told.extend(response.headers[name] for name in (b"mcp-session-id",) if name in response.headers)
        return json.loads(response.body)

    try:
        yield ask
    finally:
        left = len(sessions)
        await client.aclose()
        await door.aclose()
        await server.aclose(0)
    assert left == len(told)


DOORS = pytest.mark.parametrize("door", [line, http])


def names_a_call_of_the_log(answer: Answer, log: pytest.LogCaptureFixture) -> bool:
    said, broken = answer["error"]["message"], [record for record in log.records if record.exc_info]
    call_id = said.partition("(call ")[2].rstrip(")")
    return "in the gateway's log" in said and bool(call_id) and [call_id in r.getMessage() for r in broken] == [True]


@DOORS
@pytest.mark.parametrize("era", ["stateless", "handshake"])
async def test_an_answer_that_cannot_be_written_is_an_internal_error_that_names_the_call(
    door: Any, era: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with door(unwritable, settled) as ask:
        if era == "handshake":
            assert "result" in await ask("initialize", HELLO)
        answer = await ask("tools/call", ECHO if era == "handshake" else {**ECHO, "_meta": ENVELOPE})
    assert (answer["id"], answer["error"]["code"]) == (1, -32603)
    assert names_a_call_of_the_log(answer, caplog)


@DOORS
@pytest.mark.parametrize(("method", "params"), [("initialize", HELLO), ("server/discover", {"_meta": ENVELOPE})])
async def test_a_greeting_that_cannot_be_answered_is_an_internal_error_that_the_log_explains(
    door: Any, method: str, params: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with door(unwritable, unsettled) as ask:
        answer = await ask(method, params)
    assert (answer["id"], answer["error"]["code"]) == (1, -32603)
    assert "on fire" not in json.dumps(answer)
    assert names_a_call_of_the_log(answer, caplog)
