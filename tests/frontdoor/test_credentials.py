"""What else lets somebody in at a real gateway: keys, tokens that only their issuer can read, proofs, certificates. And for how
long: streams and sessions end with what they were opened with."""

import asyncio
import base64
import contextlib
import datetime
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from gateway_clients import Wire, enveloped, head, request, tool
from gateway_world import gateway, until, witness
from issuer import Holder, Issuer, b64

from .test_identity import At, letting_in

# --- keys ---


@asynccontextmanager
async def with_keys(home: Path, **auth: Any) -> AsyncIterator[At]:
    async with gateway(home / "home", {"w": witness(home / "seen")}, auth={"api_keys": True, **auth}) as running:
        yield At(running, Issuer(), home / "seen")


async def test_a_key_is_shown_once_lets_its_program_in_and_is_refused_within_seconds_once_revoked(
    tmp_path: Path,
) -> None:
    async with with_keys(tmp_path) as at:
        world = at.gateway.world
        made = await world.run("key", "create", "robot", "--name", "nightly", "--until", "1d")
        key = made.out.strip()
        assert (made.code, key.startswith("dk_"), key in made.err) == (0, True, False)
        assert (await at.bearer(key)).status == 200
        listed = await world.run("key", "list", "--json")
        (row,) = json.loads(listed.out)
        assert (row["user"], row["name"], row["last_used"] is not None) == ("robot", "nightly", True)
        # Neither its secret nor the whole of it is anywhere on disk.
        secret = key.split("_", 2)[2].encode()
        files = [path for path in at.gateway.world.home.rglob("*") if path.is_file()]
        assert not [path for path in files if secret in path.read_bytes()]
        revoked = await world.run("key", "revoke", row["id"])
        assert revoked.code == 0
        assert await until_status(at, key, 401)
        assert (await world.run("key", "revoke", row["id"])).code == 1


async def test_a_key_is_good_for_its_scopes_until_its_end_and_nobody_guesses_one(tmp_path: Path) -> None:
    async with with_keys(tmp_path, scopes={"read": ["read"], "write": ["write"]}) as at:
        world = at.gateway.world
        bare = (await world.run("key", "create", "robot")).out.strip()
        assert (await at.bearer(bare)).status == 403
        able = (await world.run("key", "create", "robot", "--scope", "write")).out.strip()
        assert (await at.bearer(able)).status == 200
        id_, _, secret = able.removeprefix("dk_").partition("_")
        for wrong in (
            f"dk_{id_}_{secret[:-1]}",
            f"dk_{id_}_",
            f"dk_{id_}",
            "dk_",
            f"dk_{id_[:-1]}_{secret}",
            f"dk_'--_{secret}",
        ):
            assert (await at.bearer(wrong)).status == 401, wrong
        short = (await world.run("key", "create", "robot", "--scope", "write", "--until", "1s")).out.strip()
        assert await until_status(at, short, 401)
        assert (await world.run("key", "create", "owner")).code == 2


async def until_status(at: At, token: str, wanted: int, within_s: float = 5.0) -> bool:
    end_s = time.monotonic() + within_s
    while (await at.bearer(token)).status != wanted:
        if time.monotonic() > end_s:
            return False
        await asyncio.sleep(0.05)
    return True


# --- introspection ---


def asking(issuer: Issuer) -> dict[str, Any]:
    said = {"client_id": "gateway", "client_secret": "s3cret-of-ours", "keep_s": 1}
    return {"issuers": {"idp": {"issuer": issuer.url, "introspection": said}}}


async def test_a_token_that_only_its_issuer_can_read_is_asked_about_and_believed_for_a_moment(tmp_path: Path) -> None:
    async with letting_in(tmp_path, auth=asking) as at:
        good = {"active": True, "sub": "anna", "aud": at.resource, "client_id": "app", "exp": int(time.time()) + 60}
        at.issuer.active["opaque-1"] = good
        at.issuer.active["opaque-2"] = {**good, "aud": "https://other.example"}
        at.issuer.active["opaque-3"] = {**good, "active": "true"}
        at.issuer.active["opaque-4"] = {name: value for name, value in good.items() if name != "aud"}
        at.issuer.active["opaque-5"] = {**good, "iss": "https://other.example"}
        assert [(await at.bearer("opaque-1")).status for _ in range(3)] == [200] * 3
        assert at.issuer.asked.count("/introspect") == 1
        assert [(await at.bearer(f"opaque-{n}")).status for n in (2, 3, 4, 5, 6)] == [401] * 5
        # Withdrawn: it is asked about again.
        at.issuer.active["opaque-1"] = {"active": False}
        assert await until_status(at, "opaque-1", 401)
        asked = at.issuer.asked.count("/introspect")
        # What is ours, or another issuer's, is not sent there.
        other = Issuer()
        for foreign in ("dk_0123456789abcdef_secret", "dn_" + "x" * 43, other.token(at.resource)):
            assert (await at.bearer(foreign)).status == 401
        assert at.issuer.asked.count("/introspect") == asked


