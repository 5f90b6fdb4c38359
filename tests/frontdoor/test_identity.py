"""People with tokens of their own identity provider, at the door of a real gateway: who comes in, and how the rest is refused.

The issuer (`tests/issuer.py`) shares no code with the gateway, and the server behind writes down each frame it gets.
"""

import asyncio
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization
from gateway_clients import Answer, Wire, enveloped, head, request, session, tool
from gateway_world import Gateway, gateway, until, witness
from issuer import Issuer, b64

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


SCOPED = {"scopes": {"read": ["mcp:read"], "write": ["mcp:write"]}}


def scoped(issuer: Issuer) -> dict[str, Any]:
    return {"issuers": {"idp": {"issuer": issuer.url}}, **SCOPED}


async def test_who_has_no_token_is_told_where_to_get_one_and_that_page_names_exactly_this_endpoint(
    tmp_path: Path,
) -> None:
    servers = {"small": {"select": {"w": {"tools": ["echo"]}}}}
    async with letting_in(tmp_path, auth=scoped, servers=servers) as at:
        for path in ("/mcp", "/mcp/small", "/sse"):
            resource = at.resource.removesuffix("/mcp") + path
            where = f"{at.resource.removesuffix('/mcp')}/.well-known/oauth-protected-resource{path}"
            answer = await at.call(None, path)
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == f'Bearer scope="mcp:read", resource_metadata="{where}"'
            page = await at.get(f"/.well-known/oauth-protected-resource{path}")
            assert (page.status, page.headers["content-type"]) == (200, "application/json")
            assert page.message == {
                "resource": resource,
                "authorization_servers": [at.issuer.url],
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["mcp:read", "mcp:write"],
            }
        root = await at.get("/.well-known/oauth-protected-resource")
        assert root.message["resource"] == at.resource
        assert at.called == 0


async def test_a_token_is_good_at_the_endpoint_it_was_issued_for_and_at_no_other(tmp_path: Path) -> None:
    servers = {"small": {"select": {"w": {"tools": ["echo"]}}}}
    async with letting_in(tmp_path, servers=servers) as at:
        small = at.issuer.token(f"{at.resource}/small")
        assert (await at.bearer(small, path="/mcp/small")).status == 200
        assert (await at.bearer(small)).status == 401
        whole = at.issuer.token(at.resource)
        assert (await at.bearer(whole)).status == 200
        assert (await at.bearer(whole, path="/mcp/small")).status == 401
        assert at.called == 2


async def test_a_call_beyond_the_scopes_of_its_token_is_told_all_it_needs_and_goes_through_with_them(
    tmp_path: Path,
) -> None:
    seen = tmp_path / "seen"
    async with Issuer().serving() as issuer:
        upstream = witness(seen, "note", reads={"tools": ["echo"]})
        policy = tmp_path / "all.cedar"
        policy.write_text("permit(principal, action, resource);")
        async with gateway(
            tmp_path / "home", {"w": upstream}, auth=scoped(issuer), policy={"files": [str(policy)]}
        ) as running:
            at = At(running, issuer, seen)
            reading = issuer.token(at.resource, scope="openid mcp:read")
            assert (await at.bearer(reading)).status == 200
            refused = await at.bearer(reading, tool_name="w_note")
            assert refused.status == 403
            said = refused.headers["www-authenticate"]
            assert said.startswith('Bearer error="insufficient_scope"')
            assert 'scope="mcp:write"' in said
            assert (
                f'resource_metadata="{at.resource.removesuffix("/mcp")}/.well-known/oauth-protected-resource/mcp"'
                in said
            )
            assert (await at.bearer(issuer.token(at.resource, scope="openid"))).status == 403
            # What is good for more is good for less.
            writing = issuer.token(at.resource, scope="mcp:write")
            assert [(await at.bearer(writing, tool_name=name)).status for name in ("w_note", "w_echo")] == [200, 200]
            assert at.called == 3
            # Its owner needs no scopes.
            assert (await at.bearer(running.token, tool_name="w_note")).status == 200


async def test_groups_tenant_client_and_subject_are_the_claims_that_were_mapped(tmp_path: Path) -> None:
    policy = tmp_path / "some.cedar"
    policy.write_text('permit(principal, action, resource) when { principal in Douane::Group::"idp:admins" };')

    def mapped(issuer: Issuer) -> dict[str, Any]:
        claims = {"subject": "email", "groups": "realm_access.roles"}
        return {"issuers": {"idp": {"issuer": issuer.url, "prefix": "idp:", "claims": claims}}}

    async with letting_in(tmp_path, auth=mapped, policy={"files": [str(policy)]}) as at:
        admin = at.issuer.token(at.resource, email="a@example.com", realm_access={"roles": ["admins"]})
        assert "result" in (await at.bearer(admin)).message
        nobody = at.issuer.token(
            at.resource, email="b@example.com", realm_access={"roles": ["others"]}, groups=["admins"]
        )
        refused = (await at.bearer(nobody)).message["error"]
        assert "idp:b@example.com may not call w_echo" in refused["message"]
        assert (await at.bearer(at.issuer.token(at.resource))).status == 401


