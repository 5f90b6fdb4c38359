"""Logging in with an outside provider, and what one says that does not count."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from douane.auth.authority.provider import Outside, Provider
from douane.auth.claims import Mapped
from douane.auth.exchange import HttpRequest, HttpResponse

from .kit import ISSUER, RESOURCE, App, Browser, Clock, World

THEIRS = "https://id.example/realm"
KEY = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
OUTSIDE = Outside(
    name="corp",
    title="Corp",
    issuer=THEIRS,
    client_id="douane at corp",
    client_secret="s:e+cret, and long enough to sign",
    scopes=("openid", "email"),
    mapped=Mapped(groups="roles", prefix="corp:"),
)


class Corp:
    """The provider, as HTTP requests and answers."""

    def __init__(self, **changed: Any) -> None:
        self.changed, self.seen = changed, list[HttpRequest]()
        self.nonce, self.key, self.header = "", KEY, {"alg": "RS256", "kid": "k1"}
        self.token: HttpResponse | None = None

    async def fetch(self, request: HttpRequest) -> HttpResponse:
        self.seen.append(request)
        answers = {
            "/.well-known/openid-configuration/realm": self._metadata,
            "/realm/keys": lambda: {"keys": [KEY.as_dict(private=False)]},
            "/realm/token": self._tokens,
        }
        made = answers.get(urlsplit(request.url).path)
        if made is None:
            return HttpResponse(404)
        if self.token is not None and request.url.endswith("/token"):
            return self.token
        return HttpResponse(200, (), msgspec.json.encode(made()))

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": THEIRS,
            "authorization_endpoint": f"{THEIRS}/authorize?tenant=7",
            "token_endpoint": f"{THEIRS}/token",
            "jwks_uri": f"{THEIRS}/keys",
        }

    def _tokens(self) -> dict[str, Any]:
        now_s = 1_800_000_000
        claims = {
            "iss": THEIRS,
            "sub": "u-17",
            "aud": OUTSIDE.client_id,
            "nonce": self.nonce,
            "iat": now_s,
            "exp": now_s + 300,
            "roles": ["staff"],
            **self.changed,
        }
        told = {name: value for name, value in claims.items() if value is not None}
        return {"id_token": jwt.encode(self.header, told, self.key, algorithms=[self.header["alg"]])}


def world(folder: Path, corp: Corp) -> World:
    clock = Clock()
    return World(folder, providers=[Provider(OUTSIDE, corp.fetch, clock=clock, ticks=clock)])


async def there(browser: Browser, corp: Corp) -> dict[str, str]:
    """At the provider, with what it was asked."""
    await browser.get(App(browser.world).url())
    await browser.submit("/oauth/federated", provider="corp")
    location = browser.answer.header("location") or ""
    assert location.startswith(f"{THEIRS}/authorize?tenant=7&")
    asked = dict(parse_qsl(urlsplit(location).query))
    corp.nonce = asked["nonce"]
    return asked


async def back(browser: Browser, **query: str) -> HttpResponse:
    return await browser.get(f"/oauth/callback/corp?{urlencode(query)}")


async def test_who_logs_in_at_a_provider_is_who_it_says_with_groups_and_agrees_here(tmp_path: Path) -> None:
    corp = Corp()
    here = world(tmp_path, corp)
    browser, app = Browser(here), App(here)
    await browser.get(app.url())
    assert "Log in with Corp" in browser.text
    asked = await there(browser, corp)
    assert {name: asked[name] for name in ("response_type", "client_id", "scope", "code_challenge_method")} == {
        "response_type": "code",
        "client_id": OUTSIDE.client_id,
        "scope": "openid email",
        "code_challenge_method": "S256",
    }
    assert asked["redirect_uri"] == f"{ISSUER}/oauth/callback/corp"
    await back(browser, code="c1", state=asked["state"])
    assert "You are logged in as <strong>corp:u-17</strong>" in browser.text
    posted = next(request for request in corp.seen if request.url == f"{THEIRS}/token")
    redeemed = parse_qs(posted.body.decode())
    assert (redeemed["code"], redeemed["redirect_uri"]) == (["c1"], [asked["redirect_uri"]])
    assert "code_verifier" in redeemed
    secret = base64.b64decode(posted.headers["authorization"].removeprefix("Basic "))
    assert secret == b"douane+at+corp:s%3Ae%2Bcret%2C+and+long+enough+to+sign"
    landed = await browser.agree(app.url())
    _, answer = await app.redeem(landed["code"])
    claims = jwt.decode(answer["access_token"], _keys(here), algorithms=["ES256"]).claims
    assert (claims["sub"], claims["groups"], claims["aud"]) == ("corp:u-17", ["corp:staff"], RESOURCE)
    assert (await app.refresh(answer["refresh_token"]))[0] == 200
    here.clock.now_s += 31 * 86_400
    assert (await app.refresh(answer["refresh_token"]))[0] == 400


async def test_who_logs_in_at_a_provider_makes_no_passkey_for_a_user_of_ours_of_his_name(tmp_path: Path) -> None:
    corp = Corp()
    here = world(tmp_path, corp)
    browser = Browser(here)
    asked = await there(browser, corp)
    await back(browser, code="c1", state=asked["state"])
    await browser.get("/oauth/account")
    assert (browser.answer.status, "corp:u-17" in browser.text) == (200, True)
    assert 'action="/oauth/account' not in browser.text


def _keys(here: World) -> Any:
    return KeySet.import_key_set(here.keys().jwks)


@pytest.mark.parametrize(
    ("changed", "header", "key"),
    [
        ({"nonce": "another"}, None, None),
        ({"nonce": None}, None, None),
        ({"aud": "somebody else"}, None, None),
        ({"aud": None}, None, None),
        ({"aud": [OUTSIDE.client_id, "other"]}, None, None),
        ({"aud": [OUTSIDE.client_id, "other"], "azp": "other"}, None, None),
        ({"azp": "other"}, None, None),
        ({"iss": f"{THEIRS}/"}, None, None),
        ({"iss": "https://evil.example"}, None, None),
        ({"exp": 1_800_000_000 - 120}, None, None),
        ({"exp": None}, None, None),
        ({"iat": 1_800_000_000 + 3600}, None, None),
        ({"sub": None}, None, None),
        ({"sub": ""}, None, None),
        ({"sub": "a\nb"}, None, None),
        ({}, None, RSAKey.generate_key(2048)),
        ({}, {"alg": "RS256", "kid": "k2"}, None),
        ({}, {"alg": "RS256", "kid": "k1", "typ": "at+jwt"}, None),
        (
            {},
            {"alg": "HS256", "kid": "k1"},
            OctKey.import_key(OUTSIDE.client_secret or ""),
        ),
    ],
)
async def test_what_a_provider_says_counts_only_when_it_is_its_own_for_us_now_and_of_this_login(
    tmp_path: Path, changed: dict[str, Any], header: dict[str, str] | None, key: Any
) -> None:
    corp = Corp(**changed)
    corp.header, corp.key = header or corp.header, key or corp.key
    browser = Browser(world(tmp_path, corp))
    asked = await there(browser, corp)
    await back(browser, code="c1", state=asked["state"])
    assert (browser.answer.status, "cannot be believed" in browser.text) == (403, True)
    assert "You are logged in" not in browser.text


@pytest.mark.parametrize(
    "answer",
    [
        HttpResponse(400, (), b'{"error":"invalid_grant"}'),
        HttpResponse(200, (), b"not JSON"),
        HttpResponse(200, (), b"{}"),
        HttpResponse(302, [("location", "https://evil.example/")], b"{}"),
    ],
)
async def test_a_provider_that_gives_nothing_lets_nobody_in(tmp_path: Path, answer: HttpResponse) -> None:
    corp = Corp()
    browser = Browser(world(tmp_path, corp))
    asked = await there(browser, corp)
    corp.token = answer
    await back(browser, code="c1", state=asked["state"])
    assert (browser.answer.status, "You are logged in" in browser.text) == (403, False)


async def test_a_login_counts_once_in_the_browser_that_began_it_at_its_own_provider(tmp_path: Path) -> None:
    corp = Corp()
    here = world(tmp_path, corp)
    thief, victim = Browser(here), Browser(here)
    await victim.get(App(here).url())
    asked = await there(thief, corp)
    # A code of the thief, led into the victim's browser: it would log the victim in as the thief.
    await back(victim, code="c1", state=asked["state"])
    assert victim.answer.status == 400
    for query in (
        {"code": "c1"},
        {"code": "c1", "state": "guessed"},
        {"code": "c1", "state": asked["state"]},
    ):
        await back(thief, **query)
        assert thief.answer.status == 400
    for query in ({"error": "access_denied"}, {"code": "c1", "iss": "https://evil.example"}, {}):
        asked = await there(thief, corp)
        await back(thief, state=asked["state"], **query)
        assert (thief.answer.status, "You are logged in" in thief.text) == (403, False)
    asked = await there(thief, corp)
    here.clock.now_s += 601
    await back(thief, code="c1", state=asked["state"])
    assert thief.answer.status == 400


async def test_a_provider_that_cannot_be_reached_leaves_the_page_as_it_was(tmp_path: Path) -> None:
    corp = Corp()

    async def nobody(request: HttpRequest) -> HttpResponse:
        raise ConnectionError("refused")

    corp.fetch = nobody  # pyright: ignore[reportAttributeAccessIssue]
    browser = Browser(world(tmp_path, corp))
    await browser.get(App(browser.world).url())
    await browser.submit("/oauth/federated", provider="corp")
    assert (browser.answer.status, "Corp cannot be asked" in browser.text) == (502, True)
    await browser.submit("/oauth/federated", provider="nobody")
    assert browser.answer.status == 400
    await browser.log_in()
    assert "You are logged in as <strong>owner</strong>" in browser.text
