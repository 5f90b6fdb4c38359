"""How clients come to be known: by their document, by registering, by configuration; and what none of them may be."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from douane.auth.authority.client import Client
from douane.auth.authority.documents import Trust
from douane.auth.exchange import HttpRequest, HttpResponse

from .kit import CALLBACK, ISSUER, RESOURCE, App, Browser, World

ADDRESS = "https://app.example/oauth/client.json"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Web:
    """The documents of the world, and how often each was asked for."""

    def __init__(self, **changed: Any) -> None:
        self.documents: dict[str, HttpResponse | OSError] = {}
        self.asked: list[str] = []
        self.publish(**changed)

    def publish(self, address: str = ADDRESS, *, control: str | None = None, **changed: Any) -> None:
        told = {"client_id": address, "client_name": "The Editor", "redirect_uris": [CALLBACK], **changed}
        headers = [] if control is None else [("cache-control", control)]
        self.documents[address] = HttpResponse(200, headers, msgspec.json.encode(told))

    async def fetch(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request.url)
        found = self.documents.get(request.url, HttpResponse(404))
        if isinstance(found, OSError):
            raise found
        return found


async def test_a_client_is_what_the_document_at_its_id_says(tmp_path: Path) -> None:
    web = Web()
    world = World(tmp_path, fetch=web.fetch)
    app, browser = App(world, ADDRESS), Browser(world)
    landed = await browser.agree(app.url())
    status, answer = await app.redeem(landed["code"])
    assert (status, "refresh_token" in answer) == (200, True)
    await browser.get(app.url(prompt="consent"))
    assert "The Editor" in browser.text
    assert ADDRESS in browser.text
    assert "Nobody here has checked who this is" in browser.text
    assert web.asked == [ADDRESS]


@pytest.mark.parametrize(
    ("control", "after_s", "asked"),
    [
        (None, 299, 1),
        (None, 301, 2),
        ("max-age=3600", 3599, 1),
        ("public, max-age=3600", 3601, 2),
        ("max-age=0", 59, 1),
        ("no-store", 61, 2),
        ("max-age=99999999999", 86_399, 1),
        ("max-age=99999999999", 86_401, 2),
    ],
)
async def test_a_document_is_kept_as_its_headers_say_within_bounds(
    tmp_path: Path, control: str | None, after_s: float, asked: int
) -> None:
    web = Web(control=control)
    world = World(tmp_path, fetch=web.fetch)
    await Browser(world).get(App(world, ADDRESS).url())
    world.clock.now_s += after_s
    await Browser(world).get(App(world, ADDRESS).url())
    assert len(web.asked) == asked


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"client_id": "https://app.example/oauth/other.json"}, "its client_id is not its address"),
        ({"client_id": ADDRESS + "/"}, "its client_id is not its address"),
        ({"client_name": None}, "client_name"),
        ({"client_name": ""}, "client_name"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": CALLBACK}, "redirect_uris"),
        ({"redirect_uris": [CALLBACK, "app:/cb"]}, "must be https"),
        ({"redirect_uris": ["http://app.example/callback"]}, "must be https"),
        ({"redirect_uris": ["https://app.example/*#x"]}, "must be https"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "has no secret"),
        ({"client_secret": "x"}, "has no secret"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "public keys"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{}]}}, "public keys"),
        ({"grant_types": "authorization_code"}, "grant_types"),
    ],
)
async def test_a_document_that_cannot_be_used_says_why(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    web = Web(**changed)
    browser = Browser(World(tmp_path, fetch=web.fetch))
    await browser.get(App(browser.world, ADDRESS).url())
    assert (browser.answer.status, browser.answer.header("location")) == (400, None)
    assert words in browser.text


@pytest.mark.parametrize(
    "answer",
    [
        HttpResponse(302, [("location", "https://app.example/elsewhere.json")]),
        HttpResponse(500),
        HttpResponse(200, [], b"[]"),
        HttpResponse(200, [], b'{"client_id":"a","client_id":"b"}'),
        HttpResponse(200, [], b"{" + b" " * 6000 + b"}"),
        ConnectionError("an address of the upstream is out of reach: it is a private address"),
    ],
)
async def test_what_is_no_document_is_no_client_and_not_asked_for_again_at_once(
    tmp_path: Path, answer: HttpResponse | OSError
) -> None:
    web = Web()
    web.documents[ADDRESS] = answer
    world = World(tmp_path, fetch=web.fetch)
    for _ in range(3):
        assert (await Browser(world).get(App(world, ADDRESS).url())).status == 400
    assert len(web.asked) == 1
    web.publish()
    world.clock.now_s += 11
    assert (await Browser(world).get(App(world, ADDRESS).url())).status == 200


@pytest.mark.parametrize(
    "address",
    [
        "https://app.example",
        "https://app.example/",
        "https://app.example/a/../client.json",
        "https://app.example/./client.json",
        "https://user@app.example/client.json",
        "https://app.example/client.json#x",
        "https://APP.example/client.json",
        "https://app.example/client json",
        "https://[::1]/client.json",
    ],
)
async def test_an_address_that_is_no_id_is_not_asked(tmp_path: Path, address: str) -> None:
    web = Web()
    answer = await Browser(World(tmp_path, fetch=web.fetch)).get(App(World(tmp_path), address).url())
    assert answer.status == 400
    assert web.asked == []


async def test_the_operator_says_whose_documents_count(tmp_path: Path) -> None:
    web = Web()
    trusting = World(tmp_path, fetch=web.fetch, trust=Trust(frozenset({"app.example"}), "refuse"))
    browser = Browser(trusting)
    await browser.get(App(trusting, ADDRESS).url())
    await browser.log_in()
    assert "trusts that place" in browser.text
    assert "Nobody here has checked" not in browser.text
    other = "https://evil.example/client.json"
    web.publish(other)
    await browser.get(App(trusting, other).url())
    assert (browser.answer.status, "not accepted here" in browser.text) == (400, True)
    assert other not in web.asked


async def test_whoever_sends_people_here_has_little_fetched(tmp_path: Path) -> None:
    web = Web()
    world = World(tmp_path, fetch=web.fetch)
    for number in range(100):
        assert (await Browser(world).get(App(world, f"https://app.example/{number}/client.json").url())).status == 400
    assert len(web.asked) == 60
    world.clock.now_s += 2
    assert (await Browser(world).get(App(world, ADDRESS).url())).status == 200


async def test_a_program_that_was_let_in_goes_on_while_its_document_cannot_be_fetched(tmp_path: Path) -> None:
    web = Web()
    world = World(tmp_path, fetch=web.fetch)
    app = App(world, ADDRESS)
    landed = await Browser(world).agree(app.url())
    _, answer = await app.redeem(landed["code"])
    web.documents[ADDRESS] = ConnectionError("refused")
    world.clock.now_s += 3600
    status, answer = await app.refresh(answer["refresh_token"])
    assert status == 200
    # Not for ever; and it is not told that it is nobody, which would make it forget who it is.
    world.clock.now_s += 86_400
    status, refused = await app.refresh(answer["refresh_token"])
    assert (status, refused.get("error")) == (503, "temporarily_unavailable")
    web.publish()
    world.clock.now_s += 11
    assert (await app.refresh(answer["refresh_token"]))[0] == 200


# --- registration ---


async def test_an_unknown_client_registers_and_is_gone_unless_somebody_agrees_to_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    told = [msgspec.json.decode((await world.register()).body) for _ in range(2)]
    assert told[0]["client_id"] != told[1]["client_id"]
    assert (told[0]["token_endpoint_auth_method"], "client_secret" in told[0]) == ("none", False)
    used, unused = App(world, told[0]["client_id"]), App(world, told[1]["client_id"])
    await Browser(world).agree(used.url())
    world.clock.now_s += 3601
    assert (await Browser(world).get(used.url())).status == 200
    assert (await Browser(world).get(unused.url())).status == 400


async def test_a_client_that_registers_with_a_secret_must_show_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    told = msgspec.json.decode((await world.register(token_endpoint_auth_method="client_secret_post")).body)
    app = App(world, told["client_id"])
    landed = await Browser(world).agree(app.url())
    assert (await app.redeem(landed["code"]))[0] == 401
    assert (await app.redeem(landed["code"], client_secret="wrong"))[0] == 401
    assert (await app.redeem(landed["code"], client_secret=told["client_secret"]))[0] == 200


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": [7]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://app.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example/cb#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://user@app.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["cursor://cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example:65536/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://127.0.0.1/cb"] * 21}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://127.0.0.1/cb"], "application_type": "web"}, "invalid_redirect_uri"),
        ({"application_type": "native"}, None),
        ({"redirect_uris": ["http://localhost:7/cb"], "application_type": "native"}, None),
        ({"redirect_uris": ["http://[::1]:7/cb"]}, None),
        ({"application_type": "robot"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"grant_types": 5}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
    ],
)
async def test_a_registration_is_judged_before_anything_is_kept(
    tmp_path: Path, metadata: Mapping[str, Any], error: str | None
) -> None:
    world = World(tmp_path)
    answer = await world.register(**metadata)
    assert (answer.status, msgspec.json.decode(answer.body).get("error")) == (201 if error is None else 400, error)
    assert len(await world.authority.registrations.all()) == (0 if error else 1)


async def test_one_address_registers_no_more_than_some(tmp_path: Path) -> None:
    world = World(tmp_path)
    statuses = [(await world.register()).status for _ in range(25)]
    assert statuses == [201] * 20 + [429] * 5


async def test_registration_can_be_closed(tmp_path: Path) -> None:
    world = World(tmp_path, settings=msgspec.structs.replace(World(tmp_path).settings, registration=False))
    assert "/oauth/register" not in world.authority.pages
    described = await world.send(HttpRequest("GET", "/.well-known/oauth-authorization-server"))
    assert "registration_endpoint" not in msgspec.json.decode(described.body)


# --- assertions ---

KEY = ECKey.generate_key("P-256")
KEYED = Client(
    id="robot",
    name="Robot",
    redirect_uris=(CALLBACK,),
    known="configured",
    authenticates="private_key_jwt",
    jwks={"keys": [KEY.as_dict(private=False)]},
)


def assertion(key: Any = KEY, alg: str = "ES256", **changed: Any) -> str:
    now_s = 1_800_000_000
    claims = {
        "iss": "robot",
        "sub": "robot",
        "aud": ISSUER,
        "jti": str(time.monotonic_ns()),
        "exp": now_s + 60,
        **changed,
    }
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": alg}, given, key, algorithms=[alg])


@pytest.mark.parametrize(
    ("made", "good"),
    [
        (assertion(), True),
        (assertion(aud=f"{ISSUER}/oauth/token"), True),
        (assertion(aud=[ISSUER]), True),
        (assertion(aud="https://other.example"), False),
        (assertion(aud=None), False),
        (assertion(iss="other"), False),
        (assertion(jti=None), False),
        (assertion(exp=None), False),
        (assertion(exp=1_800_000_000 - 120), False),
        (assertion(exp=1_800_000_000 + 3600), False),
        (assertion(ECKey.generate_key("P-256")), False),
        (assertion(OctKey.import_key("x" * 32), "HS256"), False),
    ],
)
async def test_a_client_with_a_key_shows_that_it_has_it(tmp_path: Path, made: str, good: bool) -> None:
    world = World(tmp_path, KEYED)
    app = App(world, "robot")
    landed = await Browser(world).agree(app.url())
    shown = {"client_assertion": made, "client_assertion_type": ASSERTION}
    status, answer = await app.redeem(landed["code"], client_id=None, **shown)
    assert status == (200 if good else 401), answer
    if good:
        again = await app.refresh(answer["refresh_token"], client_id=None, **shown)
        assert (again[0], "used before" in again[1].get("error_description", "")) == (401, True)


# --- devices ---


async def begun(world: World, **changed: str) -> dict[str, Any]:
    asked = {"client_id": "app", "scope": "mcp:call", "resource": RESOURCE, **changed}
    answer = await world.post("/oauth/device_authorization", *asked.items())
    return {"status": answer.status, **msgspec.json.decode(answer.body)}


async def poll(world: World, device_code: str, **changed: str) -> tuple[int, dict[str, Any]]:
    kind = "urn:ietf:params:oauth:grant-type:device_code"
    return await App(world).token({"grant_type": kind, "device_code": device_code, "client_id": "app", **changed})


async def test_a_program_without_a_browser_is_let_in_by_a_code(tmp_path: Path) -> None:
    world = World(tmp_path)
    told = await begun(world)
    assert (told["verification_uri"], told["interval"], told["expires_in"]) == (f"{ISSUER}/oauth/device", 5, 600)
    assert (await poll(world, told["device_code"]))[1].get("error") == "authorization_pending"
    assert (await poll(world, told["device_code"]))[1].get("error") == "slow_down"
    browser = Browser(world)
    await browser.get("/oauth/device")
    await browser.log_in()
    assert "Which code" in browser.text
    await browser.get(f"/oauth/device?user_code={told['user_code'].lower().replace('-', '+')}")
    assert told["user_code"] in browser.text
    assert "The App" in browser.text
    await browser.submit("/oauth/device", decision="allow")
    assert "It is let in" in browser.text
    world.clock.now_s += 11
    status, answer = await poll(world, told["device_code"])
    assert (status, answer["scope"]) == (200, "mcp:call")
    assert (await App(world).refresh(answer["refresh_token"]))[0] == 200
    assert (await poll(world, told["device_code"]))[1].get("error") == "expired_token"


async def test_a_device_can_be_refused_and_its_code_expires(tmp_path: Path) -> None:
    world = World(tmp_path)
    told, browser = await begun(world), Browser(world)
    await browser.get(f"/oauth/device?user_code={told['user_code']}")
    await browser.log_in()
    await browser.submit("/oauth/device", decision="deny")
    assert "It stays out" in browser.text
    assert (await poll(world, told["device_code"]))[1].get("error") == "access_denied"
    late = await begun(world)
    await browser.get(f"/oauth/device?user_code={late['user_code']}")
    world.clock.now_s += 601
    await browser.submit("/oauth/device", decision="allow")
    assert browser.answer.status == 400
    assert (await poll(world, late["device_code"]))[1].get("error") == "expired_token"
    assert await world.authority.grants.all() == []


async def test_codes_of_devices_cannot_be_guessed_at_for_long_nor_polled_by_others(tmp_path: Path) -> None:
    world = World(tmp_path)
    told, browser = await begun(world), Browser(world)
    await browser.get("/oauth/device")
    await browser.log_in()
    statuses = [(await browser.get(f"/oauth/device?user_code=BBBB-BBB{letter}")).status for letter in "BCDFGHJKLMNP"]
    assert statuses == [404] * 10 + [429] * 2
    assert (await begun(world, resource="https://other.example")).get("error") == "invalid_target"
    assert (await begun(world, scope="admin")).get("error") == "invalid_scope"
    assert (await begun(world, client_id="nobody"))["status"] == 401
    assert [(await begun(world))["status"] for _ in range(20)][-1] == 429
    wrong = await poll(world, told["device_code"], resource=f"{RESOURCE}/desk")
    assert wrong[1].get("error") == "invalid_target"
