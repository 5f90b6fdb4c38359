"""The vault: nothing in clear on the disk, nothing opens under another's name, and one refresh for everybody."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from douane.auth.discovery import AuthorizationServer
from douane.auth.grants import Allowed, GrantGone, Holding, Owner, Vault
from douane.auth.login import Login
from douane.auth.oauth_client import OAuthClient
from douane.auth.seal import Seal
from douane.auth.token_request import Tokens
from douane.stores.ports import NEW, Records
from douane.stores.records import SqliteRecords

BOUND_S = 15.0
ANNA = Holding(Owner("acme", "anna@acme.example"), "crm", "https://login.crm.example")
BERT = Holding(Owner("acme", "bert@acme.example"), "crm", "https://login.crm.example")
INDEX = os.urandom(32)
RING = [os.urandom(32)]


class Clock:
    def __init__(self) -> None:
        self.s = 1_000_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def records(tmp_path: Path, clock: Clock) -> AsyncIterator[Records]:
    made = SqliteRecords(tmp_path / "records.db", clock)
    yield made
    await made.aclose()


@pytest.fixture
def vault(records: Records, clock: Clock) -> Vault:
    return Vault(records, Seal(RING), INDEX, clock)


SERVER = AuthorizationServer(issuer=ANNA.issuer, token_endpoint=ANNA.issuer + "/token")


def grant(token: str = "at-1", refresh: str | None = "rt-1") -> Login:
    tokens = Tokens(access=token, refresh=refresh, expires_s=1_000_600.0, scopes=("read",))
    return Login(resource="https://crm.example/mcp", server=SERVER, client=OAuthClient(id="us"), tokens=tokens)


async def test_a_grant_comes_back_to_whom_it_belongs_and_to_nobody_else(vault: Vault) -> None:
    await vault.put(ANNA, grant())
    held = await vault.get(ANNA)
    assert held is not None
    assert held.login == grant()
    others = (
        BERT,
        Holding(Owner("other", ANNA.owner.subject), ANNA.upstream, ANNA.issuer),
        Holding(ANNA.owner, "wiki", ANNA.issuer),
        Holding(ANNA.owner, ANNA.upstream, ANNA.issuer + "/"),
    )
    assert [await vault.get(other) for other in others] == [None] * 4


async def test_one_owner_has_what_he_granted_at_an_upstream_of_whichever_issuer(vault: Vault) -> None:
    moved = Holding(ANNA.owner, ANNA.upstream, "https://new.crm.example")
    for holding in (ANNA, moved, BERT, Holding(ANNA.owner, "crm2", ANNA.issuer)):
        await vault.put(holding, grant())
    assert {held.holding for held in await vault.of(ANNA.owner, "crm")} == {ANNA, moved}


async def test_one_client_of_a_user_is_allowed_and_the_next_is_not(vault: Vault) -> None:
    await vault.allow(ANNA.owner, "crm", "desk")
    await vault.allow(ANNA.owner, "crm", "desk")
    asked = [(ANNA.owner, "crm", "desk"), (ANNA.owner, "crm", "other"), (ANNA.owner, "wiki", "desk")]
    assert [await vault.allows(*one) for one in (*asked, (BERT.owner, "crm", "desk"))] == [True, False, False, False]


async def test_nothing_of_a_grant_and_nobodys_name_stands_on_the_disk(vault: Vault, tmp_path: Path) -> None:
    await vault.put(ANNA, grant("secret-access-token", "secret-refresh-token"))
    await vault.put(ANNA, grant("second-access-token", "second-refresh-token"))
    await vault.drop(ANNA)
    await vault.put(ANNA, grant("secret-access-token", "secret-refresh-token"))
    written = _bytes_in(tmp_path)
    for word in (b"access-token", b"refresh-token", b"anna", b"acme", b"login.crm.example"):
        assert word not in written


def _bytes_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_a_row_that_was_moved_to_another_principal_opens_nothing(vault: Vault, records: Records) -> None:
    await vault.put(ANNA, grant("annas"))
    await vault.put(BERT, grant("berts"))
    rows = {record.key: record for record in await records.find("grant")}
    first, second = rows.values()
    await records.put("grant", first.key, second.value, version=first.version)
    await records.put("grant", second.key, first.value, version=second.version)
    assert (await vault.get(ANNA), await vault.get(BERT)) == (None, None)
    assert [held async for held in vault.all()] == []


async def test_a_row_that_was_changed_or_is_of_a_lost_key_is_not_there_and_can_be_granted_anew(
    vault: Vault, records: Records, clock: Clock
) -> None:
    await vault.put(ANNA, grant())
    stranger = Vault(records, Seal([os.urandom(32)]), INDEX, clock)
    assert await stranger.get(ANNA) is None
    await stranger.put(ANNA, grant("at-2"))
    held = await stranger.get(ANNA)
    assert held is not None
    assert held.login.tokens.access == "at-2"


async def test_a_grant_without_a_refresh_token_is_gone_when_it_has_expired(vault: Vault, clock: Clock) -> None:
    await vault.put(ANNA, grant(refresh=None))
    clock.s = 1_000_600.0
    assert await vault.get(ANNA) is None


async def test_what_an_older_key_has_sealed_is_sealed_anew_and_needs_it_no_more(
    vault: Vault, records: Records, clock: Clock
) -> None:
    await vault.put(ANNA, grant())
    await vault.put(BERT, grant())
    new = os.urandom(32)
    both = Vault(records, Seal([new, *RING]), INDEX, clock)
    assert await both.get(ANNA) is not None
    await both.put(BERT, grant("at-2"))
    assert await both.reseal() == 1
    assert await both.reseal() == 0
    only_new = Vault(records, Seal([new]), INDEX, clock)
    found = [held async for held in only_new.all()]
    assert {(held.holding.owner.subject, held.login.tokens.access) for held in found} == {
        (ANNA.owner.subject, "at-1"),
        (BERT.owner.subject, "at-2"),
    }


async def test_what_a_client_is_allowed_is_sealed_anew_as_well_and_can_still_be_told(
    vault: Vault, records: Records, clock: Clock
) -> None:
    await vault.allow(ANNA.owner, "crm", "editor")
    new = os.urandom(32)
    both = Vault(records, Seal([new, *RING]), INDEX, clock)
    assert (await both.reseal(), await both.reseal()) == (1, 0)
    only_new = Vault(records, Seal([new]), INDEX, clock)
    assert [one async for one in only_new.all_allowed()] == [Allowed(ANNA.owner, "crm", "editor")]


@pytest.mark.parametrize("kind", ["grant", "consent"])
@pytest.mark.parametrize("value", [b"", b"a", b"\xff\xfe"])
async def test_a_row_that_is_nothing_we_wrote_does_not_keep_the_others_from_being_sealed_anew(
    vault: Vault, records: Records, clock: Clock, kind: str, value: bytes
) -> None:
    await records.put(kind, "crm/0/0", value, version=NEW)
    await vault.put(ANNA, grant())
    await vault.allow(ANNA.owner, "crm", "editor")
    assert await Vault(records, Seal([os.urandom(32), *RING]), INDEX, clock).reseal() == 2


# --- refreshing ---------------------------------------------------------------------------------------------------


class Issuer:
    """Refreshes, and takes no refresh token twice."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.asks = asyncio.Event()
        self.answers = asyncio.Event()

    async def __call__(self, held: Login) -> Login:
        self.asked.append(held.tokens.refresh or "")
        self.asks.set()
        await self.answers.wait()
        return grant(f"at-{len(self.asked) + 1}", f"rt-{len(self.asked) + 1}")


