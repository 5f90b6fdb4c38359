"""A session over HTTP, against a server that answers with event streams."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from peers import Ears, call

from douane.protocol.call import Event
from douane.protocol.outcome import Complete, Failed
from douane.protocol.versions import HANDSHAKE
from douane.sdk.http_session import HttpSession, open_http
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient
from douane.transports.http_server import Endpoint, Guard, Reply, Request, serve

OK = {"content": [{"type": "text", "text": "done"}]}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
STREAM = [(b"content-type", b"text/event-stream")]


def answering(revision: str, *, batched: bool = False) -> Endpoint:
    """Of the handshake era; a call makes progress and changes the tools before it is answered."""

    def endpoint(request: Request, reply: Reply) -> None:
        if request.method != b"POST":
            reply.send(405, [])
            return
        answer(json.loads(request.body), reply, revision, batched=batched)

    return endpoint


def answer(frame: Any, reply: Reply, revision: str, *, batched: bool) -> None:
    match frame["method"]:
        case "server/discover":
            reply.send(400, [], b"")
        case "initialize":
            reply.send(200, STREAM, event({"id": frame["id"], "result": {**HELLO, "protocolVersion": revision}}))
        case "tools/call":
            token = frame["params"]["_meta"]["progressToken"]
            progress = {"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}
            changed = {"method": "notifications/tools/list_changed"}
            end = {"id": frame["id"], "result": OK}
            told = event(progress, changed, end) if batched else event(progress) + event(changed) + event(end)
            reply.send(200, STREAM, told)
        case _:
            reply.send(202, [], b"")


def event(*messages: dict[str, object]) -> bytes:
    """One message, or several as a batch."""
    whole = [{"jsonrpc": "2.0", **message} for message in messages]
    return b"event: message\ndata: " + json.dumps(whole if len(whole) > 1 else whole[0]).encode() + b"\n\n"


@asynccontextmanager
async def session(noted: list[str], answer: Endpoint) -> AsyncIterator[HttpSession]:
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


@pytest.mark.parametrize(
    ("revision", "batched"), [*((revision, False) for revision in HANDSHAKE), ("2025-03-26", True)]
)
async def test_a_stream_is_heard_by_its_call_and_its_other_notes_by_the_session(revision: str, batched: bool) -> None:
    noted: list[str] = []
    async with session(noted, answering(revision, batched=batched)) as opened:
        assert opened.welcome.revision == revision
        asked = call(params={"name": "t", "arguments": {}}, wants_progress=True)
        ears = Ears(asked)
        outcome = await opened(asked, ears.emit)
    assert isinstance(outcome, Complete)
    assert outcome.result == OK
    assert ears.events == [Event("notifications/progress", {"progress": 1})]
    assert noted == ["notifications/tools/list_changed"]


@pytest.mark.parametrize("revision", [revision for revision in HANDSHAKE if revision != "2025-03-26"])
async def test_a_batch_of_a_revision_without_them_fails_its_call(revision: str) -> None:
    async with session([], answering(revision, batched=True)) as opened:
        asked = call(params={"name": "t", "arguments": {}}, wants_progress=True)
        outcome = await opened(asked, Ears(asked).emit)
    assert isinstance(outcome, Failed)
    assert "a batch is not accepted" in outcome.message
