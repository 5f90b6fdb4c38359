"""An authorization request, as it was understood: who asks for what, and where the answer goes.

First that there is such a client and that it may be answered at this place; until both are known nobody is sent anywhere.
Spec: OAuth 2.1 §4.1.1, §4.1.2.1; RFC 7636 §4.3; RFC 8707 §2; RFC 9207 §2.
"""

import re
from collections.abc import Mapping

import msgspec

from ..exchange import HttpResponse
from .client import Client
from .parameters import with_parameters
from .redirects import registered_for
from .settings import Settings

__all__ = ["Asked", "SentBack", "Unanswerable", "back", "read", "redirect_of", "resource_of", "scopes_of"]

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_STATE = 2048


class Unanswerable(Exception):
    """It cannot be said where the answer would go, so a page says what is wrong."""


class SentBack(Exception):
    """The client is told: a code of the registry of OAuth, and words."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    client: Client
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...]
    resource: str
    state: str | None = None
    prompts: frozenset[str] = frozenset()
    """none, login, consent. Spec: OpenID Connect Core 1.0 §3.1.2.1."""


def read(query: Mapping[str, str], client: Client, settings: Settings) -> Asked:
    """Raises SentBack. `redirect_uri` has been looked at."""
    for name in ("request", "request_uri"):
        if name in query:
            raise SentBack(f"{name}_not_supported", f"{name} is not understood here")
    if query.get("response_type") != "code":
        raise SentBack("unsupported_response_type", "response_type must be code")
    if query.get("response_mode", "query") != "query":
        raise SentBack("invalid_request", "response_mode must be query")
    if len(query.get("state", "")) > _MAX_STATE:
        raise SentBack("invalid_request", f"state is longer than {_MAX_STATE} characters")
    return Asked(
        client=client,
        redirect_uri=query["redirect_uri"],
        challenge=_challenge(query),
        scopes=scopes_of(query.get("scope", ""), settings),
        resource=resource_of(query.get("resource"), settings),
        state=query.get("state"),
        prompts=_prompts(query),
    )


def redirect_of(query: Mapping[str, str], client: Client) -> str:
    """Where the answer goes. Raises Unanswerable."""
    asked = query.get("redirect_uri")
    if asked is None:
        raise Unanswerable("The request does not say where the answer should go (redirect_uri).")
    if not registered_for(asked, client.redirect_uris):
        raise Unanswerable("The place the answer would go to (redirect_uri) is not one this client has registered.")
    return asked


def scopes_of(scope: str, settings: Settings) -> tuple[str, ...]:
    """In the order of the settings. Raises SentBack."""
    asked = frozenset(scope.split()) - {"offline_access"} or frozenset(settings.asked_scopes)
    unknown = sorted(asked - settings.scopes.keys())
    if unknown:
        raise SentBack("invalid_scope", f"there is no scope {_plain(unknown[0])} here")
    return tuple(name for name in settings.scopes if name in asked)


def resource_of(asked: str | None, settings: Settings) -> str:
    """What the token will be for. Raises SentBack."""
    # Clients of before 2025-06-18 name none: it is the whole gateway, and nothing else can be meant.
    resource = settings.resources[0] if asked is None else asked
    if resource not in settings.resources:
        raise SentBack("invalid_target", f"tokens from here are for {settings.resources[0]} only")
    return resource


def back(redirect_uri: str, state: str | None, settings: Settings, answer: Mapping[str, str]) -> HttpResponse:
    """The answer to a request whose `redirect_uri` has been looked at."""
    kept = {} if state is None else {"state": state}
    parameters = {**answer, **kept, "iss": settings.issuer}
    # 303: whatever the browser has posted here is not posted there. Spec: RFC 9700 §4.12.
    headers = (("location", with_parameters(redirect_uri, parameters)), ("cache-control", "no-store"))
    return HttpResponse(303, (*headers, ("referrer-policy", "no-referrer")))


def _prompts(query: Mapping[str, str]) -> frozenset[str]:
    prompts = frozenset(query.get("prompt", "").split())
    if "none" in prompts and len(prompts) > 1:
        raise SentBack("invalid_request", "prompt is none and something else")
    return prompts


def _challenge(query: Mapping[str, str]) -> str:
    challenge = query.get("code_challenge", "")
    if query.get("code_challenge_method") != "S256":
        raise SentBack("invalid_request", "code_challenge_method must be S256")
    if not _CHALLENGE.fullmatch(challenge):
        raise SentBack("invalid_request", "code_challenge must be the SHA-256 of the verifier in base64url")
    return challenge


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9:._/-]", "?", text)[:80]
