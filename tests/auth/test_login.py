"""A login as a dance: what is asked in which order, and every answer after which nothing more may be asked."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from douane.auth.authorization import Pending, code_of
from douane.auth.challenge import Demand
from douane.auth.credentials import LoginFailed
from douane.auth.dance import Dance, perform
from douane.auth.discovery import AuthorizationServer, Protected
from douane.auth.dpop import DpopKey
from douane.auth.exchange import HttpRequest, HttpResponse
from douane.auth.login import Found, Login, begin, discover, refresh, settle, wanted_scopes
from douane.auth.machine import client_credentials, identity_assertion
from douane.auth.oauth_client import OAuthClient
from douane.auth.registration import Applicant
from douane.auth.token_request import TokenRefused

SERVER, ISSUER = "https://mcp.example/mcp", "https://login.example"
CALLBACK = "http://127.0.0.1:4000/callback"
PROTECTED = "https://mcp.example/.well-known/oauth-protected-resource"
METADATA = f"{ISSUER}/.well-known/oauth-authorization-server"
NOW = 1_800_000_000.0
GIVEN = OAuthClient(id="app")
APP = Applicant(given=GIVEN)

Answers = Mapping[str, Any]


def as_json(body: object, status: int = 200, **headers: str) -> HttpResponse:
    said = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpResponse(status, said, json.dumps(body).encode())


def protected(**changed: Any) -> dict[str, Any]:
    return {"resource": SERVER, "authorization_servers": [ISSUER]} | changed


def metadata(**changed: Any) -> dict[str, Any]:
    own = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "code_challenge_methods_supported": ["S256"],
    }
    return {name: value for name, value in (own | changed).items() if value is not None}


WORLD: Answers = {f"{PROTECTED}/mcp": protected(), METADATA: metadata()}


class Played:
    """The other side: what is at each URL, all else is not there."""

    def __init__(self, answers: Answers) -> None:
        self.answers, self.asked = dict(answers), list[HttpRequest]()

    async def fetch(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request)
        found = self.answers.get(request.url, HttpResponse(404))
        if isinstance(found, list):
            found = found.pop(0)
        if callable(found):
            found = found(request)
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, HttpResponse) else as_json(found)

    @property
    def urls(self) -> list[str]:
        return [request.url for request in self.asked]

    def form(self, number: int = -1) -> dict[str, str]:
        return dict(parse_qsl(self.asked[number].body.decode()))


async def finding(answers: Answers, url: str = SERVER, **params: str) -> tuple[Found, Played]:
    played = Played(answers)
    return await perform(discover(url, Demand("bearer", params)), played.fetch), played


async def failing(dance: Dance[Any], answers: Answers) -> tuple[str, Played]:
    played = Played(answers)
    with pytest.raises(LoginFailed) as failed:
        await perform(dance, played.fetch)
    return str(failed.value), played


async def sent_away(who: Applicant = APP, **changed: Any) -> Pending:
    found, played = await finding({**WORLD, METADATA: metadata(**changed)})
    dance = begin(found, who, {}, redirect_uri=CALLBACK, scopes=("read",), now_s=NOW)
    return await perform(dance, played.fetch)


# --- where to go ---


async def test_a_server_that_names_its_metadata_is_asked_there_and_nowhere_else() -> None:
    found, played = await finding(
        {"https://other.example/m": protected(), METADATA: metadata()}, resource_metadata="https://other.example/m"
    )
    assert played.urls == ["https://other.example/m", METADATA]
    assert (found.protected.resource, found.server.issuer) == (SERVER, ISSUER)


async def test_else_its_own_path_comes_first_and_then_the_root() -> None:
    found, played = await finding({PROTECTED: protected(resource="https://mcp.example"), METADATA: metadata()})
    assert played.urls == [f"{PROTECTED}/mcp", PROTECTED, METADATA]
    assert found.protected.resource == "https://mcp.example"


async def test_every_place_of_an_issuer_with_a_path_is_tried_in_the_order_of_the_specification() -> None:
    tenant = f"{ISSUER}/tenant1"
    places = [
        f"{ISSUER}/.well-known/oauth-authorization-server/tenant1",
        f"{ISSUER}/.well-known/openid-configuration/tenant1",
        f"{tenant}/.well-known/openid-configuration",
    ]
    answers = {f"{PROTECTED}/mcp": protected(authorization_servers=[tenant])}
    found, played = await finding({**answers, places[2]: metadata(issuer=tenant)})
    assert played.urls[1:] == places
    assert found.server.issuer == tenant
    said, _ = await failing(discover(SERVER, None), answers)
    assert all(f"{place} (404)" in said for place in places)


async def test_a_server_of_2025_03_26_is_its_own_authorization_server() -> None:
    own = "https://mcp.example/.well-known/oauth-authorization-server"
    found, _ = await finding({own: metadata(issuer="https://mcp.example/")})
    assert found.server.issuer == "https://mcp.example/"
    found, _ = await finding({})
    assert found.server.token_endpoint == "https://mcp.example/token"


async def test_an_issuer_may_end_in_a_slash_if_all_say_so() -> None:
    found, _ = await finding(
        {
            **WORLD,
            f"{PROTECTED}/mcp": protected(authorization_servers=[f"{ISSUER}/"]),
            METADATA: metadata(issuer=f"{ISSUER}/"),
        }
    )
    assert found.server.issuer == f"{ISSUER}/"


HUGE = HttpResponse(200, (), b'{"resource": "' + b"a" * 300_000 + b'"}')
DEEP = HttpResponse(200, (), b'{"a":' * 50_000 + b"1" + b"}" * 50_000)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (
            {f"{PROTECTED}/mcp": protected(resource="https://evil.example/mcp")},
            "its metadata are of 'https://evil.example/mcp'",
        ),
        ({f"{PROTECTED}/mcp": protected(resource="https://mcp.example/other")}, "its metadata are of"),
        ({f"{PROTECTED}/mcp": protected(resource="https://mcp.example/mcp/deeper")}, "its metadata are of"),
        ({f"{PROTECTED}/mcp": protected(resource="https://mcp.example/mc")}, "its metadata are of"),
        ({f"{PROTECTED}/mcp": protected(resource="http://mcp.example/mcp")}, "its metadata are of"),
        ({f"{PROTECTED}/mcp": protected(resource=None)}, "its metadata are of"),
        ({f"{PROTECTED}/mcp": protected(authorization_servers=[])}, "name no authorization server"),
        ({f"{PROTECTED}/mcp": protected(authorization_servers=[7])}, "cannot be read"),
        ({f"{PROTECTED}/mcp": protected(authorization_servers=["http://login.example"])}, "is not https"),
        ({f"{PROTECTED}/mcp": protected(authorization_servers=["file:///etc/passwd"])}, "is not an https URL"),
        ({f"{PROTECTED}/mcp": protected(authorization_servers=["https://a@login.example"])}, "holds a user name"),
        ({METADATA: metadata(issuer=f"{ISSUER}/")}, "they must be equal, to the last character"),
        ({METADATA: metadata(issuer="https://LOGIN.example")}, "they must be equal, to the last character"),
        ({METADATA: metadata(issuer="https://login.example:443")}, "they must be equal, to the last character"),
        ({METADATA: metadata(issuer=None)}, "they must be equal, to the last character"),
        (
            {METADATA: metadata(token_endpoint="http://login.example/token")},
            "its token endpoint 'http://login.example/token' is not https",
        ),
        ({METADATA: metadata(token_endpoint=None)}, "cannot be read"),
        ({METADATA: metadata(authorization_endpoint="javascript:alert(1)")}, "is not an https URL"),
        ({METADATA: metadata(authorization_endpoint="https://a.example/$(id)`id`")}, "is no URL"),
        ({METADATA: metadata(registration_endpoint="http://169.254.169.254/")}, "is not https"),
        ({METADATA: metadata(scopes_supported="read")}, "cannot be read"),
        ({METADATA: HttpResponse(302, (("location", METADATA),))}, "has no metadata"),
        ({METADATA: HttpResponse(503)}, "try again later"),
        ({METADATA: HUGE}, "has no metadata"),
        ({METADATA: DEEP}, "has no metadata"),
        ({METADATA: HttpResponse(200, (), b'{"issuer": "a", "issuer": "https://login.example"}')}, "has no metadata"),
        ({METADATA: OSError("no route")}, "network: https://login.example could not be asked: no route"),
        ({METADATA: TimeoutError()}, "network: https://login.example did not answer in time"),
    ],
)
async def test_metadata_that_cannot_be_trusted_end_the_login_before_anything_is_sent(
    answers: Answers, reason: str
) -> None:
    said, played = await failing(discover(SERVER, None), {**WORLD, **answers})
    assert reason in said
    assert all(request.method == "GET" and not request.body for request in played.asked)


@pytest.mark.parametrize(
    "named", ["https://mcp.example:port/m", "https://[::1/m", "http://mcp.elsewhere/m", "/relative", "", "https://a b/"]
)
async def test_a_place_of_metadata_that_is_none_is_not_asked(named: str) -> None:
    said, played = await failing(discover(SERVER, Demand("bearer", {"resource_metadata": named})), WORLD)
    assert said.startswith("upstream: the `resource_metadata` of its challenge")
    assert played.asked == []


# --- who we are there ---


async def test_a_client_id_given_by_hand_comes_first_then_a_document_then_registration() -> None:
    document = "https://app.example/client.json"
    can = {"client_id_metadata_document_supported": True, "registration_endpoint": f"{ISSUER}/register"}
    assert (await sent_away(Applicant(given=GIVEN, document_url=document), **can)).client.id == "app"
    assert (await sent_away(Applicant(document_url=document), **can)).client.id == document
    found, played = await finding(
        {
            **WORLD,
            METADATA: metadata(registration_endpoint=f"{ISSUER}/register"),
            f"{ISSUER}/register": as_json(
                {"client_id": "made", "client_secret": "s", "token_endpoint_auth_method": "client_secret_post"}, 201
            ),
        }
    )
    dance = begin(found, Applicant(document_url=document), {}, redirect_uri=CALLBACK, scopes=(), now_s=NOW)
    pending = await perform(dance, played.fetch)
    assert (pending.client.id, pending.client.method) == ("made", "client_secret_post")
    assert json.loads(played.asked[-1].body) == {
        "client_name": "Douane",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    }


async def test_a_registration_is_good_for_who_gave_it_where_it_was_made_and_until_it_ends() -> None:
    found, played = await finding(
        {
            **WORLD,
            METADATA: metadata(registration_endpoint=f"{ISSUER}/register"),
            f"{ISSUER}/register": as_json({"client_id": "new"}, 201),
        }
    )

    async def client(known: Mapping[str, OAuthClient]) -> str:
        dance = begin(found, Applicant(), known, redirect_uri=CALLBACK, scopes=(), now_s=NOW)
        return (await perform(dance, played.fetch)).client.id

    before = OAuthClient(id="before", redirect_uri=CALLBACK)
    assert await client({ISSUER: before}) == "before"
    assert await client({f"{ISSUER}/": before, "https://old.example": before}) == "new"
    assert await client({ISSUER: msgspec.structs.replace(before, redirect_uri="http://127.0.0.1:5/callback")}) == "new"
    assert await client({ISSUER: msgspec.structs.replace(before, expires_s=NOW)}) == "new"


@pytest.mark.parametrize(
    ("who", "answer", "reason"),
    [
        (Applicant(), None, "registers nobody by itself; register there by hand"),
        (
            Applicant(given=GIVEN, issuer="https://old.example"),
            None,
            "its client id was given by 'https://old.example'",
        ),
        (Applicant(document_url="http://app.example/c"), None, "is not an https URL with a path"),
        (Applicant(document_url="https://app.example"), None, "is not an https URL with a path"),
        (Applicant(document_url="https://app.example/a/../b"), None, "a dot segment"),
        (
            Applicant(),
            as_json({"error": "invalid_redirect_uri", "error_description": "web only"}, 400),
            f"with the redirect URI {CALLBACK}: web only",
        ),
        (Applicant(), as_json({}, 201), "no client id that could be used"),
        (
            Applicant(),
            as_json({"client_id": "a", "token_endpoint_auth_method": "tls_client_auth"}, 201),
            "no client id that could be used",
        ),
        (
            Applicant(),
            as_json({"client_id": "a", "token_endpoint_auth_method": "client_secret_basic"}, 201),
            "gave it no secret",
        ),
        (Applicant(given=OAuthClient(id="a", secret="s"), method="client_secret_post"), None, "takes none of the ways"),
    ],
)
async def test_without_a_client_id_nobody_is_sent_away(
    who: Applicant, answer: HttpResponse | None, reason: str
) -> None:
    changed: dict[str, Any] = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
    changed |= {"client_id_metadata_document_supported": True} if who.document_url else {}
    changed |= {"registration_endpoint": f"{ISSUER}/register"} if answer is not None else {}
    found, _ = await finding({**WORLD, METADATA: metadata(**changed)})
    dance = begin(found, who, {}, redirect_uri=CALLBACK, scopes=(), now_s=NOW)
    said, _ = await failing(dance, {f"{ISSUER}/register": answer})
    assert reason in said


# --- the way of the user ---


async def test_a_user_is_sent_away_with_all_that_is_compared_when_he_comes_back() -> None:
    pending, another = await sent_away(), await sent_away()
    asked = dict(parse_qsl(urlsplit(pending.url).query))
    assert asked.keys() == {
        *("response_type", "client_id", "redirect_uri", "state", "scope", "resource"),
        *("code_challenge", "code_challenge_method"),
    }
    assert (asked["resource"], asked["code_challenge_method"]) == (SERVER, "S256")
    assert len(pending.verifier) == len(pending.state) == 43
    assert (pending.state, pending.verifier) != (another.state, another.verifier)
    assert pending.verifier not in pending.url


@pytest.mark.parametrize("methods", [None, [], ["plain"]])
async def test_without_pkce_nobody_is_sent_away(methods: list[str] | None) -> None:
    with pytest.raises(LoginFailed, match="does not say that it has PKCE with S256"):
        await sent_away(code_challenge_methods_supported=methods)


@pytest.mark.parametrize(
    ("advertised", "returned", "reason"),
    [
        (False, "code=c", "does not belong to this login"),
        (False, "code=c&state=other", "does not belong to this login"),
        (False, "code=c&state=", "does not belong to this login"),
        (False, "state={state}", "holds no code"),
        (False, "code=&state={state}", "holds no code"),
        (False, "code=c&state={state}&code=d", "says something twice"),
        (False, "code=c&state={state}&state={state}", "says something twice"),
        (False, "code=%ff&state={state}", "cannot be read"),
        (False, "code=c&state={state}&iss=https://evil.example", "says that it is of 'https://evil.example'"),
        (False, "code=c&state={state}&iss=", "says that it is of ''"),
        (True, "code=c&state={state}", "says that it signs its answers"),
        (True, "code=c&state={state}&iss=https://login.example/", "says that it is of 'https://login.example/'"),
        (True, "code=c&state={state}&iss=https://LOGIN.example", "says that it is of"),
        (True, "code=c&state={state}&iss=https://login.example:443", "says that it is of"),
        (True, "error=access_denied&state={state}&iss=https://login.example", "the login was refused: access_denied"),
        (False, "error=no&error_description=a%1bb&state={state}", "the login was refused: no: ab"),
    ],
)
async def test_an_answer_that_is_not_from_there_is_not_used(advertised: bool, returned: str, reason: str) -> None:
    pending = await sent_away(authorization_response_iss_parameter_supported=advertised)
    for back in (returned, f"{CALLBACK}?{returned}"):
        dance = settle(pending, back.format(state=pending.state), now_s=NOW)
        said, played = await failing(dance, {})
        assert reason in said
        assert played.asked == []


async def test_nothing_is_shown_of_an_error_that_another_issuer_may_have_written() -> None:
    pending = await sent_away()
    with pytest.raises(LoginFailed) as failed:
        code_of(pending, f"error=pay&error_description=at+evil&state={pending.state}&iss=https://evil.example")
    assert "pay" not in str(failed.value)
    assert "at evil" not in str(failed.value)


async def test_who_waits_in_another_process_has_all_it_needs() -> None:
    pending = msgspec.json.decode(msgspec.json.encode(await sent_away()), type=Pending)
    granted = {"access_token": "t", "token_type": "Bearer", "expires_in": "60", "refresh_token": "r", "scope": "read"}
    played = Played({f"{ISSUER}/token": granted})
    login = await perform(settle(pending, f"code=c&state={pending.state}", now_s=NOW), played.fetch)
    assert played.form() == {
        "grant_type": "authorization_code",
        "code": "c",
        "redirect_uri": CALLBACK,
        "code_verifier": pending.verifier,
        "resource": SERVER,
        "client_id": "app",
    }
    assert (login.tokens.access, login.tokens.refresh, login.tokens.expires_s) == ("t", "r", NOW + 60)
    assert msgspec.json.decode(msgspec.json.encode(login), type=Login) == login
    assert "verifier" not in repr(pending)
    assert repr(login.tokens) == "Tokens(…)"


# --- tokens ---


async def logged_in(**changed: Any) -> Login:
    pending = await sent_away()
    granted = {"access_token": "t1", "token_type": "Bearer", "refresh_token": "r1"} | changed
    played = Played({f"{ISSUER}/token": granted})
    return await perform(settle(pending, f"code=c&state={pending.state}", now_s=NOW), played.fetch)


async def test_a_refresh_keeps_the_old_refresh_token_only_where_no_new_one_comes() -> None:
    login = await logged_in()
    for given, kept in (({"refresh_token": "r2"}, "r2"), ({}, "r1"), ({"refresh_token": None}, "r1")):
        played = Played({f"{ISSUER}/token": {"access_token": "t2", "token_type": "bearer"} | given})
        after = await perform(refresh(login, now_s=NOW), played.fetch)
        assert (after.tokens.access, after.tokens.refresh) == ("t2", kept)
        assert played.form() == {
            "grant_type": "refresh_token",
            "refresh_token": "r1",
            "resource": SERVER,
            "client_id": "app",
        }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            as_json({"error": "invalid_grant", "error_description": "\x1b[31mno"}, 400),
            "gives no token: invalid_grant: [31mno",
        ),
        (HttpResponse(500), "with status 500"),
        (HttpResponse(302, (("location", "https://evil.example"),)), "with status 302"),
        (as_json({}), "grants a token that is none"),
        (as_json({"access_token": "a\r\nb", "token_type": "Bearer"}), "grants a token that is none"),
        (as_json({"access_token": "a" * 70_000, "token_type": "Bearer"}), "grants a token that is none"),
        (as_json({"access_token": "a"}), "of type 'None'"),
        (as_json({"access_token": "a", "token_type": "mac"}), "of type 'mac'"),
        (as_json({"access_token": "a", "token_type": "DPoP"}), "of type 'DPoP'"),
    ],
)
async def test_an_answer_that_grants_nothing_usable_is_told_with_whose_fault_it_is(
    answer: HttpResponse, reason: str
) -> None:
    login = await logged_in()
    said, played = await failing(refresh(login, now_s=NOW), {f"{ISSUER}/token": answer})
    assert said.startswith(f"authorization server: {ISSUER}")
    assert reason in said
    assert len(played.asked) == 1


async def test_a_refusal_can_be_told_from_a_failure() -> None:
    login = await logged_in()
    with pytest.raises(TokenRefused) as refused:
        await perform(
            refresh(login, now_s=NOW), Played({f"{ISSUER}/token": as_json({"error": "invalid_grant"}, 400)}).fetch
        )
    assert refused.value.error == "invalid_grant"


# --- scopes ---


@pytest.mark.parametrize(
    ("challenged", "before", "instead", "has", "offline", "wanted"),
    [
        (("a",), (), (), ("b", "c"), False, ("a",)),
        ((), (), (), ("b", "c"), False, ("b", "c")),
        ((), (), (), None, False, ()),
        ((), (), (), None, True, ()),
        ((), (), ("d",), ("b", "c"), False, ("d",)),
        (("a",), ("b",), ("d",), ("b", "c"), False, ("b", "a")),
        (("a",), (), (), None, True, ("a", "offline_access")),
    ],
)
def test_what_is_needed_is_asked_for_and_what_was_asked_for_before(
    challenged: tuple[str, ...],
    before: tuple[str, ...],
    instead: tuple[str, ...],
    has: tuple[str, ...] | None,
    offline: bool,
    wanted: tuple[str, ...],
) -> None:
    server = AuthorizationServer(
        issuer=ISSUER, token_endpoint=f"{ISSUER}/token", scopes_supported=("offline_access",) if offline else None
    )
    found = Found(
        protected=Protected(resource=SERVER, issuers=(ISSUER,), scopes=has), server=server, challenged=challenged
    )
    assert wanted_scopes(found, before, instead) == wanted


# --- proofs ---


@pytest.mark.parametrize(
    ("made", "algorithm"),
    [
        (lambda: ECKey.generate_key("P-256"), "ES256"),
        (lambda: ECKey.generate_key("P-384"), "ES384"),
        (lambda: RSAKey.generate_key(2048), "RS256"),
        (lambda: OKPKey.generate_key("Ed25519"), "Ed25519"),
    ],
)
async def test_a_client_proves_itself_with_its_key_to_the_issuer_and_for_a_minute(
    made: Callable[[], Any], algorithm: str
) -> None:
    key = made()
    client = OAuthClient(id="robot", method="private_key_jwt", private_key=key.as_pem(private=True).decode())
    found, played = await finding({**WORLD, f"{ISSUER}/token": {"access_token": "t", "token_type": "Bearer"}})
    await perform(client_credentials(found, client, ("read",), now_s=NOW), played.fetch)
    form = played.form()
    assertion = jwt.decode(form.pop("client_assertion"), key, algorithms=[algorithm])
    assert form == {
        "grant_type": "client_credentials",
        "scope": "read",
        "resource": SERVER,
        "client_id": "robot",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert len(assertion.claims.pop("jti")) > 20
    assert assertion.claims == {"iss": "robot", "sub": "robot", "aud": ISSUER, "iat": int(NOW), "exp": int(NOW) + 60}


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES512", "RS256", "nonsense"])
async def test_a_key_signs_only_with_what_is_its_own(algorithm: str) -> None:
    pem = ECKey.generate_key("P-256").as_pem(private=True).decode()
    client = OAuthClient(id="robot", method="private_key_jwt", private_key=pem, algorithm=algorithm)
    found, played = await finding(WORLD)
    with pytest.raises(LoginFailed, match=f"its key cannot sign with {algorithm}"):
        await perform(client_credentials(found, client, (), now_s=NOW), played.fetch)
    assert f"{ISSUER}/token" not in played.urls


async def test_a_key_that_is_none_is_said_before_anything_is_sent() -> None:
    client = OAuthClient(id="robot", method="private_key_jwt", private_key="-----BEGIN NOTHING-----")
    found, played = await finding(WORLD)
    with pytest.raises(LoginFailed, match="no private key in PEM"):
        await perform(client_credentials(found, client, (), now_s=NOW), played.fetch)
    assert f"{ISSUER}/token" not in played.urls


async def test_a_nonce_is_taken_up_once_and_a_server_that_wants_ever_another_is_given_up() -> None:
    wants = [as_json({"error": "use_dpop_nonce"}, 400, dpop_nonce=f"n{n}") for n in range(3)]
    found, played = await finding({**WORLD, f"{ISSUER}/token": wants})
    dpop = DpopKey()
    with pytest.raises(TokenRefused):
        await perform(client_credentials(found, GIVEN, (), now_s=NOW, dpop=dpop), played.fetch)
    proofs = [
        jwt.decode(request.headers["dpop"], ECKey.import_key(dpop.kept()), algorithms=["ES256"])
        for request in played.asked[2:]
    ]
    assert [proof.claims.get("nonce") for proof in proofs] == [None, "n0"]
    assert len({proof.claims["jti"] for proof in proofs}) == 2


def test_a_proof_is_for_one_request_and_shows_no_private_key() -> None:
    dpop = DpopKey()
    assert dpop.hear("https://mcp.example/mcp", "n1")
    assert not dpop.hear("https://mcp.example/other", "n1")
    proof = jwt.decode(
        dpop.proof("POST", f"{SERVER}?a=1", NOW, "token"), ECKey.import_key(dpop.kept()), algorithms=["ES256"]
    )
    assert proof.header.keys() == {"typ", "alg", "jwk"}
    assert proof.header["jwk"].keys() == {"kty", "crv", "x", "y"}
    assert proof.claims | {"jti": ""} == {
        "jti": "",
        "htm": "POST",
        "htu": SERVER,
        "iat": int(NOW),
        "nonce": "n1",
        "ath": "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A",
    }
    assert (
        "nonce"
        not in jwt.decode(
            dpop.proof("GET", "https://other.example/", NOW), ECKey.import_key(dpop.kept()), algorithms=["ES256"]
        ).claims
    )
    assert DpopKey(dpop.kept()).thumbprint == dpop.thumbprint


async def test_an_identity_provider_that_answers_with_another_kind_of_token_is_not_believed() -> None:
    found, _ = await finding(WORLD)
    provider = msgspec.structs.replace(
        found.server, issuer="https://idp.example", token_endpoint="https://idp.example/token"
    )
    dance = identity_assertion(provider, GIVEN, "id-token", found, ("read",), now_s=NOW)
    said, played = await failing(
        dance,
        {
            "https://idp.example/token": {
                "access_token": "a",
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            }
        },
    )
    assert "where an identity assertion was asked for" in said
    form = played.form()
    assert (form["audience"], form["resource"], form["subject_token"]) == (ISSUER, SERVER, "id-token")
