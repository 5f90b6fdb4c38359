"""A scripted authorization server over HTTP, in this process: what it is asked, and tokens that it can tell again."""

import base64
import hashlib
import json
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from douane.transports.http_server import Guard, Reply, Request, serve

JSON = [(b"content-type", b"application/json")]
Form = dict[str, str]


class TokenEndpoint:
    def __init__(self) -> None:
        self.port = 0
        self.asked: list[Form] = []
        """Each form it was sent, with `client` and `secret` as they were proved."""
        self.lifetime_s: float | None = 600
        self.refuses: Callable[[Form], str | None] = lambda form: None
        """The error a form is answered with."""
        self.status = 200
        self.user = "user"
        """Who logs in there, without being asked."""
        self.answers_as: str | None = None
        """The issuer it says it is when a user goes back; None: itself."""
        self.registered: list[dict[str, Any]] = []
        self.redeemed: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh: dict[str, tuple[str, str]] = {}
        """Whose a refresh token is, and for which scopes; good once."""

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.issuer}/token"

    def __call__(self, request: Request, reply: Reply) -> None:
        match request.path:
            case b"/.well-known/oauth-authorization-server":
                reply.send(200, JSON, json.dumps(self._metadata()).encode())
            case b"/authorize":
                self._authorize(request, reply)
            case b"/register":
                self.registered.append(json.loads(request.body))
                reply.send(201, JSON, json.dumps({"client_id": f"dcr-{len(self.registered)}"}).encode())
            case _:
                self._token(request, reply)

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "token_endpoint": self.url,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "registration_endpoint": f"{self.issuer}/register",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "private_key_jwt"],
        }

    def _authorize(self, request: Request, reply: Reply) -> None:
        """Logs the user in at once, and sends him back."""
        query = {name: values[0] for name, values in parse_qs(request.query.decode()).items()}
        code = f"code-{len(self._codes)}"
        self._codes[code] = query | {"user": self.user}
        back = {"code": code, "state": query["state"], "iss": self.answers_as or self.issuer}
        reply.send(302, [(b"location", f"{query['redirect_uri']}?{urlencode(back)}".encode())])

    def _token(self, request: Request, reply: Reply) -> None:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        scheme, _, proof = request.headers.get(b"authorization", b"").decode().partition(" ")
        if scheme == "Basic":
            client, _, secret = base64.b64decode(proof).decode().partition(":")
            form |= {"client": unquote(client), "secret": unquote(secret)}
        self.asked.append(form)
        error = self.refuses(form)
        if self.status != 200:
            reply.send(self.status, JSON, b"{}")
            return
        try:
            token = self._granted(form)
        except KeyError:
            error = "invalid_grant"
            token = {}
        said = token if error is None else {"error": error}
        reply.send(200 if error is None else 400, JSON, json.dumps(said).encode())

    def _granted(self, form: Form) -> dict[str, Any]:
        """Raises KeyError for a code or a token that is not good, or not any more."""
        token: dict[str, Any] = {"token_type": "Bearer"}
        if self.lifetime_s is not None:
            token["expires_in"] = self.lifetime_s
        match form["grant_type"]:
            case "authorization_code":
                asked = self._codes.pop(form["code"])
                digest = hashlib.sha256(form["code_verifier"].encode()).digest()
                challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
                if (challenge, form["redirect_uri"]) != (asked["code_challenge"], asked["redirect_uri"]):
                    raise KeyError
                whose, scope = asked["user"], asked.get("scope", "")
            case "refresh_token":
                whose, scope = self._refresh.pop(form["refresh_token"])
            case _:
                whose, scope = form.get("subject_token", "gateway"), form.get("scope", "")
        if form["grant_type"] in ("authorization_code", "refresh_token"):
            token["refresh_token"] = f"rt-{whose}-{len(self.asked)}"
            self._refresh[token["refresh_token"]] = (whose, scope)
        token["access_token"] = f"at-{whose}-{len(self.asked)}"
        return token | ({"scope": scope} if scope else {})


@asynccontextmanager
async def token_endpoint() -> AsyncGenerator[TokenEndpoint]:
    """One that listens, until the block ends."""
    endpoint = TokenEndpoint()
    bound = socket.create_server(("127.0.0.1", 0))
    endpoint.port = bound.getsockname()[1]
    server = await serve(endpoint, guard=Guard.loopback(endpoint.port), sock=bound)
    try:
        yield endpoint
    finally:
        await server.aclose(0)
