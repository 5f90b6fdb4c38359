"""Upstreams that users open to the gateway themselves: the link, the page, the authorization server, and the call goes on."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from browser import Browser, Seen, forms
from gateway_clients import enveloped, head, http, post, request, stdio, tool, until_ready
from gateway_world import BOUND_S, Gateway, gateway
from http_upstream import Heard, HttpUpstream, http_upstream
from peers import Speaks
from token_endpoint import TokenEndpoint, token_endpoint

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
URL = {"elicitation": {"url": {}}}


class World:
    def __init__(self, running: Gateway, upstream: HttpUpstream, issuer: TokenEndpoint) -> None:
        self.gateway, self.upstream, self.issuer = running, upstream, issuer
        self.browser = Browser()

    async def call(
        self, *, offers: Any = URL, state: str | None = None, action: str | None = None, name: str = "far_echo"
    ) -> Any:
        """One call of the stateless era; the message that answers it."""
        params: dict[str, Any] = tool(name, {"a": 1})
        if state is not None:
            params["requestState"] = state
        if action is not None:
            params["inputResponses"] = {"login": {"action": action}}
        message = request("tools/call", enveloped(params, **{CAPABILITIES: offers}))
        return (await post(self.gateway, message, head(self.gateway.token, message))).message

    async def asked(self, **more: Any) -> tuple[str, str]:
        """The link that a call is answered with, and its state."""
        result = (await self.call(**more))["result"]
        assert result["resultType"] == "input_required", result
        (question,) = result["inputRequests"].values()
        assert question["params"]["mode"] == "url"
        return question["params"]["url"], result["requestState"]

    async def grant(self, link: str) -> Seen:
        """As a user does it: he says who he is, agrees, logs in, and comes back."""
        consent = await self.enter(link)
        return await self.browser.send(consent, answer="allow")

    async def enter(self, link: str) -> Seen:
        """The page on which he is asked whether he agrees."""
        who = await self.browser.get(link)
        if "Token or key" not in who.text:
            return who
        return await self.browser.send(who, credential=self.gateway.token)

    async def listed(self) -> list[str]:
        """The tools that are shown."""
        message = request("tools/list", enveloped())
        answer = (await post(self.gateway, message, head(self.gateway.token, message))).message
        return [tool["name"] for tool in answer["result"]["tools"]]

    @property
    def calls(self) -> list[Heard]:
        """That reached the upstream's tool."""
        return [heard for heard in self.upstream.heard if heard.method == "tools/call" and heard.token in self.good]

    @property
    def good(self) -> set[str]:
        assert self.upstream.good is not None
        return self.upstream.good


@asynccontextmanager
async def world(
    home: Path, era: Speaks = "stateless", *, lists: bool = True, people: Any = None, **user: Any
) -> AsyncGenerator[World]:
    """`lists`: the gateway has credentials of its own to read the lists with. `people`: what is configured of `auth`."""
    async with http_upstream(era) as upstream, token_endpoint() as issuer:
        upstream.issuer, upstream.good = issuer.issuer, {"at-gateway-1", "at-anna-2", "at-anna-3"}
        issuer.user = "anna"
        own = {"token_endpoint": issuer.url, "id": "us", "secret": "s3cret"}
        auth = {"client": own, "user": user} if lists else {"user": user}
        far = {"url": upstream.url, "reads": {"tools": ["*"]}, "auth": auth}
        async with gateway(home, {"far": far}, auth=people or {}) as running:
            await until_ready(running)
            yield World(running, upstream, issuer)


def text(message: Any) -> Any:
    return json.loads(message["result"]["content"][0]["text"])


async def test_a_call_that_needs_a_grant_is_answered_with_a_link_and_goes_on_after_it(tmp_path: Path) -> None:
    async with world(tmp_path) as at:
        link, state = await at.asked()
        assert at.calls == []
        # The caller has told its user, who has agreed to look at the page; the call waits while he is there.
        waiting = asyncio.ensure_future(at.call(state=state, action="accept"))
        consent = await at.enter(link)
        assert "far" in consent.text
        assert at.issuer.issuer in consent.text
        done = await at.browser.send(consent, answer="allow")
        assert (done.answer.status, "can be used for you" in done.text) == (200, True), done.text
        assert text(await asyncio.wait_for(waiting, BOUND_S)) == {"a": 1}
        assert [heard.token for heard in at.calls] == ["at-anna-2"]
        # The next call needs nothing any more.
        assert text(await at.call()) == {"a": 1}
        redeemed = at.issuer.asked[1]
        assert (redeemed["grant_type"], redeemed["resource"]) == ("authorization_code", at.upstream.url)


