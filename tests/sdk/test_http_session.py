"""A session over HTTP, against a server that answers with event streams."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from peers import Ears, call

from douane.protocol.call import Event
from douane.protocol.outcome import Complete
from douane.sdk.http_session import HttpSession, open_http
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient
from douane.transports.http_server import Guard, Reply, Request, serve

OK = {"content": [{"type": "text", "text": "done"}]}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
STREAM = [(b"content-type", b"text/event-stream")]


def answer(request: Request, reply: Reply) -> None:
    """Of the handshake era; a call makes progress and changes the tools before it is answered."""
    if request.method != b"POST":
        reply.send(405, [])
        return
    frame = json.loads(request.body)
    match frame["method"]:
        case "server/discover":
            reply.send(400, [], b"")
        case "initialize":
            reply.send(200, STREAM, event({"id": frame["id"], "result": HELLO}))
        case "tools/call":
            token = frame["params"]["_meta"]["progressToken"]
            progress = {"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}
            changed = {"method": "notifications/tools/list_changed"}
            end = {"id": frame["id"], "result": OK}
            reply.send(200, STREAM, event(progress) + event(changed) + event(end))
        case _:
            reply.send(202, [], b"")


def event(message: dict[str, object]) -> bytes:
    return b"event: message\ndata: " + json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n\n"


@asynccontextmanager
async def session(noted: list[str]) -> AsyncIterator[HttpSession]:
    bound = socket.create_server(("127.0.0.1", 0))
    server = await serve(answer, guard=Guard.loopback(bound.getsockname()[1]), sock=bound)
    http = HttpClient(reach=Reach.LOOPBACK)
    try:
        opened = await open_http(
            http,
            f"http://127.0.0.1:{server.port}/mcp",
            headers=(),
            client={"name": "test", "version": "1"},
            noted=lambda method, params: noted.append(method),
        )
        yield opened
        await opened.aclose()
    finally:
        await http.aclose()
        await server.aclose(0)


async def test_a_stream_is_heard_by_its_call_and_its_other_notes_by_the_session() -> None:
    noted: list[str] = []
    async with session(noted) as opened:
        asked = call(params={"name": "t", "arguments": {}}, wants_progress=True)
        ears = Ears(asked)
        outcome = await opened(asked, ears.emit)
    assert isinstance(outcome, Complete)
    assert outcome.result == OK
    assert ears.events == [Event("notifications/progress", {"progress": 1})]
    assert noted == ["notifications/tools/list_changed"]