async def test_fifty_who_want_a_grant_refreshed_cause_one_refresh(vault: Vault) -> None:
    await vault.put(ANNA, grant())
    issuer = Issuer()
    waiting = [asyncio.create_task(vault.renewed(ANNA, "at-1", issuer)) for _ in range(50)]
    await asyncio.wait_for(issuer.asks.wait(), BOUND_S)
    issuer.answers.set()
    got = await asyncio.wait_for(asyncio.gather(*waiting), BOUND_S)
    assert {one.tokens.access for one in got if one is not None} == {"at-2"}
    assert issuer.asked == ["rt-1"]
    # Who still has the old one is told the new one, without another refresh.
    late = await vault.renewed(ANNA, "at-1", issuer)
    assert late is not None
    assert late.tokens.access == "at-2"
    assert issuer.asked == ["rt-1"]


async def test_of_two_processes_that_refresh_at_once_one_does_and_the_other_reads(
    vault: Vault, clock: Clock, tmp_path: Path
) -> None:
    await vault.put(ANNA, grant())
    issuer, looked = Issuer(), asyncio.Event()

    async def pause(_: float) -> None:
        looked.set()
        issuer.answers.set()
        await asyncio.sleep(0)

    elsewhere = SqliteRecords(tmp_path / "records.db", clock)
    other = Vault(elsewhere, Seal(RING), INDEX, clock, pause=pause)
    try:
        here = asyncio.create_task(vault.renewed(ANNA, "at-1", issuer))
        await asyncio.wait_for(issuer.asks.wait(), BOUND_S)
        there = asyncio.create_task(other.renewed(ANNA, "at-1", issuer))
        got = await asyncio.wait_for(asyncio.gather(here, there), BOUND_S)
    finally:
        await elsewhere.aclose()
    assert looked.is_set()
    assert [one.tokens.access for one in got if one is not None] == ["at-2", "at-2"]
    assert issuer.asked == ["rt-1"]


