"""From an authorization request to tokens, and on: what a client gets, and what it gets only once."""

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from douane.auth.authority.keys import KeyFile, KeysUnusable, rotate, signing_keys
from douane.auth.authority.leaving import end_all
from douane.auth.exchange import HttpRequest

from .kit import ISSUER, OWNER_TOKEN, PASSWORD, RESOURCE, App, Browser, Clock, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def read(world: World, token: str) -> Any:
    return jwt.decode(token, KeySet.import_key_set(world.keys().jwks), algorithms=["ES256"])


async def tokens(world: World) -> tuple[App, dict[str, Any]]:
    app = App(world)
    landed = await Browser(world).agree(app.url())
    status, answer = await app.redeem(landed["code"])
    assert status == 200, answer
    return app, answer


async def test_a_person_logs_in_agrees_and_the_client_gets_a_token_for_this_gateway(world: World) -> None:
    await world.users.put("ann", PASSWORD, groups=("desk",), tenant="acme")
    app, browser = App(world), Browser(world)
    landed = await browser.agree(app.url(scope="mcp:call"), "ann", PASSWORD)
    assert {name: landed[name] for name in ("state", "iss")} == {"state": "xyz", "iss": ISSUER}
    status, answer = await app.redeem(landed["code"])
    assert status == 200
    assert {name: answer[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "mcp:call",
    }
    token = read(world, answer["access_token"])
    assert token.header == {"typ": "at+jwt", "alg": "ES256", "kid": world.keys().kid}
    assert {name: value for name, value in token.claims.items() if name != "jti"} == {
        "iss": ISSUER,
        "sub": "ann",
        "aud": RESOURCE,
        "client_id": "app",
        "scope": "mcp:call",
        "iat": int(world.clock.now_s),
        "exp": int(world.clock.now_s) + 600,
        "groups": ["desk"],
        "tenant": "acme",
    }


async def test_a_code_is_good_once_and_shown_again_ends_what_came_of_it(world: World) -> None:
    app = App(world)
    landed = await Browser(world).agree(app.url())
    _, answer = await app.redeem(landed["code"])
    status, again = await app.redeem(landed["code"])
    assert (status, again.get("error")) == (400, "invalid_grant")
    assert "used before" in again.get("error_description", "")
    status, refused = await app.refresh(answer["refresh_token"])
    assert (status, refused.get("error")) == (400, "invalid_grant")
    assert await world.authority.grants.all() == []


async def test_of_many_that_come_with_one_code_none_keeps_what_it_got(world: World) -> None:
    app = App(world)
    landed = await Browser(world).agree(app.url())
    answers = await asyncio.gather(*(app.redeem(landed["code"]) for _ in range(20)))
    assert sum(status == 200 for status, _ in answers) <= 1
    assert await world.authority.grants.all() == []


async def test_a_refresh_token_is_exchanged_once_and_seen_again_ends_its_family(world: World) -> None:
    app, first = await tokens(world)
    status, second = await app.refresh(first["refresh_token"])
    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]
    status, again = await app.refresh(first["refresh_token"])
    assert (status, again.get("error")) == (400, "invalid_grant")
    status, ended = await app.refresh(second["refresh_token"])
    assert (status, ended.get("error")) == (400, "invalid_grant")
    assert world.refusals[-2:] == [
        "this refresh token was used before, so its whole family has ended",
        "what was given has ended, or was revoked",
    ]


async def test_a_refresh_asks_for_less_and_never_for_more(world: World) -> None:
    app = App(world)
    landed = await Browser(world).agree(app.url(scope="mcp:read mcp:call"))
    _, answer = await app.redeem(landed["code"])
    status, less = await app.refresh(answer["refresh_token"], scope="mcp:read")
    assert (status, less["scope"]) == (200, "mcp:read")
    status, all_again = await app.refresh(less["refresh_token"])
    assert (status, all_again["scope"]) == (200, "mcp:read mcp:call")
    landed = await Browser(world).agree(app.url(scope="mcp:read"))
    _, answer = await app.redeem(landed["code"])
    status, more = await app.refresh(answer["refresh_token"], scope="mcp:call")
    assert (status, more.get("error")) == (400, "invalid_scope")
    # What was only asked wrongly is not spent.
    assert (await app.refresh(answer["refresh_token"]))[0] == 200


