"""What may be called is decided when it is called: for how long a list may be kept says nothing about that (T26)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway_clients import HttpClient, http, names_of, text_of
from gateway_world import SOON_S, gateway
from http_upstream import Heard, HttpUpstream, http_upstream
from peers import tool

_KEPT_MS = 3_600_000
ALLOW = "permit(principal, action, resource);"
DENY = 'forbid(principal, action == Douane::Action::"call", resource == Douane::Tool::"u_echo");'


def _for_an_hour(heard: Heard) -> None:
    heard.answer({"tools": heard.server.tools, "resultType": "complete", "ttlMs": _KEPT_MS, "cacheScope": "public"})


def _listens(heard: Heard) -> None:
    heard.listen()
    heard.tell("notifications/subscriptions/acknowledged", _of(heard, notifications=heard.params["notifications"]))


def _of(heard: Heard, **params: object) -> dict[str, object]:
    return {**params, "_meta": {"io.modelcontextprotocol/subscriptionId": heard.id}}


@asynccontextmanager
async def listed(tmp_path: Path) -> AsyncIterator[tuple[HttpUpstream, HttpClient]]:
    """A caller that has been shown a list of a server that says it is good for an hour, and has called from it."""
    tmp_path.joinpath("own.cedar").write_text(ALLOW)
    async with http_upstream("stateless", tools__list=_for_an_hour, subscriptions__listen=_listens) as upstream:
        upstream.tools = [tool("echo"), tool("other")]
        policy = {"files": ["own.cedar"]}
        async with gateway(tmp_path, {"u": upstream.config}, policy=policy) as running, http(running) as client:
            assert names_of(await client.ask("tools/list")) == ["u_echo", "u_other"]
            assert text_of(await client.call("u_echo")) == "{}"
            yield upstream, client


async def refused(client: HttpClient, code: int) -> None:
    """Soon it is."""
    async with asyncio.timeout(SOON_S):
        while "error" not in (answer := await client.call("u_echo")):
            assert text_of(answer) == "{}"
    assert answer["error"]["code"] == code


async def test_what_a_new_rule_forbids_is_refused_however_long_its_list_may_be_kept(tmp_path: Path) -> None:
    async with listed(tmp_path) as (upstream, client):
        tmp_path.joinpath("own.cedar").write_text(ALLOW + DENY)
        await refused(client, 1403)
        sent = upstream.methods().count("tools/call")
        for _ in range(3):
            assert (await client.call("u_echo"))["error"]["code"] == 1403
        assert upstream.methods().count("tools/call") == sent
        assert text_of(await client.call("u_other")) == "{}"


async def test_what_a_server_has_taken_back_is_refused_however_long_its_list_may_be_kept(tmp_path: Path) -> None:
    async with listed(tmp_path) as (upstream, client):
        upstream.tools = [tool("other")]
        ear = upstream.ears[-1]
        ear.tell("notifications/tools/list_changed", _of(ear))
        await refused(client, -32602)
        sent = upstream.methods().count("tools/call")
        assert (await client.call("u_echo"))["error"]["code"] == -32602
        assert upstream.methods().count("tools/call") == sent
        assert names_of(await client.ask("tools/list")) == ["u_other"]