async def test_a_grant_outlives_the_gateway_and_stands_nowhere_in_clear(tmp_path: Path) -> None:
    async with world(tmp_path) as at:
        link, _ = await at.asked()
        await at.grant(link)
        assert text(await at.call()) == {"a": 1}
        running, good = at.gateway, at.good
        assert await running.stop() == 0
        written = b"".join(path.read_bytes() for path in running.world.paths.data_dir.rglob("*") if path.is_file())
        for secret in (*good, "rt-anna-2", "s3cret", running.token, link.rpartition("/")[2]):
            assert secret.encode() not in written, secret
        assert all(secret not in "".join(running.log) for secret in (*good, "rt-anna-2", "s3cret"))
        at.good.add("at-gateway-3")
        again = await running.world.up()
        try:
            await until_ready(again)
            at.gateway = again
            assert text(await at.call()) == {"a": 1}
        finally:
            assert await again.stop() == 0


async def test_a_client_of_2025_11_25_is_asked_and_its_call_waits_until_it_is_granted(tmp_path: Path) -> None:
    async with world(tmp_path) as at, http(at.gateway) as client:
        await client.greet(capabilities=URL)
        heard: list[Any] = []

        async def call() -> Any:
            id_ = await client.begin("tools/call", tool("far_echo", {"a": 1}))
            async for message in client.messages():
                if message.get("method") == "elicitation/create":
                    heard.append(message["params"])
                    answer = {"jsonrpc": "2.0", "id": message["id"], "result": {"action": "accept"}}
                    await post(at.gateway, answer, client.headers())
                    granting = asyncio.ensure_future(at.grant(message["params"]["url"]))
                    heard.append(granting)
                elif message.get("id") == id_:
                    return message
            return None

        assert text(await asyncio.wait_for(call(), BOUND_S)) == {"a": 1}
        question, granting = heard
        assert question["mode"] == "url"
        assert question["elicitationId"]
        assert (await granting).answer.status == 200
        assert len(at.calls) == 1


