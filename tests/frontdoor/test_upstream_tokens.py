"""Upstreams that want a token: the gateway's own, by the real gateway, over real HTTP."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import enveloped, head, post, request, tool, until_ready
from gateway_world import BOUND_S, Gateway, World, gateway
from http_upstream import HttpUpstream, http_upstream
from joserfc import jwt
from joserfc.jwk import ECKey
from peers import Speaks
from token_endpoint import TokenEndpoint, token_endpoint

READS = {"tools": ["*"]}


async def called(running: Gateway, name: str = "far_echo") -> Any:
    """The message that answers one call of the stateless era."""
    message = request("tools/call", enveloped(tool(name, {"a": 1})))
    return (await post(running, message, head(running.token, message))).message


def config(upstream: HttpUpstream, endpoint: TokenEndpoint, **client: Any) -> dict[str, Any]:
    own = {"token_endpoint": endpoint.url, "id": "gate way", "secret": "s:cret"}
    return {"far": {"url": upstream.url, "reads": READS, "auth": {"client": own | client}}}


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_every_request_carries_the_gateways_own_token_and_never_the_callers(tmp_path: Path, era: Speaks) -> None:
    async with http_upstream(era) as upstream, token_endpoint() as endpoint:
        upstream.good = {"at-gateway-1"}
        async with gateway(tmp_path, config(upstream, endpoint, scopes=["read", "write"])) as running:
            await until_ready(running)
            answer = await called(running)
            assert json.loads(answer["result"]["content"][0]["text"]) == {"a": 1}
            token = running.token
        assert {heard.token for heard in upstream.heard} == {"at-gateway-1"}
        assert endpoint.asked == [
            {
                "grant_type": "client_credentials",
                "client_id": "gate way",
                "client": "gate way",
                "secret": "s:cret",
                "scope": "read write",
                "resource": upstream.url,
            }
        ]
        headers = b"".join(b"".join(heard.request.headers.values()) for heard in upstream.heard)
        assert token.encode() not in headers


async def test_a_token_that_is_refused_is_got_anew_once_and_the_call_is_made(tmp_path: Path) -> None:
    async with http_upstream("stateless") as upstream, token_endpoint() as endpoint:
        upstream.good = {"at-gateway-1"}
        async with gateway(tmp_path, config(upstream, endpoint)) as running:
            await until_ready(running)
            upstream.good = {"at-gateway-2"}
            answers = await asyncio.gather(*(called(running) for _ in range(50)))
            assert all("result" in answer for answer in answers), answers
        assert len(endpoint.asked) == 2
        # Each was sent once more at most, and ran once.
        calls = [heard for heard in upstream.heard if heard.method == "tools/call"]
        assert sum(heard.token == "at-gateway-2" for heard in calls) == 50


async def test_an_upstream_that_refuses_every_token_is_told_no_end_of_them(tmp_path: Path) -> None:
    async with http_upstream("stateless") as upstream, token_endpoint() as endpoint:
        upstream.good = {"at-gateway-1"}
        async with gateway(tmp_path, config(upstream, endpoint)) as running:
            await until_ready(running)
            upstream.good = set()
            before = len(upstream.heard)
            answer = await called(running)
            assert answer["error"]["message"].startswith("upstream: "), answer
            assert "401" in answer["error"]["message"] or "refuses" in answer["error"]["message"], answer
            assert len(upstream.heard) - before <= 4
            assert len(endpoint.asked) <= 3
            (recorded,) = [made for made in running.world.calls().values() if made.intents]
            assert [leaf.sent for leaf in recorded.outcomes] == ["no"]


async def test_a_token_endpoint_that_is_down_is_named_with_its_layer_and_tried_again(tmp_path: Path) -> None:
    async with http_upstream("stateless") as upstream, token_endpoint() as endpoint:
        endpoint.status = 503
        async with gateway(tmp_path, config(upstream, endpoint)) as running:
            await until_ready(running)
            answer = await called(running)
            assert "no token can be had for upstream far" in answer["error"]["message"], answer
            assert "try again later" in answer["error"]["message"]
            assert "s:cret" not in "".join(running.log)
            endpoint.status = 200
            assert await eventually(running)
        assert upstream.heard


async def eventually(running: Gateway) -> bool:
    """Whether a call comes through in time; each that does not has waited for its upstream."""
    async with asyncio.timeout(BOUND_S):
        while "result" not in await called(running):  # noqa: ASYNC110 - it sends no event, and answers at once
            await asyncio.sleep(0.05)
    return True


async def test_credentials_that_are_not_taken_are_the_gateways_fault_and_the_operators_to_mend(tmp_path: Path) -> None:
    async with http_upstream("stateless") as upstream, token_endpoint() as endpoint:
        endpoint.refuses = lambda form: "invalid_client"
        async with gateway(tmp_path, config(upstream, endpoint)) as running:
            await until_ready(running)
            message = (await called(running))["error"]["message"]
            assert "gateway: its credentials for upstream far are not taken (invalid_client)" in message
            assert "upstreams.far.auth" in message


async def test_a_key_signs_for_the_gateway_instead_of_a_secret_and_the_issuer_says_where(tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", private=True)
    tmp_path.joinpath("gate.pem").write_bytes(key.as_pem(private=True))
    tmp_path.joinpath("gate.pem").chmod(0o600)
    async with http_upstream("stateless") as upstream, token_endpoint() as endpoint:
        own = {"issuer": endpoint.issuer, "id": "us", "key": "gate.pem"}
        far = {"url": upstream.url, "reads": READS, "auth": {"client": own}}
        async with gateway(tmp_path, {"far": far}) as running:
            await until_ready(running)
            assert "result" in await called(running)
        (form,) = endpoint.asked
        assert "secret" not in form
        claims = jwt.decode(form["client_assertion"], key, algorithms=["ES256"]).claims
        assert (claims["iss"], claims["sub"], claims["aud"]) == ("us", "us", endpoint.issuer)
        assert claims["exp"] - claims["iat"] <= 300


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ({}, "upstreams.far.auth: says no way to get a token"),
        ({"client": {"id": "us", "secret": "s"}}, "auth.client: needs `issuer` or `token_endpoint`"),
        ({"client": {"issuer": "http://login.example", "id": "us", "secret": "s"}}, "auth.client.issuer: "),
        ({"client": {"issuer": "https://login.example", "secret": "s"}}, "auth.client: needs `id`"),
        ({"client": {"issuer": "https://login.example", "id": "us"}}, "auth.client: needs `secret` or `key`"),
        ({"client": {"issuer": "https://a", "id": "us", "secret": "s", "key": "k"}}, "needs `secret` or `key`"),
        ({"client": {"issuer": "https://a", "id": "us", "secret": "s", "scopes": ["a b"]}}, "scopes[0]: is no scope"),
        ({"client": {"issuer": "https://a", "id": "us", "key": "nokey.pem"}}, "auth.client.key: "),
        ({"client": {"issuer": "https://a", "id": "us", "secrt": "s"}}, 'did you mean "secret"?'),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_its_place_and_no_secret(
    tmp_path: Path, auth: Any, said: str
) -> None:
    world = World(tmp_path, {"far": {"url": "https://far.example/mcp", "auth": auth}})
    ran = await world.run("up", "--config", str(world.config), "--port", "0")
    assert ran.code != 0
    assert said in ran.err, ran.err


async def test_a_token_and_an_authorization_header_exclude_one_another_and_commands_have_neither(
    tmp_path: Path,
) -> None:
    client = {"client": {"issuer": "https://a", "id": "us", "secret": "s"}}
    far = {"url": "https://far.example/mcp", "auth": client, "headers": {"Authorization": "Bearer x"}}
    world = World(tmp_path, {"far": far, "near": {"command": ["true"], "auth": client}})
    ran = await world.run("up", "--config", str(world.config), "--port", "0")
    assert "far.headers: holds an Authorization header, which `auth` writes" in ran.err
    assert "near.auth: belongs to a `url`; this server has a `command`" in ran.err
