"""Cells whose server does as it is told: a client of either era over HTTP, the gateway, and a scripted server of either.

`four` gives a test the cells; the fixture `cell` is in conftest.
"""

import json
from typing import Any, NamedTuple

import pytest
from gateway_clients import OLDER, HttpClient, Message, Wire, enveloped, request
from gateway_clients import tool as called
from gateway_world import Gateway
from http_upstream import Heard, Hook, HttpUpstream
from peers import Speaks

ERAS: dict[str, Speaks] = {"handshake": "handshake", "newest": "stateless"}
CALL = 7
"""The id of the call that `Cell.begin` makes."""


class Wanted(NamedTuple):
    front: str
    back: str
    revision: str
    """That a client of the handshake era asks for."""
    on: dict[str, Hook]


def four(revision: str = OLDER, **on: Hook) -> pytest.MarkDecorator:
    """The test in every cell, before a server that does this with its methods from its beginning."""
    wanted = [Wanted(front, back, revision, on) for back in ERAS for front in ERAS]
    return pytest.mark.parametrize("cell", wanted, ids=[f"{one.front}-{one.back}" for one in wanted], indirect=True)


class Cell(NamedTuple):
    client: HttpClient
    running: Gateway
    upstream: HttpUpstream
    front: str
    back: str

    @property
    def newest(self) -> bool:
        """Whether the client is of the newest era."""
        return self.front == "newest"

    async def until(self, method: str, count: int = 1) -> Heard:
        return await self.upstream.until(method, count)

    async def begin(self, line: Wire) -> Heard:
        """A call on a connection of its own, that wants to hear of progress, as it has arrived at the server."""
        params: Any = {**called("u_echo"), "_meta": {"progressToken": "p"}}
        message = request("tools/call", params, CALL)
        if self.newest:
            message["params"] = enveloped(called("u_echo"), progressToken="p")
        await line.send("POST", self.client.headers(message), json.dumps(message).encode())
        return await self.until("tools/call")

    async def is_cancelled(self, heard: Heard) -> None:
        """Wait until the server is told, in the way of its era, that nobody waits for that call."""
        if self.back == "newest":
            await self.upstream.when(lambda: not heard.open)
            assert "notifications/cancelled" not in self.upstream.methods()
        else:
            cancelled = await self.until("notifications/cancelled")
            assert cancelled.params["requestId"] == heard.id


def typed(heard: Heard, result: Message) -> Message:
    """A result as the era of the server wants it."""
    hints = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    return result if heard.server.speaks == "handshake" else {**result, **hints}


def held(heard: Heard) -> None:
    """A call that is answered when the test wants it, on a stream."""
    heard.listen()


def step(heard: Heard, number: int) -> None:
    token = heard.params["_meta"]["progressToken"]
    heard.tell("notifications/progress", {"progressToken": token, "progress": number})


def answer(heard: Heard) -> bytes:
    """The answer to a call that is held."""
    result = typed(heard, {"content": [{"type": "text", "text": "done"}]})
    return json.dumps({"jsonrpc": "2.0", "id": heard.id, "result": result}, indent=1).encode()
