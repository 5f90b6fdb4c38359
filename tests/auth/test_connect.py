"""The pages on which users grant something: what of them binds whom, and what comes of those who are somebody else."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from http_upstream import HttpUpstream, http_upstream
from token_endpoint import TokenEndpoint, token_endpoint

from douane.auth.connect.pages import Connect, Place
from douane.auth.connect.tickets import Tickets
from douane.auth.connect.visitors import ByCredential
from douane.auth.exchange import HttpRequest, HttpResponse
from douane.auth.grants import Owner, Vault
from douane.auth.registration import Applicant
from douane.auth.seal import Seal
from douane.auth.user_grants import UserGrants
from douane.sdk.fetching import fetching
from douane.stores.memory import MemoryRecords
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient

BASE = "https://gate.example/connect"
ANNA, EVE = Owner("default", "anna"), Owner("default", "eve")
KNOWN = {"annas-token": ANNA, "eves-token": EVE}


class Clock:
    def __init__(self) -> None:
        self.s = 1_000_000.0

    def __call__(self) -> float:
        return self.s


class World:
    """One gateway's pages, and the upstream `far` at which something is granted."""

    def __init__(self, http: HttpClient, upstream: HttpUpstream, issuer: TokenEndpoint, configured: str | None) -> None:
        self.upstream, self.issuer, self.clock = upstream, issuer, Clock()
        records, seal = MemoryRecords(self.clock), Seal()
        self.records = records
        self.vault = Vault(records, seal, b"i" * 32, self.clock)
        self.tickets = Tickets(records, seal, self.clock, within_s=300.0)
        self.grants = UserGrants("far", self.vault, fetching(http), self.clock)
        self.turned: list[str] = []
        self.visitors = ByCredential(self._knows, seal, self.clock, at="/connect", secure=lambda: True, known_s=900.0)
        self.connect = Connect(
            {"far": Place(url=upstream.url, grants=self.grants, who=Applicant(), issuer=configured)},
            self.vault,
            self.tickets,
            self.visitors,
            records,
            seal,
            self.clock,
            base=lambda: BASE,
            told=lambda why, address: self.turned.append(address),
        )

    async def _knows(self, credential: str, address: str) -> Owner | str:
        return KNOWN.get(credential, "client: this token is not known here")

    async def link(self, owner: Owner = ANNA, client: str = "desk", *scopes: str) -> str:
        secret, _ = await self.tickets.give(owner, client, "far", frozenset(scopes))
        return f"/connect/{secret}"

    async def serve(self, request: HttpRequest) -> HttpResponse:
        path = urlsplit(request.url).path
        if path == "/connect/callback":
            return await self.connect.callback(request)
        return await (self.visitors.enter if path == "/connect/enter" else self.connect.link)(request)

    async def log_in(self, away: HttpResponse, user: str = "anna") -> str:
        """What the authorization server sends a user back to: the path and query of ours."""
        self.issuer.user = user
        parts = urlsplit(away.header("location") or "")
        http = HttpClient(reach=Reach.LOOPBACK)
        try:
            answer = await fetching(http)(HttpRequest("GET", parts.geturl()))
        finally:
            await http.aclose()
        back = urlsplit(answer.header("location") or "")
        return f"{back.path}?{back.query}"

    async def granted(self, owner: Owner = ANNA) -> list[str]:
        return [held.login.tokens.access for held in await self.vault.of(owner, "far")]


class Browser:
    def __init__(self, at: World, credential: str) -> None:
        self._at, self._credential = at, credential
        self.cookie = ""

    async def ask(self, method: str, url: str, **form: str) -> HttpResponse:
        headers = {"content-type": "application/x-www-form-urlencoded"} | (
            {"cookie": self.cookie} if self.cookie else {}
        )
        answer = await self._at.serve(HttpRequest(method, url, headers, urlencode(form).encode(), "192.0.2.7"))
        self.cookie = (answer.header("set-cookie") or self.cookie).partition(";")[0]
        return answer

    async def enter(self, link: str) -> HttpResponse:
        """The page on which it is asked whether he agrees; or whatever is there instead."""
        who = await self.ask("GET", link)
        if b"Token or key" not in who.body:
            return who
        went = await self.ask("POST", "/connect/enter", credential=self._credential, form=hidden(who))
        return await self.ask("GET", went.header("location") or "") if went.status == 303 else went

    async def agree(self, link: str) -> HttpResponse:
        consent = await self.enter(link)
        return await self.ask("POST", link, form=hidden(consent), answer="allow")


