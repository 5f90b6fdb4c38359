"""What is asked wrongly, or by the wrong one: the right answer, nobody sent where he should not be, and written down."""

import base64
import re
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest

from douane.auth.authority.client import Client
from douane.auth.authority.stored import digest
from douane.auth.authority.users import Users
from douane.auth.exchange import HttpRequest

from .kit import CALLBACK, CONFIGURED, FORM, ISSUER, OWNER_TOKEN, App, Browser, World

LOOPBACK = Client(id="cli", name="A CLI", redirect_uris=("http://127.0.0.1:1234/cb",), known="configured")
SECRET = Client(
    id="web",
    name="Web",
    redirect_uris=(CALLBACK,),
    known="configured",
    authenticates="client_secret_basic",
    secret_digest=digest("s" * 32),
)
OTHER = Client(id="other", name="Other", redirect_uris=(CALLBACK,), known="configured")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, CONFIGURED, LOOPBACK, SECRET, OTHER)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://app.example/callback/more",
        "https://app.example/callbac",
        "https://app.example/callback?x=1",
        "https://app.example/callback#x",
        "https://app.example/callback/",
        "https://app.example/other/../callback",
        "https://app.example/%63allback",
        "https://APP.example/callback",
        "HTTPS://app.example/callback",
        "https://app.example:443/callback",
        "https://app.example:8443/callback",
        "http://app.example/callback",
        "https://app.example@evil.example/callback",
        "https://evil.example/https://app.example/callback",
        "https://app.example.evil.example/callback",
        "https://app.example\\@evil.example/callback",
        "https://app.example /callback",
        "//app.example/callback",
        "/callback",
        "javascript:alert(1)//https://app.example/callback",
        "https://app.example/callback\r\nx: y",
        None,
    ],
)
async def test_a_browser_is_sent_nowhere_but_to_what_the_client_registered(
    world: World, redirect_uri: str | None
) -> None:
    browser = Browser(world)
    answer = await browser.get(App(world).url(redirect_uri=redirect_uri))
    assert (answer.status, answer.header("location")) == (400, None)
    assert "redirect_uri" in browser.text
    assert world.refusals


@pytest.mark.parametrize(
    ("redirect_uri", "good"),
    [
        ("http://127.0.0.1:1234/cb", True),
        ("http://127.0.0.1:50000/cb", True),
        ("http://127.0.0.1/cb", True),
        ("http://127.0.0.1:70000/cb", False),
        ("http://127.0.0.1:50000/cb2", False),
        ("http://127.0.0.1:50000/cb?x", False),
        ("http://localhost:50000/cb", False),
        ("http://127.0.0.2:50000/cb", False),
        ("http://127.0.0.1.evil.example:50000/cb", False),
        ("http://127.0.0.1:50000@evil.example/cb", False),
        ("http://127.1:50000/cb", False),
        ("https://127.0.0.1:50000/cb", False),
    ],
)
async def test_of_a_loopback_address_the_port_is_free_and_nothing_else(
    world: World, redirect_uri: str, good: bool
) -> None:
    answer = await Browser(world).get(App(world, "cli", redirect_uri).url())
    assert answer.status == (200 if good else 400)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"scope": "mcp:read admin"}, "invalid_scope"),
        ({"resource": "https://gate.example"}, "invalid_target"),
        ({"resource": "https://gate.example/mcp/"}, "invalid_target"),
        ({"resource": "https://GATE.example/mcp"}, "invalid_target"),
        ({"resource": "https://other.example/mcp"}, "invalid_target"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://evil.example"}, "request_uri_not_supported"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
    ],
)
async def test_a_client_that_asks_wrongly_is_told_with_its_state_and_our_issuer(
    world: World, changed: dict[str, str | None], error: str
) -> None:
    browser = Browser(world)
    await browser.get(App(world).url(**changed))
    assert (browser.landed.get("error"), browser.landed.get("state"), browser.landed.get("iss")) == (
        error,
        "xyz",
        ISSUER,
    )
    assert "code" not in browser.landed
    assert (browser.answer.header("location") or "").startswith(f"{CALLBACK}?")


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "code_challenge", "resource", "scope"])
async def test_a_parameter_that_comes_twice_is_answered_here(world: World, name: str) -> None:
    url = App(world).url(scope="mcp:read")
    value = parse_qs(urlsplit(url).query)[name][0]
    for second in (value, "", "https://evil.example/"):
        answer = await Browser(world).get(f"{url}&{urlencode({name: second})}")
        assert (answer.status, answer.header("location")) == (400, None)


