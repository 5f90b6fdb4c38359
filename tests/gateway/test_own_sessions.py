"""Upstreams that are called as whoever calls: no call carries another's credentials, whatever happens at once."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
from http_upstream import Heard, HttpUpstream, http_upstream
from msgspec.structs import replace
from peers import BOUND_S, Ears, Speaks, call

from douane.auth.credentials import Challenge, Credentials, Header, LoginFailed
from douane.gateway.interactive import Asking
from douane.gateway.own_sessions import CONNECTIONS, Lend, OwnSessions
from douane.gateway.upstream import Times, Upstream
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Complete, Failed, Outcome
from douane.registry.catalog import Catalog
from douane.registry.naming import Naming
from douane.sdk.respondent import Respondent
from douane.sdk.session import Noted, Session
from douane.sdk.url import open_url
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient
from douane.wire.codes import UPSTREAM_UNAVAILABLE

_ASKING = Asking()
OFFER = {"elicitation": {"form": {}, "url": {}}}


class Fixed:
    """Credentials that are one word, with a number that goes up when it is refused."""

    def __init__(self, who: str, known: bool = True) -> None:
        self.who, self.known, self.renewed = who, known, 0

    async def headers(self, method: str, url: str) -> Sequence[Header]:
        if not self.known:
            raise LoginFailed(f"client: {self.who} is not known there; log in")
        return ((b"authorization", f"Bearer {self.who}.{self.renewed}".encode()),)

    async def renew(self, challenge: Challenge, method: str, url: str) -> bool:
        self.renewed += 1
        return challenge.before == 0


class World:
    def __init__(self, upstream: Upstream, own: OwnSessions, catalog: Catalog, server: HttpUpstream) -> None:
        self.upstream, self.own, self.server = upstream, own, server
        item = catalog.find("tools", "echo")
        assert item is not None
        self._digest = item.digest

    def call(self, who: str, **members: object) -> Call:
        asked = call(params={"name": "echo", "arguments": {"as": who}}, digest=self._digest, upstream="far")
        return replace(asked, principal=Principal(who), **members)

    async def run(self, asked: Call) -> Outcome:
        return await asyncio.wait_for(self.upstream(asked, Ears(asked).emit), BOUND_S)

    @property
    def calls(self) -> list[Heard]:
        return [heard for heard in self.server.heard if heard.method == "tools/call"]


@asynccontextmanager
async def world(
    speaks: Speaks,
    *,
    strangers: frozenset[str] = frozenset(),
    idle_s: float = 60.0,
    most: int = 100,
    asking: Asking = _ASKING,
    lend: Lend | None = None,
) -> AsyncGenerator[World]:
    http = HttpClient(reach=Reach.LOOPBACK, max_per_origin=CONNECTIONS)
    catalog = Catalog()

    async with http_upstream(speaks) as server:

        async def open_for(credentials: Credentials | None, noted: Noted, respondent: Respondent) -> Session:
            return await open_url(
                http,
                server.url,
                headers=(),
                client={"name": "t"},
                noted=noted,
                respondent=respondent,
                credentials=credentials,
            )

        async def open_session(noted: Noted, respondent: Respondent) -> Session:
            return await open_for(Fixed("gateway"), noted, respondent)

        own = OwnSessions(
            "far",
            open_for,
            lend or (lambda who: Fixed(who.subject, who.subject not in strangers)),
            server.url,
            start_timeout_s=BOUND_S,
            idle_s=idle_s,
            most=most,
        )
        upstream = Upstream(
            "far",
            open_session,
            catalog=catalog,
            naming=Naming("far", ""),
            starts=asyncio.Semaphore(1),
            times=Times(),
            stops_when_idle=False,
            asking=asking,
            own=own,
        )
        try:
            await asyncio.wait_for(upstream.start(), BOUND_S)
            yield World(upstream, own, catalog, server)
        finally:
            await upstream.aclose()
            await http.aclose()


def whose(heard: Heard) -> tuple[str, str]:
    """Who a request is for, as its arguments and as its credentials say."""
    return heard.params["arguments"]["as"], heard.token.partition(".")[0]


@pytest.mark.parametrize("speaks", ["handshake", "stateless"])
async def test_of_ten_thousand_interleaved_calls_of_fifty_users_none_carries_anothers_credentials(
    speaks: Speaks,
) -> None:
    many = 10_000
    chance, users = random.Random(7), [f"u{number}" for number in range(50)]
    async with world(speaks) as at:
        left = [chance.choice(users) for _ in range(many)]

        async def work() -> None:
            while left:
                who = left.pop()
                # Every fifth may be asked something, and is alone on its session then.
                offer = OFFER if chance.random() < 0.2 else {}
                outcome = await at.run(at.call(who, capabilities=offer))
                assert isinstance(outcome, Complete), outcome
                assert json.loads(outcome.result["content"][0]["text"]) == {"as": who}

        await asyncio.gather(*(work() for _ in range(32)))
        assert len(at.calls) == many
        assert all(bound == said for said, bound in map(whose, at.calls))
        # Nor does a session: each id was given to one, and used by no other.
        owners = {(heard.session, heard.token) for heard in at.server.heard if heard.session}
        assert len({session for session, _ in owners}) == len(owners)


@pytest.mark.parametrize("speaks", ["handshake", "stateless"])
async def test_lists_are_read_as_the_gateway_and_calls_are_made_as_their_caller(speaks: Speaks) -> None:
    async with world(speaks) as at:
        assert isinstance(await at.run(at.call("anna")), Complete)
        assert {heard.token for heard in at.server.heard if heard.method == "tools/list"} == {"gateway.0"}
        assert {heard.token for heard in at.calls} == {"anna.0"}


async def test_who_has_no_credentials_is_told_so_and_nothing_is_sent() -> None:
    async with world("stateless", strangers=frozenset({"eve"})) as at:
        outcome = await at.run(at.call("eve"))
        assert outcome == Failed(UPSTREAM_UNAVAILABLE, "client: eve is not known there; log in (call c1)", "no")
        assert at.calls == []


async def test_a_session_nobody_has_used_for_long_is_closed_and_one_too_many_takes_the_place_of_the_oldest() -> None:
    async with world("handshake", most=2) as at:
        for who in ("anna", "bert", "anna", "carl"):
            assert isinstance(await at.run(at.call(who)), Complete)
        await at.server.until("DELETE")
        assert {heard.token for heard in at.server.heard if heard.http == "DELETE"} == {"bert.0"}
        assert len(at.own) == 2
    async with world("handshake", idle_s=0.05) as at:
        assert isinstance(await at.run(at.call("anna")), Complete)
        await at.server.until("DELETE")
        assert len(at.own) == 0


async def test_whose_credentials_are_withdrawn_begins_anew_and_the_others_go_on() -> None:
    async with world("handshake") as at:
        for who in ("anna", "bert"):
            assert isinstance(await at.run(at.call(who)), Complete)
        at.own.forget(lambda who: who.subject == "anna")
        for who in ("anna", "bert"):
            assert isinstance(await at.run(at.call(who)), Complete)
        opened = [heard.token for heard in at.server.heard if heard.method == "initialize"]
        assert sorted(opened) == ["anna.0", "anna.0", "bert.0", "gateway.0"]


async def test_a_session_that_is_being_opened_when_its_credentials_are_withdrawn_is_used_for_nothing() -> None:
    opening, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Fixed):
        async def headers(self, method: str, url: str) -> Sequence[Header]:
            found = await super().headers(method, url)
            opening.set()
            await go_on.wait()
            return found

    lent = [Slow("before"), Fixed("after")]
    async with world("handshake", lend=lambda who: lent.pop(0)) as at:
        first = asyncio.create_task(at.run(at.call("anna")))
        await asyncio.wait_for(opening.wait(), BOUND_S)
        at.own.forget(lambda who: who.subject == "anna")
        go_on.set()
        assert isinstance(await first, Complete)
        assert isinstance(await at.run(at.call("anna")), Complete)
        assert {heard.token for heard in at.calls} == {"after.0"}


async def test_the_same_subject_with_other_scopes_is_somebody_else() -> None:
    async with world("handshake") as at:
        for groups in (frozenset[str](), frozenset({"admins"})):
            asked = replace(at.call("anna"), principal=Principal("anna", groups))
            assert isinstance(await at.run(asked), Complete)
            assert isinstance(await at.run(replace(asked, capabilities=OFFER)), Complete)
        assert len({heard.session for heard in at.calls}) == 4


async def test_a_session_that_was_opened_to_list_is_given_to_nobody() -> None:
    # The gateway's own credentials opened it, offering all that a caller could.
    async with world("handshake", asking=Asking(lists=True)) as at:
        assert [heard.token for heard in at.server.heard if heard.method == "tools/list"] == ["gateway.0"] * 2
        assert isinstance(await at.run(at.call("anna", capabilities=Asking().offer)), Complete)
        assert {heard.token for heard in at.calls} == {"anna.0"}