# --- proofs (RFC 9449) ---


async def test_a_token_bound_to_a_key_is_good_with_a_proof_of_this_request_and_with_nothing_else(
    tmp_path: Path,
) -> None:
    async with letting_in(tmp_path) as at:
        holder, thief = Holder(), Holder()
        token = at.issuer.token(at.resource, cnf={"jkt": holder.thumbprint})
        good = holder.proof(token, at.resource)
        assert (await at.call(f"DPoP {token}", dpop=good)).status == 200
        bad = {
            "as a bearer token": (f"Bearer {token}", None),
            "as a bearer token, with a proof": (f"Bearer {token}", holder.proof(token, at.resource)),
            "without a proof": (f"DPoP {token}", None),
            "with the same proof again": (f"DPoP {token}", good),
            "with a proof of somebody else": (f"DPoP {token}", thief.proof(token, at.resource)),
            "for another method": (f"DPoP {token}", holder.proof(token, at.resource, "GET")),
            "for another URL": (f"DPoP {token}", holder.proof(token, at.resource + "/small")),
            "for another token": (f"DPoP {token}", holder.proof(token + "x", at.resource)),
            "without a token in it": (f"DPoP {token}", holder.proof(token, at.resource, ath=None)),
            "of long ago": (f"DPoP {token}", holder.proof(token, at.resource, iat=int(time.time()) - 90)),
            "of tomorrow": (f"DPoP {token}", holder.proof(token, at.resource, iat=int(time.time()) + 90)),
            "without an id": (f"DPoP {token}", holder.proof(token, at.resource, jti=None)),
            "of another type": (f"DPoP {token}", holder.proof(token, at.resource, header={"typ": "jwt"})),
            "that is none": (f"DPoP {token}", "x.y.z"),
            "that names a private key": (
                f"DPoP {token}",
                holder.proof(token, at.resource, header={"jwk": {**holder.public, "d": "x"}}),
            ),
        }
        odd: dict[str, Any] = {}
        for name, (authorization, proof) in bad.items():
            answer = await at.call(authorization, **({} if proof is None else {"dpop": proof}))
            if answer.status != 401 or "www-authenticate" not in answer.headers:
                odd[name] = (answer.status, answer.headers, answer.body)
        assert odd == {}
        assert at.called == 1
        unbound = at.issuer.token(at.resource)
        assert (await at.call(f"DPoP {unbound}", dpop=holder.proof(unbound, at.resource))).status == 401


async def test_a_proof_is_not_good_again_on_the_same_connection_either(tmp_path: Path) -> None:
    async with letting_in(tmp_path) as at:
        holder = Holder()
        token = at.issuer.token(at.resource, cnf={"jkt": holder.thumbprint})
        message = request("tools/call", enveloped(tool("w_echo", {"text": "x"})))
        sent = head(None, message, dpop=holder.proof(token, at.resource)) | {"authorization": f"DPoP {token}"}
        reader, writer = await asyncio.open_connection("127.0.0.1", at.gateway.port)
        line = Wire(reader, writer, at.gateway.port)
        try:
            statuses: list[int] = []
            for _ in range(3):
                await line.send("POST", sent, json.dumps(message).encode())
                statuses.append((await line.answer()).status)
        finally:
            await line.hang_up()
        assert (statuses, at.called) == ([200, 401, 401], 1)


# --- certificates, by a proxy ---


def certificate(*uris: str, days: int = 1) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "robot")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    made = made.not_valid_before(now - datetime.timedelta(days=2)).not_valid_after(now + datetime.timedelta(days=days))
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        made = made.add_extension(names, critical=False)
    return made.sign(key, hashes.SHA256())