@pytest.mark.parametrize(
    "client_id",
    ["nobody", "", "APP", "app ", "../app", "http://app.example/client.json", "https://app.example/client.json"],
)
async def test_before_a_client_is_known_nobody_is_sent_anywhere(world: World, client_id: str) -> None:
    answer = await Browser(world).get(App(world, client_id).url())
    assert (answer.status, answer.header("location")) == (400, None)


async def test_what_others_wrote_is_shown_and_does_nothing(world: World) -> None:
    name = "<script>alert(1)</script>\u202egnp\n" + "x" * 200
    registered = msgspec.json.decode((await world.register(client_name=name)).body)
    browser = Browser(world)
    await browser.get(App(world, registered["client_id"]).url(state='"><img src=x>'))
    await browser.log_in()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;gnp" in browser.text
    assert "<script" not in browser.text
    assert "\u202e" not in browser.text
    assert "<img" not in browser.text


# --- the token endpoint ---


def basic(id_: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{id_}:{secret}".encode()).decode()


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"code_verifier": "x" * 43}, 400, "invalid_grant"),
        ({"code_verifier": None}, 400, "invalid_request"),
        ({"code_verifier": "short"}, 400, "invalid_request"),
        ({"redirect_uri": "https://app.example/callback2"}, 400, "invalid_grant"),
        ({"code": None}, 400, "invalid_request"),
        ({"code": "guessed"}, 400, "invalid_grant"),
        ({"resource": "https://gate.example/mcp/desk"}, 400, "invalid_target"),
        ({"client_id": "other"}, 400, "invalid_grant"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"client_id": "web"}, 401, "invalid_client"),
        ({"client_id": "web", "client_secret": "s" * 32}, 401, "invalid_client"),
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"grant_type": None}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"client_assertion": "x"}, 401, "invalid_client"),
        (
            {
                "client_assertion": "e30.e30.e30",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            },
            401,
            "invalid_client",
        ),
    ],
)
async def test_a_code_is_only_for_who_asked_for_it_and_a_wrong_try_does_not_spend_it(
    world: World, changed: dict[str, str | None], status: int, error: str
) -> None:
    app = App(world)
    landed = await Browser(world).agree(app.url())
    answer = await app.redeem(landed["code"], **changed)
    assert (answer[0], answer[1].get("error")) == (status, error)
    assert (await app.redeem(landed["code"]))[0] == 200


async def test_a_code_expires_and_its_request_too(world: World) -> None:
    app = App(world)
    landed = await Browser(world).agree(app.url())
    world.clock.now_s += 61
    status, answer = await app.redeem(landed["code"])
    assert (status, answer.get("error")) == (400, "invalid_grant")
    world.clock.now_s += 3600
    assert (await app.redeem(landed["code"]))[0] == 400


@pytest.mark.parametrize(
    ("body", "type_"),
    [
        (b"grant_type=authorization_code&code=a&code=b", FORM["content-type"]),
        (b'{"grant_type": "authorization_code"}', "application/json"),
        (b"grant_type=%ff", FORM["content-type"]),
        (b"grant_type=\xff", FORM["content-type"]),
        (b"a=%00", FORM["content-type"]),
        (b"&".join(b"a%d=1" % n for n in range(100)), FORM["content-type"]),
        (b"a=" + b"x" * 20_000, FORM["content-type"]),
    ],
)
async def test_a_body_that_can_be_read_in_two_ways_is_refused(world: World, body: bytes, type_: str) -> None:
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/device_authorization"):
        answer = await world.send(HttpRequest("POST", path, {"content-type": type_}, body))
        assert (answer.status, msgspec.json.decode(answer.body).get("error")) == (400, "invalid_request")


