"""Clients that show who they are by a signed assertion (private_key_jwt). Spec: RFC 7523 §2.2, §3."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import ClaimsOption

from ...stores.ports import Conflict, Records
from ...wire import json
from .client import Client
from .settings import Settings
from .stored import Shelf, digest

__all__ = ["ALGORITHMS", "Assertions", "key_set"]

ALGORITHMS = ("ES256", "ES384", "PS256", "RS256", "Ed25519", "EdDSA")
_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LEEWAY_S = 60
_MAX_LIFE_S = 600
_MAX_CHARS = 8192


class Assertions:
    def __init__(self, records: Records, settings: Settings, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._settings, self._clock = settings, clock
        self._seen = Shelf(records, "assertion", bool)

    def claimed(self, form: Mapping[str, str]) -> str:
        """The client that an assertion says it is of, before anything of it is verified; empty for none."""
        assertion = form.get("client_assertion", "")
        if form.get("client_assertion_type") != _TYPE or len(assertion) > _MAX_CHARS:
            return ""
        try:
            claims = json.decode(jws.extract_compact(assertion.encode()).payload)
        except (JoseError, ValueError):
            return ""
        subject = claims.get("sub") if isinstance(claims, dict) else None
        return subject if isinstance(subject, str) else ""

    async def fault(self, assertion: str, client: Client) -> str | None:
        """Why it does not show that `client` sent it. Once it has, it is spent. Raises StoreFailed."""
        if client.authenticates != "private_key_jwt" or client.jwks is None:
            return "the client must authenticate as it is registered"
        now_s = self._clock()
        ours = [self._settings.issuer, self._settings.url("/oauth/token")]
        rules = jwt.JWTClaimsRegistry(
            now=int(now_s),
            leeway=_LEEWAY_S,
            iss=ClaimsOption(essential=True, value=client.id),
            sub=ClaimsOption(essential=True, value=client.id),
            aud=ClaimsOption(essential=True, values=ours),
            jti=ClaimsOption(essential=True),
        )
        try:
            token = jwt.decode(assertion, key_set(client.jwks), algorithms=list(ALGORITHMS))
            rules.validate(token.claims)
        except (JoseError, ValueError):
            return "the assertion does not show that the client sent it"
        expires_s = token.claims.get("exp")
        if not isinstance(expires_s, int | float) or expires_s > now_s + _MAX_LIFE_S + _LEEWAY_S:
            return f"the assertion must expire within {_MAX_LIFE_S} seconds"
        try:
            key = digest(f"{client.id} {token.claims['jti']}")
            await self._seen.add(key, True, expires_s + _LEEWAY_S)
        except Conflict:
            return "this assertion was used before"
        return None


def key_set(jwks: Mapping[str, Any]) -> KeySet:
    """Public keys as others write them down. Raises ValueError."""
    try:
        return KeySet.import_key_set(cast("Any", jwks))
    except (JoseError, KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"these are no keys: {exc!r}") from None