async def test_keys_are_read_again_when_the_issuer_changes_them_once_for_all_who_wait(tmp_path: Path) -> None:
    async with letting_in(tmp_path) as at:
        answers = await asyncio.gather(*(at.bearer(at.issuer.token(at.resource, sub=f"p{n}")) for n in range(8)))
        assert {answer.status for answer in answers} == {200}
        assert at.issuer.asked == ["/.well-known/oauth-authorization-server", "/keys"]
        # One that names a key nobody has, again and again: nobody is asked more than once in half a minute.
        foreign = Issuer()
        foreign.url, foreign.kid = at.issuer.url, "gone"
        statuses = [(await at.bearer(foreign.token(at.resource, jti=str(n)))).status for n in range(5)]
        assert statuses == [401] * 5
        assert len(at.issuer.asked) <= 4


async def test_nobody_comes_in_while_the_keys_cannot_be_read_and_that_is_no_fault_of_the_token(tmp_path: Path) -> None:
    async with letting_in(tmp_path) as at:
        at.issuer.documents.clear()
        answer = await at.bearer(at.issuer.token(at.resource))
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        assert (await at.bearer(at.gateway.token)).status == 200
        assert at.called == 1


async def test_keys_can_be_in_a_file(tmp_path: Path) -> None:
    issuer = Issuer()
    (tmp_path / "keys.json").write_text(json.dumps(issuer.keys))
    auth = {
        "issuers": {"idp": {"issuer": issuer.url, "jwks_file": str(tmp_path / "keys.json"), "audience": ["api://x"]}}
    }
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}, auth=auth) as running:
        at = At(running, issuer, tmp_path / "seen")
        assert (await at.bearer(issuer.token(["api://x", "other"]))).status == 200
        assert (await at.bearer(issuer.token(at.resource))).status == 401