async def test_a_refresh_token_is_only_for_the_client_it_was_given_to(world: World) -> None:
    app = App(world)
    landed = await Browser(world).agree(app.url())
    _, answer = await app.redeem(landed["code"])
    status, refused = await App(world, "other").refresh(answer["refresh_token"])
    assert (status, refused.get("error")) == (400, "invalid_grant")
    for broken in ("x", answer["refresh_token"][:-2], answer["refresh_token"] + "A", answer["access_token"]):
        assert (await app.refresh(broken))[0] == 400
    assert (await app.refresh(answer["refresh_token"]))[0] == 200


async def test_a_client_with_a_secret_must_show_it_in_the_way_it_registered(world: World) -> None:
    app = App(world, "web")
    landed = await Browser(world).agree(app.url())

    async def redeem(header: str, **changed: str | None) -> int:
        form = {
            "grant_type": "authorization_code",
            "code": landed["code"],
            "code_verifier": app.verifier,
            "redirect_uri": app.redirect_uri,
            **changed,
        }
        return (await app.token(form, authorization=header))[0]

    right = basic("web", "s" * 32)
    assert await redeem(basic("web", "wrong")) == 401
    assert await redeem("Basic !!!") == 401
    assert await redeem("Bearer x") == 401
    assert await redeem(right, client_id="app") == 401
    assert await redeem(right, client_secret="s" * 32) == 401
    assert await redeem(right) == 200


async def test_only_a_configured_client_with_a_secret_is_told_about_tokens(world: World) -> None:
    app = App(world)
    landed = await Browser(world).agree(app.url())
    _, answer = await app.redeem(landed["code"])
    refused = await world.post("/oauth/introspect", ("token", answer["access_token"]), ("client_id", "app"))
    assert refused.status == 403

    async def about(token: str) -> dict[str, object]:
        return msgspec.json.decode(
            (await world.post("/oauth/introspect", ("token", token), authorization=basic("web", "s" * 32))).body
        )

    told = await about(answer["access_token"])
    assert (told["active"], told["sub"], told["client_id"], told["scope"]) == (True, "owner", "app", "mcp:read")
    assert (await about(answer["refresh_token"]))["active"] is True
    assert await about("nothing") == {"active": False}
    world.clock.now_s += 601
    assert await about(answer["access_token"]) == {"active": False}
    await app.redeem(landed["code"])
    assert await about(answer["refresh_token"]) == {"active": False}


async def test_a_refresh_token_that_was_exchanged_is_not_active_any_more(world: World) -> None:
    app = App(world)
    landed = await Browser(world).agree(app.url())
    _, first = await app.redeem(landed["code"])
    _, second = await app.refresh(first["refresh_token"])
    active: list[bool] = []
    for token in (first["refresh_token"], second["refresh_token"]):
        told = await world.post("/oauth/introspect", ("token", token), authorization=basic("web", "s" * 32))
        active.append(msgspec.json.decode(told.body)["active"])
    assert active == [False, True]


@pytest.mark.parametrize("prompt", ["consent", "login consent"])
async def test_a_client_that_wants_consent_gets_it_asked_for_after_a_login_too(world: World, prompt: str) -> None:
    await Browser(world).agree(App(world).url())
    browser = Browser(world)
    await browser.get(App(world).url(prompt=prompt))
    await browser.log_in()
    assert (browser.answer.status, 'action="/oauth/consent"' in browser.text) == (200, True)


@pytest.mark.parametrize(
    ("path", "method"),
    [("/oauth/authorize", "POST"), ("/oauth/token", "GET"), ("/oauth/consent", "GET"), ("/oauth/login", "GET")],
)
async def test_a_page_is_asked_in_one_way(world: World, path: str, method: str) -> None:
    answer = await world.send(HttpRequest(method, path))
    assert answer.status == 405
    assert answer.header("allow") is not None


# --- the browser ---