def as_header(shown: x509.Certificate) -> str:
    return f":{base64.b64encode(shown.public_bytes(Encoding.DER)).decode()}:"


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_certificate_lets_its_holder_in_when_a_trusted_proxy_tells_of_it_and_only_then(
    tmp_path: Path, trusted: bool
) -> None:
    proxies = ["127.0.0.0/16"] if trusted else ["10.0.0.1"]
    auth = {"proxy_certificates": {"proxies": proxies, "subjects": True}}
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}, auth=auth) as running:
        at = At(running, Issuer(), tmp_path / "seen")
        uri = "spiffe://example.org/robot"
        statuses = [
            (await at.call(None, **{"client_cert": as_header(shown)})).status
            for shown in (certificate(uri), certificate(uri, days=-1), certificate(), certificate(uri, uri + "2"))
        ]
        assert statuses == ([200, 401, 401, 401] if trusted else [401] * 4)
        assert (await at.call(None, client_cert=":bm90IGEgY2VydGlmaWNhdGU=:")).status == (400 if trusted else 401)
        assert at.called == int(trusted)


async def test_a_token_bound_to_a_certificate_is_good_only_with_it(tmp_path: Path) -> None:
    def bound(issuer: Issuer) -> dict[str, Any]:
        proxies = {"proxies": ["127.0.0.0/16"], "header": "X-Client-Cert"}
        return {"issuers": {"idp": {"issuer": issuer.url}}, "proxy_certificates": proxies}

    async with letting_in(tmp_path, auth=bound) as at:
        mine, other = certificate("spiffe://a/b"), certificate("spiffe://a/c")
        digest = b64(hashlib.sha256(mine.public_bytes(Encoding.DER)).digest())
        token = at.issuer.token(at.resource, cnf={"x5t#S256": digest})
        assert (await at.bearer(token, x_client_cert=as_header(mine))).status == 200
        assert (await at.bearer(token, x_client_cert=as_header(other))).status == 401
        assert (await at.bearer(token)).status == 401
        # A certificate alone lets nobody in here.
        assert (await at.call(None, x_client_cert=as_header(mine))).status == 401


# --- for how long ---


async def opened(at: At, line: Wire, token: str, holder: Holder | None = None) -> None:
    message = request("subscriptions/listen", enveloped({"notifications": {"toolsListChanged": True}}))
    sent = head(token, message)
    if holder is not None:
        sent |= {"authorization": f"DPoP {token}", "dpop": holder.proof(token, at.resource)}
    await line.send("POST", sent, json.dumps(message).encode())
    status, _ = await line.status()
    assert status == 200


async def test_a_stream_ends_when_its_token_expires_or_its_key_is_revoked(tmp_path: Path) -> None:
    def both(issuer: Issuer) -> dict[str, Any]:
        return {"issuers": {"idp": {"issuer": issuer.url}}, "api_keys": True}

    async with letting_in(tmp_path, auth=both) as at, contextlib.AsyncExitStack() as stack:
        world = at.gateway.world
        key = (await world.run("key", "create", "robot")).out.strip()
        # Its end is a minute ago, and the minute that clocks may be apart is nearly over.
        expiring = at.issuer.token(at.resource, exp=int(time.time()) - 57)
        lasting = at.issuer.token(at.resource)
        holder = Holder()
        bound = at.issuer.token(at.resource, cnf={"jkt": holder.thumbprint})
        lines: list[Wire] = []
        for token in (expiring, key, lasting, bound):
            reader, writer = await asyncio.open_connection("127.0.0.1", at.gateway.port, limit=1 << 20)
            line = Wire(reader, writer, at.gateway.port)
            stack.push_async_callback(line.hang_up)
            await opened(at, line, token, holder if token == bound else None)
            lines.append(line)
        id_ = json.loads((await world.run("key", "list", "--json")).out)[0]["id"]
        await world.run("key", "revoke", id_)
        for line in lines[:2]:
            async with asyncio.timeout(8):
                _ = [chunk async for chunk in line.chunks({"transfer-encoding": "chunked"})]
        # The others have been looked at as well by now; the proof of one is used up.
        for line in lines[2:]:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    _ = [chunk async for chunk in line.chunks({"transfer-encoding": "chunked"})]


async def test_a_session_belongs_to_who_opened_it_and_is_no_credential(tmp_path: Path) -> None:
    async with letting_in(tmp_path) as at:
        anna, bert = at.issuer.token(at.resource), at.issuer.token(at.resource, sub="bert")
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        begun = await at.ask("POST", head(anna), json.dumps(request("initialize", hello)).encode(), "/mcp")
        own = {"mcp-session-id": begun.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        body = json.dumps(request("tools/call", tool("w_echo", {"text": "x"}))).encode()
        renewed = at.issuer.token(at.resource, scope="more")
        statuses = [
            (await at.ask("POST", head(token) | own, body, "/mcp")).status
            for token in (anna, bert, None, renewed, at.issuer.token(at.resource, client_id="other"))
        ]
        assert statuses == [200, 404, 401, 200, 404]
        assert await until(lambda: at.called == 2)
