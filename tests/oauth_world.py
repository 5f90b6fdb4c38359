"""A protected MCP server and its authorization server, over real HTTP in this process, and a user with a browser.

Refresh tokens are rotated, and one that comes again burns all that came of its login. `asked` is what the authorization server
was asked, in order; what a test wants to go otherwise is an attribute or a hook in `on`.
"""

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode
from urllib.request import urlopen

from http_upstream import JSON, HttpUpstream
from joserfc import jws, jwt
from joserfc.jwk import ECKey

from douane.transports.http_server import Endpoint, Guard, Reply, Request, serve

Form = dict[str, str]


class Asked(NamedTuple):
    path: str
    form: Form
    headers: dict[bytes, bytes]


class Grant:
    """A login, and what was given for it."""

    def __init__(self, scopes: frozenset[str]) -> None:
        self.scopes, self.is_burnt = scopes, False
        self.key: str | None = None


class World:
    def __init__(self) -> None:
        self.mcp: HttpUpstream | Endpoint = HttpUpstream("stateless")
        self.needs = frozenset({"read"})
        self.needs_for: dict[str, frozenset[str]] = {}
        """By tool, beside the others."""
        self.expires_in: int | None = 3600
        self.rotates = True
        self.metadata: dict[str, Any] = {}
        self.protected: dict[str, Any] = {}
        self.on: dict[str, Callable[[Request, Reply], None]] = {}
        self.asked: list[Asked] = []
        self.refused = 0
        self.valid: dict[str, Grant] = {}
        self.ran: list[str] = []
        """The tokens that calls of tools came with."""
        self._refresh: dict[str, tuple[Grant, bool]] = {}
        self._codes: dict[str, tuple[Form, Grant]] = {}
        self._ids = count(1)
        self.port = 0
        self.dpop = False
        """Tokens are bound to keys, and both servers want nonces."""
        self.nonce = "for-the-server"
        """The one that the MCP server wants."""
        self.proofs: list[Form] = []
        """What stood in the proofs for the MCP server."""
        self.slow: asyncio.Event | None = None
        """Set: a token is given."""
        self.news = asyncio.Event()
        self._later: set[asyncio.Task[None]] = set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    async def when(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(60.0):
            while not true():
                self.news.clear()
                await self.news.wait()

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def forms(self, path: str = "/token") -> list[Form]:
        return [asked.form for asked in self.asked if asked.path == path]

    def expire(self) -> None:
        """No token given so far is good any more."""
        self.valid.clear()

    # --- the user ---

    def browse(self, url: str) -> None:
        """Agree, and go where that leads."""
        with urlopen(url, timeout=10) as page:
            page.read()

    # --- the servers ---

    def __call__(self, request: Request, reply: Reply) -> None:
        self.news.set()
        path = request.path.decode()
        hook = self.on.get(path)
        if path not in ("/mcp", "/messages"):
            self.asked.append(Asked(path, _form(request), dict(request.headers)))
        if hook is not None:
            hook(request, reply)
            return
        match path:
            case "/mcp" | "/messages":
                self._protected(request, reply)
            case "/.well-known/oauth-protected-resource/mcp":
                own = {"resource": self.url, "authorization_servers": [self.origin], "scopes_supported": ["read"]}
                answer(reply, own | self.protected)
            case "/.well-known/oauth-authorization-server":
                answer(reply, self._own_metadata() | self.metadata)
            case "/register":
                client = {"client_id": f"client-{next(self._ids)}", "token_endpoint_auth_method": "none"}
                answer(reply, client, 201)
            case "/authorize":
                self._authorize(request, reply)
            case "/token":
                self._token(request, reply)
            case _:
                reply.send(404, [])

    def _own_metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.origin,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "registration_endpoint": f"{self.origin}/register",
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
            **({"dpop_signing_alg_values_supported": ["ES256"]} if self.dpop else {}),
        }

    def _protected(self, request: Request, reply: Reply) -> None:
        scheme = "DPoP" if self.dpop else "Bearer"
        token = request.headers.get(b"authorization", b"").decode().removeprefix(f"{scheme} ")
        grant = self.valid.get(token)
        where = f'resource_metadata="{self.origin}/.well-known/oauth-protected-resource/mcp"'
        if grant is None:
            self.refused += 1
            why = 'error="invalid_token", ' if token else ""
            reply.send(401, [(b"www-authenticate", f"{scheme} {why}{where}".encode())])
            return
        if self.dpop and not self._is_proved(request, reply, self.nonce, grant, token):
            return
        body = json.loads(request.body or b"{}")
        tool = body.get("params", {}).get("name") if body.get("method") == "tools/call" else None
        missing = (self.needs | self.needs_for.get(tool, frozenset())) - grant.scopes
        if missing:
            self.refused += 1
            said = f'Bearer error="insufficient_scope", scope="{" ".join(sorted(missing))}", {where}'
            reply.send(403, [(b"www-authenticate", said.encode())])
            return
        if tool is not None:
            self.ran.append(token)
        self.mcp(request, reply)

    def _is_proved(self, request: Request, reply: Reply, nonce: str, grant: Grant, token: str = "") -> bool:
        """Whether the request has a proof of the key its grant is bound to; else it is answered."""
        sent = request.headers[b"dpop"].decode()
        key = ECKey.import_key(jws.extract_compact(sent.encode()).protected["jwk"])
        proof = jwt.decode(sent, key, algorithms=["ES256"])
        assert proof.header["typ"] == "dpop+jwt"
        assert not key.is_private
        assert proof.claims["htm"] == request.method.decode()
        assert proof.claims["htu"] == self.origin + request.path.decode()
        grant.key = grant.key or key.thumbprint()
        assert grant.key == key.thumbprint()
        if token:
            digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
            assert proof.claims["ath"] == digest
            self.proofs.append(proof.claims)
        if proof.claims.get("nonce") == nonce:
            return True
        headers = [(b"dpop-nonce", nonce.encode()), (b"www-authenticate", b'DPoP error="use_dpop_nonce"')]
        reply.send(401 if token else 400, [*headers, *JSON], b'{"error": "use_dpop_nonce"}')
        return False

    def _authorize(self, request: Request, reply: Reply) -> None:
        asked = dict(parse_qsl(request.query.decode()))
        code = f"code-{next(self._ids)}"
        self._codes[code] = (asked, Grant(frozenset(asked.get("scope", "").split())))
        back = {"code": code, "state": asked["state"], "iss": self.origin}
        reply.send(302, [(b"location", f"{asked['redirect_uri']}?{urlencode(back)}".encode())])

    def _token(self, request: Request, reply: Reply) -> None:
        if self.slow is None:
            self._give(request, reply)
            return
        slow = self.slow

        async def later() -> None:
            await slow.wait()
            self._give(request, reply)

        task = asyncio.ensure_future(later())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _give(self, request: Request, reply: Reply) -> None:
        form = _form(request)
        if self.dpop and not self._is_proved(request, reply, "for-tokens", Grant(frozenset())):
            return
        match form.get("grant_type"):
            case "authorization_code":
                asked, grant = self._codes.pop(form["code"])
                digest = hashlib.sha256(form["code_verifier"].encode()).digest()
                assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
                assert (form["redirect_uri"], form["resource"]) == (asked["redirect_uri"], asked["resource"])
            case "refresh_token":
                grant, is_used = self._refresh.get(form["refresh_token"], (Grant(frozenset()), True))
                if is_used:
                    grant.is_burnt = True
                if grant.is_burnt:
                    answer(reply, {"error": "invalid_grant", "error_description": "used before"}, 400)
                    return
                self._refresh[form["refresh_token"]] = (grant, self.rotates)
            case _:
                grant = Grant(frozenset(form.get("scope", "").split()))
        number = next(self._ids)
        self.valid[f"access-{number}"] = grant
        self._refresh[f"refresh-{number}"] = (grant, False)
        given = {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}"}
        given["token_type"] = "DPoP" if self.dpop else "bearer"
        answer(reply, given | ({} if self.expires_in is None else {"expires_in": self.expires_in}))


def answer(reply: Reply, body: object, status: int = 200) -> None:
    reply.send(status, JSON, json.dumps(body).encode())


def _form(request: Request) -> Form:
    if request.headers.get(b"content-type") == b"application/json":
        return json.loads(request.body)
    return dict(parse_qsl((request.body or request.query).decode()))


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    made = World()
    bound = socket.create_server(("127.0.0.1", 0))
    made.port = bound.getsockname()[1]
    server = await serve(made, guard=Guard.loopback(made.port), sock=bound)
    try:
        yield made
    finally:
        await server.aclose(0)