async def test_the_token_of_a_caller_is_never_sent_to_a_server_behind(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                heard.append(data)
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    behind = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{behind.sockets[0].getsockname()[1]}/mcp"
    async with Issuer().serving() as issuer:
        auth = {"issuers": {"idp": {"issuer": issuer.url}}}
        upstreams = {
            "far": {"url": url, "headers": {"authorization": "Bearer of-the-gateway"}},
            "w": witness(tmp_path / "seen"),
        }
        async with gateway(tmp_path / "home", upstreams, auth=auth) as running:
            at = At(running, issuer, tmp_path / "seen")
            token = issuer.token(at.resource)
            assert (await at.bearer(token)).status == 200
            await at.bearer(token, tool_name="far_anything")
            assert await until(lambda: heard)
    behind.close()
    await behind.wait_closed()
    # What it got is the gateway's own, and neither it nor the other server has seen the caller's.
    assert b"of-the-gateway" in b"".join(heard)
    assert token.encode() not in b"".join(heard) + (tmp_path / "seen").read_bytes()


# --- bad input ---

Bad = Callable[[At], "dict[str, Any]"]


def _key_as_secret(at: At) -> str:
    """Signed with the public key, as if it were a shared secret."""
    pem = at.issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return _by_hand(at, {"alg": "HS256"}, lambda signed: hmac.digest(pem, signed, "sha256"))


def _by_hand(at: At, header: dict[str, Any], sign: Callable[[bytes], bytes] = lambda signed: b"") -> str:
    parts = [{"typ": "at+jwt", "kid": at.issuer.kid, **header}, at.issuer.claims(at.resource)]
    signed = ".".join(b64(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{b64(sign(signed.encode()))}"


def _with(**claims: Any) -> Callable[[At], str]:
    return lambda at: at.issuer.token(at.resource, **claims)


def _headed(**header: Any) -> Callable[[At], str]:
    return lambda at: at.issuer.token(at.resource, header)


def _own_key(at: At) -> str:
    """A key of the sender's own, brought along in every way there is."""
    other = Issuer()
    other.url = at.issuer.url
    public = other.keys["keys"][0]
    return other.token(at.resource, {"jwk": public, "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/"})


def _twice(at: At) -> str:
    """Well signed, with a claim that stands twice: which one counts would be for each parser to say."""
    text = json.dumps(at.issuer.claims(at.resource))
    return at.issuer.sign_text(f'{text[:-1]}, "sub": "root"}}'.encode())


def _cut(at: At) -> str:
    return at.issuer.token(at.resource)[:-8]


NOW = int(time.time())
TOKENS: dict[str, Callable[[At], str]] = {
    "no algorithm": lambda at: _by_hand(at, {"alg": "none"}),
    "no algorithm, in other letters": lambda at: _by_hand(at, {"alg": "nOnE"}),
    "the public key as a shared secret": _key_as_secret,
    "a key id that is a path": _headed(kid="../../../../dev/null"),
    "a key id that is SQL": _headed(kid="k1' UNION SELECT 'secret"),
    "a key id that is huge": _headed(kid="k" * 8_000),
    "a key id that is no text": lambda at: _by_hand(at, {"alg": "ES256", "kid": {"k": 1}}, lambda s: bytes(64)),
    "an algorithm that is no text": lambda at: _by_hand(at, {"alg": ["ES256"]}, lambda s: bytes(64)),
    "a key of its own": _own_key,
    "a critical header": _headed(crit=["exp"], exp=1),
    "another type of token": _headed(typ="dpop+jwt"),
    "another audience": _with(aud="https://other.example/mcp"),
    "an audience in a list without us": _with(aud=["https://other.example/mcp", "https://third.example"]),
    "an audience that only begins like us": lambda at: at.issuer.token(at.resource + "/"),
    "an audience that is no text": _with(aud={"0": "x"}),
    "no audience": _with(aud=None),
    "an issuer with a slash": lambda at: at.issuer.token(at.resource, iss=at.issuer.url + "/"),
    "an issuer in capitals": lambda at: at.issuer.token(at.resource, iss=at.issuer.url.upper()),
    "no issuer": _with(iss=None),
    "expired": _with(exp=NOW - 120),
    "no end": _with(exp=None),
    "an end that is no number": _with(exp="tomorrow"),
    "an end that is true": _with(exp=True),
    "not good yet": _with(nbf=NOW + 600),
    "made in the future": _with(iat=NOW + 600),
    "no subject": _with(sub=None),
    "a subject that is no text": _with(sub=["anna"]),
    "a subject of control characters": _with(sub="anna\nroot"),
    "the subject that is ours": _with(sub="owner"),
    "bound in a way nobody knows": _with(cnf={"kid": "x"}),
    "bound to nothing": _with(cnf={}),
    "a claim twice": _twice,
    "a signature that is cut": _cut,
    "padding": lambda at: at.issuer.token(at.resource) + "=",
    "four parts": lambda at: at.issuer.token(at.resource) + ".x",
    "a token that is huge": _with(padding="x" * 17_000),
    "a token of somebody else": lambda at: "ya29.opaque-token-of-another-place",
}


async def test_tokens_that_do_not_hold_are_refused_audited_and_reach_nobody(tmp_path: Path) -> None:
    async with letting_in(tmp_path) as at:
        assert (await at.bearer(at.issuer.token(at.resource))).status == 200
        odd: dict[str, Any] = {}
        for name, make in TOKENS.items():
            answer = await at.bearer(make(at))
            challenge = answer.headers.get("www-authenticate", "")
            well = answer.status == 401 and 'error="invalid_token"' in challenge and "resource_metadata=" in challenge
            if not well or answer.code != -32600:
                odd[name] = (answer.status, challenge, answer.body)
        assert odd == {}
        assert at.called == 1
        # Nobody was led to the addresses that a token named, nor asked for keys more than twice.
        assert len(at.issuer.asked) <= 4
        assert await until(lambda: len(at.refusals()) >= len(TOKENS))
    assert all("eyJ" not in reason for reason in at.refusals())


async def test_clocks_may_be_a_minute_apart_and_no_more(tmp_path: Path) -> None:
    async with letting_in(tmp_path) as at:
        now = int(time.time())
        near = [{"exp": now - 30}, {"nbf": now + 30}, {"iat": now + 30}]
        far = [{"exp": now - 90}, {"nbf": now + 90}, {"iat": now + 90}]
        statuses = [(await at.bearer(at.issuer.token(at.resource, **claims))).status for claims in (*near, *far)]
        assert statuses == [200, 200, 200, 401, 401, 401]


async def test_a_token_in_the_url_or_in_two_headers_is_refused_and_reaches_nobody(tmp_path: Path) -> None:
    async with letting_in(tmp_path) as at:
        token = at.issuer.token(at.resource)
        assert (await at.call(None, f"/mcp?access_token={token}")).status == 400
        assert (await at.call(f"Bearer {token}", f"/mcp?access_token={token}")).status == 400
        message = json.dumps(request("tools/call", enveloped(tool("w_echo")))).encode()
        twice = {
            "Authorization": f"Bearer {token}",
            "authorization": f"Bearer {token}",
            "content-type": "application/json",
        }
        assert (await at.ask("POST", twice, message, "/mcp")).status == 400
        for scheme in ("Basic", "DPoP", "Token", ""):
            assert (await at.call(f"{scheme} {token}".strip())).status == 401
        assert at.called == 0


async def test_a_flood_of_wrong_tokens_from_one_place_is_held_back_and_who_is_known_still_comes_in(
    tmp_path: Path,
) -> None:
    async with letting_in(tmp_path) as at, session(at.gateway) as client:
        good = at.issuer.token(at.resource)
        assert (await at.bearer(good)).status == 200
        statuses = [(await _from_here(at, f"Bearer wrong{n}")).status for n in range(30)]
        assert statuses[:20] == [401] * 20
        assert statuses[-1] == 429
        assert (await _from_here(at, f"Bearer {good}")).status == 200
        assert client.session is not None


async def _from_here(at: At, authorization: str) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", at.gateway.port)
    line = Wire(reader, writer, at.gateway.port)
    try:
        message = request("tools/call", enveloped(tool("w_echo", {"text": "x"})))
        await line.send("POST", head(None, message) | {"authorization": authorization}, json.dumps(message).encode())
        return await line.answer()
    finally:
        await line.hang_up()
