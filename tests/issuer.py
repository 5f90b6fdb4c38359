"""An issuer of tokens that shares no code with the gateway: signs with PyJWT, and serves what it is told over HTTP.

PyJWT is the JOSE library of the official SDK; what it signs is what real clients bring.
"""

import asyncio
import base64
import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_CURVES: dict[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def new_key(algorithm: str) -> Key:
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm in ("EdDSA", "Ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def jwk(key: Key, algorithm: str, kid: str | None = None) -> dict[str, Any]:
    """The public half."""
    made = json.loads(
        get_default_algorithms()["EdDSA" if algorithm == "Ed25519" else algorithm].to_jwk(key.public_key())
    )
    made.pop("key_ops", None)
    return made if kid is None else {**made, "kid": kid, "use": "sig"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def thumbprint(public: Mapping[str, Any]) -> str:
    """RFC 7638, written anew."""
    names = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}[public["kty"]]
    text = json.dumps({name: public[name] for name in names}, separators=(",", ":"), sort_keys=True)
    return b64(hashlib.sha256(text.encode()).digest())


class Issuer:
    """Signs, and answers at `url` once it serves."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.algorithm, self.kid = algorithm, "k1"
        self.key = new_key(algorithm)
        self.url = "https://issuer.example"
        self.documents: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.active: dict[str, dict[str, Any]] = {}
        """What introspection says, by token."""

    @property
    def keys(self) -> dict[str, Any]:
        return {"keys": [jwk(self.key, self.algorithm, self.kid)]}

    def rotate(self, kid: str) -> None:
        self.key, self.kid = new_key(self.algorithm), kid
        self.publish()

    def publish(self) -> None:
        metadata = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "introspection_endpoint": f"{self.url}/introspect",
        }
        self.documents["/.well-known/oauth-authorization-server"] = 200, json.dumps(metadata).encode()
        self.documents["/keys"] = 200, json.dumps(self.keys).encode()

    def claims(self, audience: Any, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        own = {"iss": self.url, "sub": "anna", "aud": audience, "iat": now, "exp": now + 600, "client_id": "app"}
        return {name: value for name, value in {**own, **more}.items() if value is not None}

    def token(self, audience: Any, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A claim that is None is left out."""
        return self.sign(self.claims(audience, **claims), header)

    def sign(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        head = {"typ": "at+jwt", "kid": self.kid, **(header or {})}
        algorithm = "EdDSA" if self.algorithm == "Ed25519" else self.algorithm
        return jwt.encode(dict(claims), self.key, algorithm, {k: v for k, v in head.items() if v is not None})

    def sign_text(self, payload: bytes) -> str:
        """Whatever it is."""
        return jwt.api_jws.encode(payload, self.key, self.algorithm, {"typ": "at+jwt", "kid": self.kid})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Issuer"]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self.publish()
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split()[1]
            self.asked.append(path)
            length = next(
                (int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0
            )
            form = (await reader.readexactly(length)).decode() if length else ""
            status, body = self._said(path, form, head)
            words = f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            writer.write(f"{words}connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _said(self, path: str, form: str, head: str) -> tuple[int, bytes]:
        if path != "/introspect":
            return self.documents.get(path, (404, b"{}"))
        if f"authorization: basic {base64.b64encode(b'gateway:s3cret-of-ours').decode()}".lower() not in head.lower():
            return 401, b"{}"
        token = dict(pair.split("=", 1) for pair in form.split("&"))["token"]
        return 200, json.dumps(self.active.get(token, {"active": False})).encode()


class Holder:
    """A client with a key of its own: proves with each request that it has it (RFC 9449)."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.key, self._algorithm = new_key(algorithm), algorithm
        self.public = jwk(self.key, algorithm)

    @property
    def thumbprint(self) -> str:
        return thumbprint(self.public)

    def proof(
        self, token: str, url: str, method: str = "POST", *, header: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        own = {"jti": uuid.uuid4().hex, "htm": method, "htu": url, "iat": int(time.time())}
        own["ath"] = b64(hashlib.sha256(token.encode()).digest())
        said = {name: value for name, value in {**own, **claims}.items() if value is not None}
        head = {"typ": "dpop+jwt", "jwk": self.public, **(header or {})}
        return jwt.encode(said, self.key, self._algorithm, head)
