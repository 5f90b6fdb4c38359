"""Logging in by a code, as requests and answers: what is asked, and what becomes of each answer."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from douane.auth.credentials import LoginFailed
from douane.auth.dance import Dance
from douane.auth.device_login import Shown, ask, poll
from douane.auth.discovery import AuthorizationServer, Protected
from douane.auth.exchange import HttpRequest, HttpResponse
from douane.auth.login import Found, Login
from douane.auth.oauth_client import OAuthClient
from douane.auth.registration import Applicant
from douane.auth.token_request import TokenRefused

ISSUER, MCP = "https://auth.example", "https://mcp.example/mcp"
SERVER = AuthorizationServer(
    issuer=ISSUER, token_endpoint=f"{ISSUER}/token", device_authorization_endpoint=f"{ISSUER}/device"
)
FOUND = Found(protected=Protected(resource=MCP, issuers=(ISSUER,)), server=SERVER)
WHO = Applicant(given=OAuthClient(id="me"))
TOLD = {
    "device_code": "d" * 32,
    "user_code": "ABCD-EFGH",
    "verification_uri": f"{ISSUER}/type",
    "verification_uri_complete": f"{ISSUER}/type?c=ABCD-EFGH",
    "expires_in": 600,
    "interval": 7,
}


def said(body: Mapping[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(status, (), msgspec.json.encode(body))


def danced(dance: Dance[Any], *answers: HttpResponse) -> tuple[Any, list[HttpRequest]]:
    """What it returns, and what it asked."""
    asked = [next(dance)]
    for answer in answers:
        try:
            asked.append(dance.send(answer))
        except StopIteration as end:
            return end.value, asked
    raise AssertionError("it asks for more")


def begun(**changed: Any) -> Shown:
    told = {name: value for name, value in {**TOLD, **changed}.items() if value is not None}
    return danced(ask(FOUND, WHO, {}, scopes=("read",), now_s=1000.0), said(told))[0]


def test_a_code_is_asked_for_the_server_and_shown_with_where_it_is_typed() -> None:
    shown, asked = danced(ask(FOUND, WHO, {}, scopes=("read",), now_s=1000.0), said(TOLD))
    assert (asked[0].method, asked[0].url) == ("POST", f"{ISSUER}/device")
    assert asked[0].body == b"resource=https%3A%2F%2Fmcp.example%2Fmcp&scope=read&client_id=me"
    assert (shown.user_code, shown.uri, shown.complete_uri) == (
        "ABCD-EFGH",
        f"{ISSUER}/type",
        f"{ISSUER}/type?c=ABCD-EFGH",
    )
    assert (shown.interval_s, shown.expires_s) == (7.0, 1600.0)
    assert "d" * 32 not in repr(shown)


@pytest.mark.parametrize(
    "changed",
    [
        {"user_code": None},
        {"user_code": ""},
        {"user_code": "x" * 100},
        {"device_code": 5},
        {"verification_uri": None},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://evil.example/type"},
        {"verification_uri_complete": "file:///etc/passwd"},
    ],
)
def test_a_person_is_sent_nowhere_but_to_a_page_over_https(changed: dict[str, Any]) -> None:
    with pytest.raises(LoginFailed):
        begun(**changed)


def test_what_is_shown_holds_nothing_that_drives_a_terminal() -> None:
    assert begun(user_code="AB\x1b[2JCD").user_code == "AB[2JCD"


def test_who_has_no_such_login_is_not_asked() -> None:
    without = msgspec.structs.replace(FOUND, server=msgspec.structs.replace(SERVER, device_authorization_endpoint=None))
    with pytest.raises(LoginFailed, match="has no login by a code"):
        next(ask(without, WHO, {}, scopes=(), now_s=0.0))


def test_it_is_asked_again_until_somebody_has_decided_and_slower_when_told_so() -> None:
    shown = begun()
    pending, asked = danced(poll(FOUND, shown, now_s=1007.0), said({"error": "authorization_pending"}, 400))
    assert pending == shown
    assert b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code" in asked[0].body
    slower, _ = danced(poll(FOUND, shown, now_s=1007.0), said({"error": "slow_down"}, 400))
    assert slower.interval_s == shown.interval_s + 5
    tokens = {"access_token": "a1", "token_type": "Bearer", "refresh_token": "r1", "expires_in": 60}
    login, _ = danced(poll(FOUND, shown, now_s=1014.0), said(tokens))
    assert isinstance(login, Login)
    assert (login.tokens.access, login.tokens.refresh, login.resource, login.asked) == ("a1", "r1", MCP, ("read",))


@pytest.mark.parametrize("error", ["access_denied", "expired_token", "invalid_grant"])
def test_a_refusal_ends_it(error: str) -> None:
    with pytest.raises(TokenRefused, match=error):
        danced(poll(FOUND, begun(), now_s=1007.0), said({"error": error}, 400))
