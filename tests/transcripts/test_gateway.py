"""Transcripts at the gateway: the same server behind it, of the newest era, and clients of both in front."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gateway_clients import MODERN, OLDER, enveloped, head, request, tool, until_ready, wire_to
from gateway_world import gateway
from peers import Json

from .tape import HERE, Posts, Tape
from .test_posts import greet

PAGES: Json = {"url": {}}


@asynccontextmanager
async def posts(tape: Tape, home: Path) -> AsyncGenerator[Posts]:
    upstream = {
        "command": [sys.executable, str(HERE / "server.py")],
        "reads": {"tools": ["*"]},
        "asks": ["elicitation"],
    }
    async with gateway(home, {"t": upstream}) as running:
        await until_ready(running)
        tape.named(version("douane"), "version")
        yield Posts(tape, running.port, running.token)


async def test_gateway_elicitation_url_handshake(tmp_path: Path) -> None:
    tape = Tape(f"A server of {MODERN} has a page opened by a client of {OLDER}, through the gateway.")
    async with posts(tape, tmp_path) as client:
        session = await greet(client, elicitation=PAGES)
        async with wire_to(client.port) as line:
            await client.send(line, "POST", session.headers, request("tools/call", tool("t_consent")))
            _, headers = await client.head(line)
            async for _, said in client.events(line, headers):
                if said.get("method") == "elicitation/create":
                    tape.part("The answer, on another connection.")
                    await session.post({"jsonrpc": "2.0", "id": said["id"], "result": {"action": "accept"}})
                    tape.part("The stream of the call.")
    tape.is_as_written("gateway-elicitation-url-handshake")


async def test_gateway_elicitation_url_newest(tmp_path: Path) -> None:
    tape = Tape(f"A server of {MODERN} has a page opened by a client of {MODERN}, through the gateway.")
    declared: Any = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": PAGES}}
    async with posts(tape, tmp_path) as client:
        more: Json = {}
        for id in (1, 2):
            message = request("tools/call", enveloped(tool("t_consent") | more, **declared), id)
            async with wire_to(client.port) as line:
                await client.send(line, "POST", head(None, message), message)
                result = (await client.whole(line))["result"]
            more = {"inputResponses": {key: {"action": "accept"} for key in result.get("inputRequests", {})}}
            more["requestState"] = result.get("requestState")
    tape.is_as_written("gateway-elicitation-url-newest")