async def test_a_form_counts_once_in_the_browser_it_was_shown_in_and_not_for_long(world: World) -> None:
    victim, thief = Browser(world), Browser(world)
    await victim.get(App(world).url())
    await victim.log_in()
    page = victim.text
    await thief.get(App(world).url())
    await thief.log_in()
    # The thief's form, sent by the victim's browser: a page of somebody else can do that, if anything.
    await victim.submit_of(thief.text, "/oauth/consent", decision="allow")
    assert (victim.answer.status, "another browser" in victim.text) == (400, True)
    await victim.submit_of(page, "/oauth/consent", decision="allow")
    assert victim.answer.status == 303
    await victim.submit_of(page, "/oauth/consent", decision="allow")
    assert (victim.answer.status, "sent before" in victim.text) == (400, True)
    await victim.get(App(world).url(prompt="consent"))
    world.clock.now_s += 601
    await victim.submit("/oauth/consent", decision="allow")
    assert (victim.answer.status, "too long" in victim.text) == (400, True)


async def test_a_form_for_one_thing_is_none_for_another_and_none_can_be_made_up(world: World) -> None:
    browser = Browser(world)
    await browser.get(App(world).url())
    await browser.log_in()
    for form in ("", "x", "A" * 300):
        await browser.post("/oauth/consent", {"form": form, "decision": "allow"})
        assert browser.answer.status == 400
    await browser.get(App(world).url())
    hidden = browser.hidden(browser.text, "/oauth/logout")["form"]
    await browser.post("/oauth/consent", {"form": hidden, "decision": "allow"})
    assert (browser.answer.status, "not made here" in browser.text) == (400, True)


async def test_who_logs_in_gets_another_cookie_and_who_logs_out_loses_it(world: World) -> None:
    browser = Browser(world)
    await browser.get(App(world).url())
    before = dict(browser.cookies)
    await browser.log_in()
    assert browser.cookies != before
    assert list(browser.cookies) == ["__Host-douane"]
    stolen = Browser(world)
    stolen.cookies = before
    await stolen.get(App(world).url())
    assert "/oauth/login" in stolen.text
    kept = dict(browser.cookies)
    await browser.submit("/oauth/logout")
    assert "/oauth/login" in browser.text
    stolen.cookies = kept
    await stolen.get(App(world).url())
    assert "/oauth/login" in stolen.text


async def test_two_cookies_of_our_name_are_none(world: World) -> None:
    browser = Browser(world)
    await browser.get(App(world).url())
    await browser.log_in()
    cookie = browser.cookies["__Host-douane"]
    request = HttpRequest("GET", App(world).url(), {"cookie": f"__Host-douane={cookie}; __Host-douane=mine"})
    assert b"/oauth/login" in (await world.send(request)).body


async def test_a_session_ends_after_a_working_day(world: World) -> None:
    browser = Browser(world)
    await browser.get(App(world).url())
    await browser.log_in()
    world.clock.now_s += 8 * 3600 + 1
    await browser.get(App(world).url())
    assert "/oauth/login" in browser.text


async def test_pages_cannot_be_framed_nor_made_to_load_or_run_anything(world: World) -> None:
    browser = Browser(world)
    for step in (browser.get(App(world).url()), browser.get("/oauth/authorize")):
        answer = await step
        policy = answer.header("content-security-policy") or ""
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert (answer.header("x-frame-options"), answer.header("cache-control")) == ("DENY", "no-store")
        # The page to log in has the one of passkeys, which is named by its digest.
        assert re.sub(r"script-src 'sha256-[^']{44}'", "", policy).count("script") == 0
    await browser.get(App(world).url())
    await browser.log_in()
    assert "<script" not in browser.text
    assert "script" not in (browser.answer.header("content-security-policy") or "")
    cookie = next(value for name, value in (await Browser(world).get(App(world).url())).headers if name == "set-cookie")
    assert cookie.partition("; ")[2] == "Path=/; Secure; HttpOnly; SameSite=Lax"


# --- consent ---


async def test_consent_is_asked_once_for_each_client_person_and_scope(world: World) -> None:
    browser = Browser(world)
    await browser.agree(App(world).url())
    await browser.get(App(world).url())
    assert "code" in browser.landed
    for url in (
        App(world).url(scope="mcp:read mcp:call"),
        App(world, "other").url(),
        App(world).url(resource="https://gate.example/mcp/desk"),
    ):
        await browser.get(url)
        assert "/oauth/consent" in browser.text
    await browser.submit("/oauth/consent", decision="deny")
    assert (browser.landed.get("error"), "code" in browser.landed) == ("access_denied", False)
    await browser.get(App(world).url(resource="https://gate.example/mcp/desk"))
    assert "/oauth/consent" in browser.text


