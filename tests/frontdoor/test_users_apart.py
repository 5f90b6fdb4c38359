"""Two users of one gateway, and an upstream that each calls as himself: whose credentials are whose, on the real way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, Seen
from gateway_clients import enveloped, head, post, request, tool
from gateway_world import World as Home
from http_upstream import HttpUpstream, http_upstream
from peers import Speaks
from several_callers import Caller, several
from token_endpoint import TokenEndpoint, token_endpoint

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
_OFFERS: dict[str, Any] = {CAPABILITIES: {"elicitation": {"url": {}}}}


def upstream_of(upstream: HttpUpstream, **auth: Any) -> dict[str, Any]:
    return {"far": {"url": upstream.url, "reads": {"tools": ["*"]}, "auth": auth}}


async def called(by: Caller, name: str = "far_echo", **arguments: Any) -> Any:
    message = request("tools/call", enveloped(tool(name, arguments), **_OFFERS))
    return (await post(by, message, head(by.token, message))).message


async def listed(by: Caller) -> list[str]:
    message = request("tools/list", enveloped())
    return [tool["name"] for tool in (await post(by, message, head(by.token, message))).message["result"]["tools"]]


def link_in(message: Any) -> str:
    (question,) = message["result"]["inputRequests"].values()
    return question["params"]["url"]


async def enter(browser: Browser, link: str, credential: str) -> Seen:
    who = await browser.get(link)
    return await browser.send(who, credential=credential) if "Token or key" in who.text else who


async def grant(issuer: TokenEndpoint, by: Caller, user: str, link: str) -> Seen:
    issuer.user = user
    browser = Browser()
    return await browser.send(await enter(browser, link, by.token), answer="allow")


def everything_sent(upstream: HttpUpstream) -> str:
    requests = (heard.request for heard in upstream.heard)
    return "".join(f"{request.query} {request.headers} {request.body}" for request in requests)


async def test_each_calls_as_himself_and_what_one_has_granted_is_nothing_to_the_other(tmp_path: Path) -> None:
    async with http_upstream("stateless") as upstream, token_endpoint() as issuer:
        upstream.issuer, upstream.good = issuer.issuer, {"at-anna-1", "at-mallory-2"}
        async with several(tmp_path, upstream_of(upstream, user={})) as at:
            assert await listed(at.anna) == await listed(at.mallory) == ["far_connect"]
            await grant(issuer, at.anna, "anna", link_in(await called(at.anna, "far_connect")))
            await upstream.until("tools/list")
            async with asyncio.timeout(15):
                while await listed(at.anna) != ["far_echo"]:  # noqa: ASYNC110 - asked for again, as clients do
                    await asyncio.sleep(0.01)
            assert await listed(at.mallory) == ["far_connect"]
            # By its name he can call it all the same, and is told to log in.
            asked = await called(at.mallory)
            assert [heard for heard in upstream.heard if heard.method == "tools/call"] == []
            await grant(issuer, at.mallory, "mallory", link_in(asked))
            answers = await asyncio.gather(*(called(by, who=by.token) for by in (at.anna, at.mallory) * 20))
            assert all("result" in answer for answer in answers)
            calls = [heard for heard in upstream.heard if heard.method == "tools/call"]
            carried = {(heard.params["arguments"]["who"], heard.token) for heard in calls}
            assert carried == {(at.anna.token, "at-anna-1"), (at.mallory.token, "at-mallory-2")}


async def test_a_link_that_one_sends_another_is_refused_and_written_down(tmp_path: Path) -> None:
    async with http_upstream("stateless") as upstream, token_endpoint() as issuer:
        upstream.issuer, upstream.good = issuer.issuer, {"at-anna-1"}
        async with several(tmp_path, upstream_of(upstream, user={})) as at:
            link = link_in(await called(at.mallory, "far_connect"))
            refused = await enter(Browser(), link, at.anna.token)
            assert (refused.answer.status, "made for somebody else" in refused.text) == (403, True)
            wrong = await enter(Browser(), link, "x" * 43)
            assert wrong.answer.status == 403
            assert issuer.asked == []
            home = at
        reasons = [leaf.reason for leaf in home.leaves() if leaf.kind == "denied"]
        assert any("made for somebody else" in reason for reason in reasons), reasons


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_in_exchange_for_each_callers_token_its_own_is_got_and_no_callers_token_goes_further(
    tmp_path: Path, era: Speaks, caplog: pytest.LogCaptureFixture
) -> None:
    async with http_upstream(era) as upstream, token_endpoint() as issuer:
        exchange = {"token_endpoint": issuer.url, "id": "gate", "secret": "s3cret", "audience": "far"}
        async with several(tmp_path, upstream_of(upstream, exchange=exchange)) as at:
            tokens = at.anna.token, at.mallory.token, at.owner.token
            upstream.good = {f"at-{token}-{number}" for token in tokens for number in range(9)}
            # Whoever comes first with a token that can be exchanged has the lists read in his name.
            await listed(at.anna)
            await upstream.until("tools/list")
            async with asyncio.timeout(15):
                while await listed(at.anna) != ["far_echo"]:  # noqa: ASYNC110 - asked for again, as clients do
                    await asyncio.sleep(0.01)
            for by, who in ((at.anna, "anna"), (at.mallory, "mallory"), (at.anna, "anna")):
                assert "result" in await called(by, who=who)
            calls = [heard for heard in upstream.heard if heard.method == "tools/call"]
            whose = [(heard.params["arguments"]["who"], heard.token.split("-")[1]) for heard in calls]
            assert whose == [("anna", tokens[0]), ("mallory", tokens[1]), ("anna", tokens[0])]
            # The token of the first start is nobody else's business, however it is written.
            for spaces in (" \t", " ", ""):
                refused = await called(Caller(at.owner.port, spaces + at.owner.token))
                assert "error" in refused, refused
                assert "your own token is needed" in refused["error"]["message"]
            assert {form["subject_token"] for form in issuer.asked} == {at.anna.token, at.mallory.token}
            assert {form["audience"] for form in issuer.asked} == {"far"}
            headers = "".join(str(heard.request.headers) for heard in upstream.heard)
            assert all(f"Bearer {token}" not in headers for token in tokens)
            home = at
        written = _bytes_in(home.world)
        assert all(token.encode() not in written for token in tokens[:2])
        assert all(token not in caplog.text for token in tokens)


async def test_a_token_that_is_not_exchanged_is_its_callers_affair_and_nothing_is_sent(tmp_path: Path) -> None:
    async with http_upstream("stateless") as upstream, token_endpoint() as issuer:
        own = {"token_endpoint": issuer.url, "id": "gate", "secret": "s3cret"}
        upstream.good = {"at-gateway-1"}
        issuer.refuses = lambda form: "invalid_request" if "subject_token" in form else None
        async with several(tmp_path, upstream_of(upstream, client=own, exchange=own)) as at:
            message = (await called(at.anna))["error"]["message"]
            assert message.startswith("client: your token is not taken in exchange for one of upstream far"), message
            assert [heard for heard in upstream.heard if heard.method == "tools/call"] == []


def _bytes_in(home: Home) -> bytes:
    return b"".join(path.read_bytes() for path in home.paths.data_dir.rglob("*") if path.is_file())