async def test_a_client_of_2025_11_25_that_takes_no_stream_is_told_which_page_by_the_error_for_it(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as at, http(at.gateway) as client:
        await client.greet(capabilities=URL)
        message = request("tools/call", tool("far_echo", {"a": 1}), 7)
        refused = await post(at.gateway, message, client.headers() | {"accept": "application/json"})
        error = refused.message["error"]
        assert error["code"] == -32042
        (page,) = error["data"]["elicitations"]
        assert page["mode"] == "url"
        assert page["elicitationId"]
        await at.grant(page["url"])
        again = await post(at.gateway, message, client.headers() | {"accept": "application/json"})
        assert text(again.message) == {"a": 1}


async def test_a_client_that_can_show_no_page_gets_the_link_as_text_and_calls_again(tmp_path: Path) -> None:
    async with world(tmp_path) as at, http(at.gateway) as older:
        await older.greet("2025-06-18")
        said = [(await at.call(offers={}))["result"], (await older.ask("tools/call", tool("far_echo")))["result"]]
        for result in said:
            assert result["isError"] is True
            assert f"http://127.0.0.1:{at.gateway.port}/connect/" in result["content"][0]["text"]
        words = said[0]["content"][0]["text"].split()
        await at.grant(next(word for word in words if word.startswith("http://")))
        assert text(await at.call(offers={})) == {"a": 1}
        assert len(at.calls) == 1


async def test_who_declines_in_the_client_or_on_the_page_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    async with world(tmp_path) as at:
        _, state = await at.asked()
        refused = await at.call(state=state, action="decline")
        assert "declined" in refused["error"]["message"]
        link, state = await at.asked()
        waiting = asyncio.ensure_future(at.call(state=state, action="accept"))
        consent = await at.enter(link)
        assert "Nothing was granted" in (await at.browser.send(consent, answer="deny")).text
        assert "declined" in (await asyncio.wait_for(waiting, BOUND_S))["error"]["message"]
        # The link has done what it was for.
        assert (await at.browser.get(link)).answer.status == 404
        assert at.calls == []


async def test_a_scope_that_is_lacking_is_asked_for_together_with_those_before(tmp_path: Path) -> None:
    def wants_more(heard: Heard) -> None:
        if heard.token != "at-anna-3":
            more = b'Bearer error="insufficient_scope", scope="write"'
            heard.reply.send(403, [(b"www-authenticate", more)])
        else:
            heard.server.on.pop("tools/call")
            heard.server(heard.request, heard.reply)

    async with world(tmp_path, scopes=["read"]) as at:
        link, _ = await at.asked()
        await at.grant(link)
        at.upstream.on["tools/call"] = wants_more
        link, state = await at.asked()
        consent = await at.browser.get(link)
        assert ("read" in consent.text, "write" in consent.text) == (True, True)
        await at.browser.send(consent, answer="allow")
        assert text(await at.call(state=state, action="accept")) == {"a": 1}
        assert len(at.issuer.asked) == 3


async def test_a_grant_is_refreshed_before_it_ends_and_one_that_is_taken_no_more_is_asked_for_anew(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as at:
        at.issuer.lifetime_s = 0.2
        link, _ = await at.asked()
        await at.grant(link)
        answers = await asyncio.gather(*(at.call() for _ in range(20)))
        assert all("result" in answer for answer in answers), answers
        at.issuer.refuses = lambda form: "invalid_grant" if form["grant_type"] == "refresh_token" else None
        at.good.clear()
        await at.asked()


async def test_an_upstream_that_refuses_whatever_was_granted_is_told_no_end_of_it(tmp_path: Path) -> None:
    async with world(tmp_path) as at:
        link, _ = await at.asked()
        await at.grant(link)
        assert text(await at.call()) == {"a": 1}
        at.good.clear()
        for _ in range(5):
            message = (await at.call())["error"]["message"]
            assert message.startswith("upstream: "), message
        refused = [heard for heard in at.upstream.heard if heard.method == "tools/call"][1:]
        # Each is tried twice, as what was surely not run; the first once more, with what was refreshed.
        assert len(refused) == 11
        assert [form["grant_type"] for form in at.issuer.asked].count("refresh_token") == 1


async def test_an_issuer_that_is_down_is_named_with_its_layer_and_takes_no_grant_away(tmp_path: Path) -> None:
    async with world(tmp_path) as at:
        link, _ = await at.asked()
        await at.grant(link)
        assert text(await at.call()) == {"a": 1}
        at.good.discard("at-anna-2")
        at.issuer.status = 503
        message = (await at.call())["error"]["message"]
        assert "what you have granted at far cannot be refreshed now" in message
        assert "try again later" in message
        at.issuer.status = 200
        at.good.add("at-anna-5")
        at.good.add("at-anna-4")
        assert text(await at.call()) == {"a": 1}


async def test_without_credentials_of_the_gateway_nothing_is_shown_but_how_to_log_in_until_somebody_has(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, lists=False) as at, stdio(at.gateway.world) as client:
        await client.greet()
        at.good.add("at-anna-1")
        assert await at.listed() == ["far_connect"]
        assert at.upstream.heard == []
        told = asyncio.ensure_future(client.note_of("notifications/tools/list_changed"))
        link, state = await at.asked(name="far_connect")
        waiting = asyncio.ensure_future(at.call(name="far_connect", state=state, action="accept"))
        await at.grant(link)
        said = (await asyncio.wait_for(waiting, BOUND_S))["result"]
        assert "List the tools again" in said["content"][0]["text"]
        await asyncio.wait_for(told, BOUND_S)
        assert await at.listed() == ["far_echo"]
        assert text(await at.call()) == {"a": 1}
        assert {heard.token for heard in at.upstream.heard if heard.method != "ping"} == {"at-anna-1"}


async def test_after_a_restart_the_lists_are_read_in_the_name_of_somebody_who_is_known(tmp_path: Path) -> None:
    async with world(tmp_path, lists=False) as at:
        at.good.add("at-anna-1")
        link, _ = await at.asked(name="far_connect")
        await at.grant(link)
        assert await at.gateway.stop() == 0
        again = await at.gateway.world.up()
        try:
            at.gateway = again
            await until_ready(again)
            assert await at.listed() == ["far_echo"]
        finally:
            assert await again.stop() == 0


async def test_when_nobody_is_known_any_more_the_way_to_log_in_is_shown_again(tmp_path: Path) -> None:
    async with world(tmp_path, lists=False) as at:
        at.good.add("at-anna-1")
        link, _ = await at.asked(name="far_connect")
        await at.grant(link)
        assert text(await at.call()) == {"a": 1}
        at.issuer.refuses = lambda form: "invalid_grant"
        at.good.clear()
        await at.asked()
        assert await at.listed() == ["far_connect"]


async def test_who_has_logged_in_by_name_at_the_gateways_own_authorization_server_need_show_no_token(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, people={"authority": {}}) as at:
        link, _ = await at.asked()
        who = await at.browser.get(link)
        by_name, _ = forms(who)
        login = await at.browser.post(who, by_name.action, **by_name.hidden)
        password, *_ = forms(login)
        fields = {"user": "owner", "password": at.gateway.token}
        consent = await at.browser.post(login, password.action, **password.hidden, **fields)
        assert "Let the gateway use far for you?" in consent.text
        done = await at.browser.send(consent, answer="allow")
        assert "can be used for you" in done.text, done.text
        assert text(await at.call()) == {"a": 1}
