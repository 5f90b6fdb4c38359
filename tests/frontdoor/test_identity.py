"""People with tokens of their own identity provider, at the door of a real gateway: who comes in, and how the rest is refused.

The issuer (`tests/issuer.py`) shares no code with the gateway, and the server behind writes down each frame it gets.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from gateway_clients import Answer, Wire, enveloped, head, request, tool
from gateway_world import Gateway, gateway, witness
from issuer import Issuer

from douane.audit.entry import Denied, Intent

_SOURCES = itertools.count(2)


class At(NamedTuple):
    """A gateway that takes the tokens of `issuer`, before a server that writes down what it gets."""

    gateway: Gateway
    issuer: Issuer
    seen: Path

    @property
    def resource(self) -> str:
        return f"http://127.0.0.1:{self.gateway.port}/mcp"

    async def call(
        self, authorization: str | None, path: str = "/mcp", tool_name: str = "w_echo", **headers: str
    ) -> Answer:
        """One call from an address of its own, so that nobody's failures are counted for another."""
        message = request("tools/call", enveloped(tool(tool_name, {"text": "hello"})))
        sent = head(None, message, **headers)
        if authorization is not None:
            sent["authorization"] = authorization
        return await self.ask("POST", sent, json.dumps(message).encode(), path)

    async def bearer(self, token: str, **options: Any) -> Answer:
        return await self.call(f"Bearer {token}", **options)

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", {}, b"", path)

    async def ask(self, method: str, headers: dict[str, str], body: bytes, path: str) -> Answer:
        number = next(_SOURCES)
        source = (f"127.0.{number // 250 + 1}.{number % 250 + 1}", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port, local_addr=source, limit=1 << 20)
        line = Wire(reader, writer, self.gateway.port)
        try:
            await line.send(method, headers, body, path)
            return await line.answer()
        finally:
            await line.hang_up()

    @property
    def called(self) -> int:
        """How many calls have reached the server."""
        frames = map(json.loads, self.seen.read_text().splitlines()) if self.seen.exists() else ()
        return sum(frame.get("method") == "tools/call" for frame in frames)

    def refusals(self) -> list[str]:
        """What the audit says of who was not let in."""
        return [entry.leaf.reason for entry in self.gateway.world.audit() if isinstance(entry.leaf, Denied)]


@asynccontextmanager
async def letting_in(home: Path, algorithm: str = "ES256", auth: Any = None, **config: Any) -> AsyncIterator[At]:
    """`auth` replaces what stands below `auth:`, and is given the issuer."""
    seen = home / "seen"
    async with Issuer(algorithm).serving() as issuer:
        said = auth(issuer) if auth is not None else {"issuers": {"idp": {"issuer": issuer.url}}}
        async with gateway(home / "home", {"w": witness(seen, "note")}, auth=said, **config) as running:
            yield At(running, issuer, seen)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"])
async def test_a_token_of_the_issuer_lets_its_person_in_whatever_key_it_is_signed_with(
    tmp_path: Path, algorithm: str
) -> None:
    algorithms = ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"]
    config = lambda issuer: {"issuers": {"idp": {"issuer": issuer.url, "algorithms": algorithms}}}  # noqa: E731
    async with letting_in(tmp_path, algorithm, config) as at:
        answer = await at.bearer(at.issuer.token(at.resource))
        assert (answer.status, answer.message["result"]["content"][0]["text"]) == (200, "hello")
        # The token of the first start still is its owner's.
        assert (await at.bearer(at.gateway.token)).status == 200
    actors = [entry.leaf.actor for entry in at.gateway.world.audit() if isinstance(entry.leaf, Intent)]
    assert len(set(actors)) == 2
