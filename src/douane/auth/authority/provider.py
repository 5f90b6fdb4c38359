"""An outside provider that people log in with: what it is asked, and what its answer means here.

It says who somebody is and nothing else; what a client may do is agreed to here. Spec: OpenID Connect Core 1.0 §3.1, §3.1.3.7;
RFC 7636; RFC 9700 §2.1.1.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec

from ...wire import json
from .. import jws
from ..claims import Mapped, check_times, identity_of
from ..exchange import Fetch, HttpRequest
from ..issuers import Discovered
from ..jws import BadToken
from ..keys import Keys, Unreachable
from .parameters import with_parameters
from .subject import Subject

__all__ = ["NotLoggedIn", "Outside", "Provider"]

_ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "EdDSA", "Ed25519"})
_STALE_S = 3_600.0
_MAX_REASON = 200


class NotLoggedIn(Exception):
    """The provider did not say who it is, or not so that it counts. The text is for a person."""


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What is configured of one."""

    name: str
    title: str
    issuer: str
    client_id: str
    client_secret: str | None = None
    scopes: tuple[str, ...] = ("openid",)
    mapped: Mapped = Mapped()


class Provider:
    def __init__(
        self, outside: Outside, fetch: Fetch, *, clock: Callable[[], float], ticks: Callable[[], float]
    ) -> None:
        """`clock`: Unix seconds; `ticks`: monotonic."""
        self.outside, self._fetch, self._clock = outside, fetch, clock
        self._found = Discovered(outside.issuer, fetch)
        self._keys = Keys(self._found.keys, ticks, stale_s=_STALE_S)

    async def page(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent. Raises NotLoggedIn."""
        parameters = {
            "response_type": "code",
            "client_id": self.outside.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.outside.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
            .rstrip(b"=")
            .decode(),
            "code_challenge_method": "S256",
        }
        return with_parameters(await self._endpoint("authorization_endpoint"), parameters)

    async def subject(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> Subject:
        """Who has logged in there. Raises NotLoggedIn."""
        answer = await self._redeemed(code, redirect_uri, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise NotLoggedIn(f"{self.outside.title} did not say who it is.")
        try:
            claims = await self._verified(token, nonce)
            identity = identity_of(claims, self.outside.mapped)
        except (BadToken, Unreachable) as exc:
            raise NotLoggedIn(f"What {self.outside.title} said cannot be believed: {exc}.") from None
        return Subject(identity.subject, tuple(sorted(identity.groups)), identity.tenant, self.outside.issuer)

    async def _redeemed(self, code: str, redirect_uri: str, verifier: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        id_, secret = self.outside.client_id, self.outside.client_secret
        if secret is None:
            form["client_id"] = id_
        else:
            pair = f"{quote_plus(id_)}:{quote_plus(secret)}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        url = await self._endpoint("token_endpoint")
        try:
            answer = await self._fetch(HttpRequest("POST", url, headers, urlencode(form).encode()))
            told = json.decode(answer.body)
        except (OSError, TimeoutError, ValueError) as exc:
            raise NotLoggedIn(f"{self.outside.title} cannot be asked: {exc}.") from None
        if answer.status != 200 or not json.is_object(told):
            raise NotLoggedIn(f"{self.outside.title} took the login back ({answer.status}).")
        return told

    async def _verified(self, token: str, nonce: str) -> Mapping[str, Any]:
        signed = jws.read(token)
        if signed.algorithm not in _ALGORITHMS or str(signed.header.get("typ", "jwt")).lower() != "jwt":
            raise BadToken("it is of another kind")
        jws.verify(signed, await self._keys.of(signed))
        claims = signed.claims
        if claims.get("iss") != self.outside.issuer:
            raise BadToken("it is of another issuer")
        audience = claims.get("aud")
        audience = [audience] if isinstance(audience, str) else audience
        if not isinstance(audience, list) or self.outside.client_id not in audience:
            raise BadToken("it was said to somebody else")
        # Required with several, and wrong whenever it is another.
        if claims.get("azp", self.outside.client_id if len(audience) == 1 else None) != self.outside.client_id:
            raise BadToken("it was said to somebody else")
        check_times(claims, self._clock())
        told = claims.get("nonce")
        if not isinstance(told, str) or not hmac.compare_digest(told.encode(), nonce.encode()):
            raise BadToken("it is of another login")
        return claims

    async def _endpoint(self, name: str) -> str:
        try:
            return await self._found.endpoint(name)
        except (OSError, TimeoutError, Unreachable) as exc:
            raise NotLoggedIn(f"{self.outside.title} cannot be asked: {str(exc)[:_MAX_REASON]}.") from None