async def test_a_program_of_this_machine_is_shown_each_time(world: World) -> None:
    browser, app = Browser(world), App(world, "cli", "http://127.0.0.1:5555/cb")
    await browser.agree(app.url())
    await browser.get(App(world, "cli", "http://127.0.0.1:6666/cb").url())
    assert "You have allowed this before" in browser.text
    assert "127.0.0.1:6666" in browser.text
    await browser.get(App(world, "cli", "http://127.0.0.1:6666/cb").url(prompt="none"))
    assert browser.landed.get("error") == "consent_required"


async def test_what_is_not_there_any_more_when_a_person_agrees_is_not_given(tmp_path: Path) -> None:
    before = World(tmp_path)
    browser = Browser(before)
    await browser.get(App(before).url(scope="mcp:call"))
    await browser.log_in()
    # The gateway is started anew with other scopes, while the page is open.
    fewer = msgspec.structs.replace(before.settings, scopes={"mcp:read": "Read"})
    browser.world = World(tmp_path, settings=fewer, records=lambda clock: before.records, seal=before.seal)
    await browser.submit("/oauth/consent", decision="allow")
    assert (browser.landed.get("error"), "code" in browser.landed) == ("invalid_scope", False)


async def test_the_page_of_consent_says_who_what_and_where(world: World) -> None:
    registered = msgspec.json.decode((await world.register(client_name="Sly")).body)
    browser = Browser(world)
    await browser.get(App(world, registered["client_id"]).url(scope="mcp:read mcp:call"))
    await browser.log_in()
    for said in ("Sly", "app.example", CALLBACK, "Read what servers offer", "Call tools", f"{ISSUER}/mcp", "owner"):
        assert said in browser.text
    assert "Nobody here has checked who this is" in browser.text


# --- passwords ---


async def test_wrong_passwords_are_answered_alike_and_soon_have_to_wait(world: World) -> None:
    await world.users.put("ann", "correct horse battery")
    seen: set[tuple[int, str]] = set()
    for name, password in (
        ("ann", "wrong"),
        ("nobody", "wrong"),
        ("owner", "wrong"),
        ("ann", "w" * 5000),
        ("ann\n", "w"),
    ):
        browser = Browser(world)
        await browser.get(App(world).url())
        await browser.log_in(name, password)
        seen.add((browser.answer.status, "There is no such name with this password" in browser.text))
    assert seen == {(403, True)}
    browser = Browser(world)
    await browser.get(App(world).url())
    statuses: list[int] = []
    for _ in range(6):
        await browser.log_in("ann", "wrong")
        statuses.append(browser.answer.status)
    assert statuses[-1] == 429
    # Not for her from elsewhere, and not for long.
    elsewhere = Browser(world, "10.9.9.9")
    await elsewhere.get(App(world).url())
    await elsewhere.log_in("ann", "correct horse battery")
    assert "/oauth/consent" in elsewhere.text
    world.clock.now_s += 300
    await browser.get(App(world).url())
    await browser.log_in("ann", "correct horse battery")
    assert "/oauth/consent" in browser.text


async def test_an_owner_without_a_token_does_not_log_in_with_nothing(world: World) -> None:
    users = Users(world.records, world.clock, world.clock, "")
    assert await users.check("owner", "", "1.1.1.1") is None
    assert await users.check("owner", OWNER_TOKEN, "1.1.1.1") is None


async def test_no_password_and_no_secret_is_in_what_is_stored(world: World) -> None:
    await world.users.put("ann", "correct horse battery")
    app, browser = App(world), Browser(world)
    landed = await browser.agree(app.url(), "ann", "correct horse battery")
    _, answer = await app.redeem(landed["code"])
    stored = str(vars(world.records))
    secrets = (
        "correct horse battery",
        OWNER_TOKEN,
        landed["code"],
        answer["refresh_token"],
        answer["access_token"],
        browser.cookies["__Host-douane"],
    )
    assert [secret for secret in secrets if secret in stored] == []
