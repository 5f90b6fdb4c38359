"""Logging in without a browser of one's own: a code is shown, and a person types it where there is one. Dances.

`ask` gets the code, `poll` asks once whether somebody has decided. How long to wait between two polls is in what they return.
Spec: RFC 8628.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec

from .credentials import LoginFailed
from .dance import Dance, Unseen, endpoint, object_in, plain
from .dpop import DpopKey
from .exchange import HttpRequest
from .login import Found, Login
from .oauth_client import OAuthClient, proved
from .registration import Applicant, client_for
from .token_request import TokenRefused, request_tokens

__all__ = ["Shown", "ask", "poll"]

_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_NOWHERE = "http://127.0.0.1/nobody-comes-back"
"""Nobody is sent back; who registers has to name a place all the same."""
_INTERVAL_S = 5.0
_SLOWER_S = 5.0
_MAX_S = 1800.0
_MAX_CODE = 64


class Shown(Unseen, frozen=True, kw_only=True):
    """What a person is told, and what is polled with."""

    client: OAuthClient
    user_code: str
    uri: str
    """Where it is typed."""
    complete_uri: str | None
    """The same with the code in it."""
    expires_s: float
    """Unix seconds."""
    interval_s: float
    device_code: str
    scopes: tuple[str, ...]


def ask(
    found: Found, who: Applicant, known: Mapping[str, OAuthClient], *, scopes: Sequence[str], now_s: float
) -> Dance[Shown]:
    """Raises LoginFailed. `known`: the clients we are already, by issuer."""
    server = found.server
    if server.device_authorization_endpoint is None:
        raise LoginFailed(f"client: {server.issuer} has no login by a code; log in with a browser on this machine")
    url = server.device_authorization_endpoint
    client = yield from client_for(who, server, known, redirect_uri=_NOWHERE, now_s=now_s)
    form = {"resource": found.protected.resource}
    if scopes:
        form["scope"] = " ".join(scopes)
    headers, body = proved(client, server, form, now_s)
    headers |= {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    response = yield HttpRequest("POST", url, headers, urlencode(body).encode())
    told = object_in(response)
    if response.status != 200 or told is None:
        why = plain((told or {}).get("error_description") or (told or {}).get("error") or f"status {response.status}")
        raise LoginFailed(f"authorization server: {server.issuer} begins no login by a code: {why}")
    user_code, device_code = told.get("user_code"), told.get("device_code")
    if not isinstance(user_code, str) or not isinstance(device_code, str) or not 0 < len(user_code) <= _MAX_CODE:
        raise LoginFailed(f"authorization server: {server.issuer} begins a login by a code without one")
    what = f"authorization server: the page of {server.issuer}"
    complete = told.get("verification_uri_complete")
    return Shown(
        client=client,
        user_code=plain(user_code, _MAX_CODE),
        uri=endpoint(told.get("verification_uri"), what),
        complete_uri=None if complete is None else endpoint(complete, what),
        expires_s=now_s + _seconds(told.get("expires_in"), _MAX_S),
        interval_s=_seconds(told.get("interval"), _INTERVAL_S),
        device_code=device_code,
        scopes=tuple(scopes),
    )


def poll(found: Found, shown: Shown, *, now_s: float, dpop: DpopKey | None = None) -> Dance[Login | Shown]:
    """The login; or what to poll with next, while nobody has decided. Raises TokenRefused when it was refused."""
    form = {"grant_type": _GRANT, "device_code": shown.device_code, "resource": found.protected.resource}
    try:
        tokens = yield from request_tokens(
            found.server, shown.client, form, now_s=now_s, scopes=shown.scopes, dpop=dpop
        )
    except TokenRefused as exc:
        if exc.error == "authorization_pending":
            return shown
        if exc.error == "slow_down":
            return msgspec.structs.replace(shown, interval_s=shown.interval_s + _SLOWER_S)
        raise
    return Login(
        resource=found.protected.resource,
        server=found.server,
        client=shown.client,
        tokens=tokens,
        asked=shown.scopes,
        dpop=None if dpop is None else dpop.kept(),
    )


def _seconds(said: object, otherwise: float) -> float:
    return min(float(said), _MAX_S) if isinstance(said, int | float) and said > 0 else otherwise