@pytest.mark.parametrize(("days", "good"), [(29, True), (31, False)])
async def test_what_was_given_ends_when_it_is_not_used(world: World, days: int, good: bool) -> None:
    app, answer = await tokens(world)
    world.clock.now_s += days * 86_400
    assert (await app.refresh(answer["refresh_token"]))[0] == (200 if good else 400)


async def test_what_was_given_ends_however_often_it_is_used(world: World) -> None:
    app, answer = await tokens(world)
    for _ in range(8):
        world.clock.now_s += 20 * 86_400
        status, answer = await app.refresh(answer["refresh_token"])
        assert status == 200
    world.clock.now_s += 21 * 86_400
    assert (await app.refresh(answer["refresh_token"]))[0] == 400


async def test_after_the_keys_were_changed_old_tokens_are_still_verified_and_new_ones_signed_anew(world: World) -> None:
    _, answer = await tokens(world)
    before = world.keys().kid
    rotate(world.key_file)
    assert read(world, answer["access_token"]).header["kid"] == before
    _, new = await tokens(world)
    assert read(world, new["access_token"]).header["kid"] == world.keys().kid != before
    rotate(world.key_file)
    assert [key["kid"] for key in world.keys().jwks["keys"]].count(before) == 0
    assert len(world.keys().jwks["keys"]) == 2
    assert world.key_file.stat().st_mode & 0o077 == 0


async def test_revoking_a_token_ends_all_that_came_of_the_same_consent(world: World) -> None:
    for kind in ("refresh_token", "access_token"):
        app, answer = await tokens(world)
        revoked = await world.post("/oauth/revoke", ("token", answer[kind]), ("client_id", "app"))
        assert revoked.status == 200
        assert (await app.refresh(answer["refresh_token"]))[0] == 400
    unknown = await world.post("/oauth/revoke", ("token", "nothing"), ("client_id", "app"))
    assert unknown.status == 200


async def test_the_owner_logs_in_with_the_token_of_the_first_start(world: World) -> None:
    browser = Browser(world)
    await browser.get(App(world).url())
    assert "/home/ann/token" in browser.text
    await browser.log_in("owner", OWNER_TOKEN)
    assert "You are logged in as <strong>owner</strong>" in browser.text


async def test_the_description_is_at_both_addresses_that_clients_look_at(world: World) -> None:
    found = [
        msgspec.json.decode((await world.send(HttpRequest("GET", f"/.well-known/{name}"))).body)
        for name in ("oauth-authorization-server", "openid-configuration")
    ]
    assert found[0] == found[1]
    told = found[0]
    assert told["issuer"] == ISSUER
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["authorization_response_iss_parameter_supported"] is True


async def test_who_is_removed_is_logged_out_everywhere_and_what_he_gave_has_ended(world: World) -> None:
    await world.users.put("ann", PASSWORD)
    app, browser = App(world), Browser(world)
    landed = await browser.agree(app.url(), "ann", PASSWORD)
    _, answer = await app.redeem(landed["code"])
    _, owner_s = await tokens(world)
    await world.users.remove("ann")
    assert await end_all(world.records, "ann") == 1
    assert (await app.refresh(answer["refresh_token"]))[0] == 400
    await browser.get(app.url())
    assert "/oauth/login" in browser.text
    assert (await app.refresh(owner_s["refresh_token"]))[0] == 200


async def test_a_new_key_signs_every_three_months_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    clock = Clock()
    clock.now_s = time.time()
    keys = KeyFile(tmp_path / "keys" / "signing.json", clock)
    first = keys().kid
    assert keys().kid == first
    clock.now_s += 91 * 86_400
    second = keys()
    assert [key["kid"] for key in second.jwks["keys"]] == [second.kid, first]
    rotate(tmp_path / "keys" / "signing.json")
    assert keys().kid not in (first, second.kid)


@pytest.mark.parametrize("content", ["", "[]", "{}", "[{}]", '[{"kty":"oct","k":"AAAA"}]', "not JSON"])
async def test_a_file_that_holds_no_keys_of_ours_stops_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "signing.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeysUnusable, match="holds no usable keys"):
        signing_keys(path)
    signing_keys(tmp_path / "new.json")
    (tmp_path / "new.json").chmod(0o644)
    with pytest.raises(KeysUnusable, match="others can read"):
        signing_keys(tmp_path / "new.json")