def hidden(page: HttpResponse) -> str:
    found = re.search(rb'name="form" value="([^"]*)"', page.body)
    assert found is not None, page.body
    return unescape(found[1].decode())


@asynccontextmanager
async def world(*, issuer: str | None = None) -> AsyncGenerator[World]:
    """`issuer`: that is configured."""
    http = HttpClient(reach=Reach.LOOPBACK)
    async with http_upstream("stateless") as upstream, token_endpoint() as server:
        upstream.issuer, upstream.good = server.issuer, set()
        try:
            yield World(http, upstream, server, issuer)
        finally:
            await http.aclose()


async def test_who_agrees_logs_in_and_comes_back_has_granted_it(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as at:
        anna = Browser(at, "annas-token")
        away = await anna.agree(await at.link())
        done = await anna.ask("GET", await at.log_in(away))
        assert (done.status, await at.granted()) == (200, ["at-anna-1"])
        assert at.turned == []
        # A registration is made once, and kept.
        at.clock.s += 1.0
        await anna.ask("GET", await at.log_in(await anna.agree(await at.link(ANNA, "desk", "more"))))
        assert len(at.issuer.registered) == 1
        assert at.issuer.registered[0]["redirect_uris"] == [f"{BASE}/callback"]
        assert "at-anna" not in caplog.text


async def test_a_link_alone_binds_nobodys_account_to_whoever_it_was_made_for() -> None:
    # Eve lets a link be made for herself and sends it to Anna, to call as Anna at the upstream.
    async with world() as at:
        link = await at.link(EVE)
        anna = Browser(at, "annas-token")
        refused = await anna.enter(link)
        assert refused.status == 403
        assert b"made for somebody else" in refused.body
        assert at.turned == ["192.0.2.7"]
        assert await at.tickets.of(link.rpartition("/")[2]) is not None
        assert (await at.granted(EVE), await at.granted(ANNA), at.issuer.asked) == ([], [], [])


async def test_what_comes_back_to_another_browser_or_another_user_is_worth_nothing() -> None:
    # Eve goes as far as the authorization server, and has Anna come back in her place.
    async with world() as at:
        eve, anna = Browser(at, "eves-token"), Browser(at, "annas-token")
        away = await eve.agree(await at.link(EVE))
        back = await at.log_in(away, "anna")
        assert (await Browser(at, "").ask("GET", back)).status == 403
        await anna.enter(await at.link(ANNA))
        assert (await anna.ask("GET", back)).status == 403
        assert (await at.granted(EVE), await at.granted(ANNA), at.issuer.asked) == ([], [], [])
        # It is still good for whom it is good for: nobody else can take it away.
        assert (await eve.ask("GET", back)).status == 200


async def test_a_state_is_good_once() -> None:
    async with world() as at:
        anna = Browser(at, "annas-token")
        back = await at.log_in(await anna.agree(await at.link()))
        answers = await asyncio.gather(*(anna.ask("GET", back) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [200, 403, 403, 403, 403]
        assert len(at.issuer.asked) == 1


Query = dict[str, str]


def without(name: str) -> Callable[[Query], Query]:
    return lambda query: {key: value for key, value in query.items() if key != name}


TAMPERED: dict[str, Callable[[Query], Query]] = {
    "another issuer": lambda query: query | {"iss": "https://evil.example"},
    "no issuer": without("iss"),
    "an issuer with a slash": lambda query: query | {"iss": query["iss"] + "/"},
    "no code": without("code"),
    "an error": lambda query: query | {"error": "access_denied"},
    "no state": without("state"),
}


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED)
async def test_an_answer_that_is_not_of_the_issuer_he_was_sent_to_is_not_used(
    tampered: Callable[[Query], Query],
) -> None:
    async with world() as at:
        anna = Browser(at, "annas-token")
        path, _, query = (await at.log_in(await anna.agree(await at.link()))).partition("?")
        said = {name: values[0] for name, values in parse_qs(query).items()}
        refused = await anna.ask("GET", f"{path}?{urlencode(tampered(said))}")
        assert refused.status in (400, 403)
        assert (at.issuer.asked, await at.granted()) == ([], [])


async def test_a_state_said_twice_is_not_used() -> None:
    async with world() as at:
        anna = Browser(at, "annas-token")
        back = await at.log_in(await anna.agree(await at.link()))
        state = parse_qs(urlsplit(back).query)["state"][0]
        assert (await anna.ask("GET", f"{back}&state={state}")).status == 403
        assert (await anna.ask("GET", f"{back}&code=other")).status == 400
        assert at.issuer.asked == []


async def test_consent_is_asked_of_each_client_before_anybody_is_sent_away() -> None:
    async with world() as at:
        anna = Browser(at, "annas-token")
        await anna.ask("GET", await at.log_in(await anna.agree(await at.link())))
        assert await at.grants.lacks(ANNA, "desk") is None
        assert await at.grants.lacks(ANNA, "stranger") == frozenset()
        consent = await anna.enter(link := await at.link(ANNA, "stranger"))
        assert "stranger" in consent.body.decode()
        # It has granted it already: nobody is sent away for that.
        done = await anna.ask("POST", link, form=hidden(consent), answer="allow")
        assert (done.status, await at.grants.lacks(ANNA, "stranger")) == (200, None)
        assert len(at.issuer.asked) == 1


async def test_a_form_counts_only_where_it_was_shown_and_for_what() -> None:
    async with world() as at:
        eve, anna = Browser(at, "eves-token"), Browser(at, "annas-token")
        link, other = await at.link(ANNA), await at.link(ANNA, "other")
        form, elsewhere = hidden(await anna.enter(link)), hidden(await anna.enter(other))
        # Another page, in Anna's browser, sends a form that it has got for Eve's own link.
        foreign = hidden(await eve.enter(await at.link(EVE)))
        for sent in ("", "x", foreign, elsewhere):
            assert (await anna.ask("POST", link, form=sent, answer="allow")).status == 403
        assert (await anna.ask("POST", link, form=form, answer="maybe")).status == 403
        assert await at.grants.lacks(ANNA, "desk") == frozenset()
        assert (await anna.ask("POST", link, form=form, answer="allow")).status == 303


async def test_consent_that_is_sent_again_after_the_end_leads_nowhere() -> None:
    async with world() as at:
        anna = Browser(at, "annas-token")
        link = await at.link()
        form = hidden(await anna.enter(link))
        away = await anna.ask("POST", link, form=form, answer="allow")
        await anna.ask("GET", await at.log_in(away))
        assert (await anna.ask("POST", link, form=form, answer="allow")).status == 404


async def test_a_link_ends_with_its_time_and_a_wrong_one_was_never_there() -> None:
    async with world() as at:
        anna = Browser(at, "annas-token")
        link = await at.link()
        back = await at.log_in(await anna.agree(link))
        at.clock.s += 301.0
        assert (await anna.ask("GET", link)).status == 404
        assert (await anna.ask("GET", back)).status == 403
        assert (await anna.ask("GET", "/connect/" + "x" * 43)).status == 404
        assert (await anna.ask("GET", "/connect/")).status == 404
        assert (at.issuer.asked, await at.granted()) == ([], [])


async def test_who_shows_no_credential_of_this_gateway_gets_no_further() -> None:
    async with world() as at:
        nobody = Browser(at, "guessed")
        page = await nobody.enter(await at.link())
        assert page.status == 403
        assert b"not known here" in page.body
        # Whom a cookie knew is somebody else with the next credential.
        anna = Browser(at, "annas-token")
        await anna.enter(await at.link())
        before = anna.cookie
        at.clock.s += 901.0
        assert b"Token or key" in (await anna.ask("GET", await at.link(ANNA, "later"))).body
        assert anna.cookie != before


async def test_no_page_can_be_framed_cached_or_scripted_and_all_that_is_shown_is_escaped() -> None:
    async with world() as at:
        anna = Browser(at, "annas-token")
        link = await at.link(ANNA, '<script>alert("x")</script>')
        for answer in (await anna.ask("GET", link), await anna.enter(link), await anna.ask("GET", "/connect/x")):
            policy = answer.header("content-security-policy") or ""
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.header("cache-control") == "no-store"
            assert b"<script" not in answer.body
        assert b"&lt;script&gt;" in (await anna.enter(link)).body


async def test_cookies_are_for_this_host_alone_and_no_script_reads_them() -> None:
    async with world() as at:
        page = await Browser(at, "").ask("GET", await at.link())
        cookie = page.header("set-cookie") or ""
        assert cookie.startswith("__Host-douane-connect=")
        assert {part.strip() for part in cookie.split(";")[1:]} == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}


async def test_an_issuer_that_is_another_than_was_configured_is_not_asked() -> None:
    async with world(issuer="https://login.far.example") as at:
        anna = Browser(at, "annas-token")
        refused = await anna.enter(await at.link())
        assert refused.status == 502
        assert b"upstreams.far.auth.user.issuer" in refused.body


async def test_many_calls_at_once_are_given_one_link() -> None:
    async with world() as at:
        assert len({await at.link() for _ in range(20)}) == 1
        assert await at.link() != await at.link(ANNA, "other")
