"""Logging in at our own authorization server: two halves that were written apart."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from auth.authority.kit import SETTINGS, Browser, World
from http_upstream import HttpUpstream
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from douane.auth.authority.leaving import end_all
from douane.gateway.pages import Pages
from douane.sdk import Client, OAuth
from douane.transports.http_server import Guard, Reply, Request, serve


class Guarded:
    """A server that takes what the authorization server of this place has signed for it."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.origin, self.mcp = origin, HttpUpstream("stateless")
        settings = msgspec.structs.replace(SETTINGS, issuer=origin, resources=(f"{origin}/mcp",))
        self.world = World(folder, settings=settings)
        self.pages, self.browser = Pages(self.world.authority.pages), Browser(self.world)
        self.needs = "mcp:read"
        self.tokens: list[str] = []

    def __call__(self, request: Request, reply: Reply) -> None:
        page = self.pages.find(request.path)
        if page is not None:
            page(request, reply)
        elif request.path == b"/.well-known/oauth-protected-resource/mcp":
            body = {"resource": f"{self.origin}/mcp", "authorization_servers": [self.origin]}
            reply.send(200, [(b"content-type", b"application/json")], json.dumps(body).encode())
        elif self._may(request, reply):
            self.mcp(request, reply)

    def claims(self, token: str) -> dict[str, Any]:
        keys = KeySet.import_key_set(self.world.keys().jwks)
        try:
            return jwt.decode(token, keys, algorithms=["ES256"]).claims
        except (JoseError, ValueError):
            return {}

    def _may(self, request: Request, reply: Reply) -> bool:
        token = request.headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        claims = self.claims(token)
        if claims.get("aud") != f"{self.origin}/mcp" or claims["exp"] <= self.world.clock():
            reply.send(401, [(b"www-authenticate", f'Bearer scope="{self.needs}"'.encode())])
            return False
        if self.needs not in claims["scope"].split():
            said = f'Bearer error="insufficient_scope", scope="{self.needs}"'
            reply.send(403, [(b"www-authenticate", said.encode())])
            return False
        self.tokens.append(token)
        return True

    async def visit(self, url: str) -> str:
        """The owner logs in, where he has not, and agrees."""
        return urlencode(await self.browser.agree(url))


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[Guarded]:
    bound = socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    made = Guarded(folder, f"http://127.0.0.1:{port}")
    server = await serve(made, guard=Guard.loopback(port), sock=bound)
    try:
        yield made
    finally:
        await made.pages.aclose()
        await server.aclose(0)


async def test_a_client_registers_logs_in_goes_up_a_step_and_refreshes_at_our_own_server(tmp_path: Path) -> None:
    async with guarded(tmp_path) as server:
        auth = OAuth(redirect_uri="http://127.0.0.1:4000/callback", visit=server.visit)
        async with Client(f"{server.origin}/mcp", auth=auth) as client:
            assert (await client.call("echo", {"a": 1})).text == '{"a": 1}'
            server.needs = "mcp:call"
            await client.call("echo")
            server.world.clock.now_s += 3600.0
            await client.call("echo")
        read, call, refreshed = (one["scope"].split() for one in map(server.claims, dict.fromkeys(server.tokens)))
        assert (read, sorted(call), sorted(refreshed)) == (
            ["mcp:read"],
            ["mcp:call", "mcp:read"],
            ["mcp:call", "mcp:read"],
        )


async def test_a_login_that_is_ended_there_costs_another_and_the_call_goes_on(tmp_path: Path) -> None:
    async with guarded(tmp_path) as server:
        auth = OAuth(redirect_uri="http://127.0.0.1:4000/callback", visit=server.visit)
        async with Client(f"{server.origin}/mcp", auth=auth) as client:
            await client.call("echo")
            assert await end_all(server.world.records, "owner") == 1
            server.world.clock.now_s += 3600.0
            await client.call("echo")
        assert len(dict.fromkeys(server.tokens)) == 2