async def test_who_was_killed_while_refreshing_holds_nobody_up_for_ever(
    vault: Vault, records: Records, clock: Clock
) -> None:
    await vault.put(ANNA, grant())
    killed = Issuer()
    dying = asyncio.create_task(vault.renewed(ANNA, "at-1", killed))
    await asyncio.wait_for(killed.asks.wait(), BOUND_S)

    async def pause(_: float) -> None:
        clock.s += 60.0

    other = Vault(records, Seal(RING), INDEX, clock, pause=pause)
    issuer = Issuer()
    issuer.answers.set()
    got = await asyncio.wait_for(other.renewed(ANNA, "at-1", issuer), BOUND_S)
    assert got is not None
    # It was only slow: what is there by then stays.
    killed.answers.set()
    assert await asyncio.wait_for(dying, BOUND_S) == got


async def test_a_grant_that_its_issuer_takes_no_more_is_dropped_and_told(vault: Vault) -> None:
    await vault.put(ANNA, grant())
    told: list[tuple[Holding, bool]] = []
    vault.changed.append(lambda holding, there: told.append((holding, there)))

    async def gone(_: Login) -> Login:
        raise GrantGone

    assert await vault.renewed(ANNA, "at-1", gone) is None
    assert await vault.get(ANNA) is None
    assert told == [(ANNA, False)]


async def test_an_issuer_that_is_down_leaves_the_grant_and_the_next_may_try_at_once(vault: Vault) -> None:
    await vault.put(ANNA, grant())

    async def down(_: Login) -> Login:
        raise OSError("refused")

    with pytest.raises(OSError, match="refused"):
        await vault.renewed(ANNA, "at-1", down)
    issuer = Issuer()
    issuer.answers.set()
    got = await asyncio.wait_for(vault.renewed(ANNA, "at-1", issuer), BOUND_S)
    assert got is not None
    assert got.tokens.access == "at-2"


async def test_a_grant_revoked_while_it_is_refreshed_stays_revoked(vault: Vault) -> None:
    await vault.put(ANNA, grant())
    issuer = Issuer()
    renewing = asyncio.create_task(vault.renewed(ANNA, "at-1", issuer))
    await asyncio.wait_for(issuer.asks.wait(), BOUND_S)
    assert await vault.drop(ANNA)
    issuer.answers.set()
    assert await asyncio.wait_for(renewing, BOUND_S) is None
    assert await vault.get(ANNA) is None


async def test_a_client_that_is_allowed_no_more_is_asked_about_again_and_all_can_be_told(vault: Vault) -> None:
    await vault.allow(ANNA.owner, "crm", "desk")
    await vault.allow(BERT.owner, "crm", "")
    told = {(allowed.owner, allowed.client) async for allowed in vault.all_allowed()}
    assert told == {(ANNA.owner, "desk"), (BERT.owner, "")}
    assert await vault.disallow(ANNA.owner, "crm", "desk")
    assert not await vault.disallow(ANNA.owner, "crm", "desk")
    assert not await vault.allows(ANNA.owner, "crm", "desk")
