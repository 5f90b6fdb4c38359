"""Access tokens, as JWT. Spec: RFC 9068."""

import secrets
from collections.abc import Callable
from typing import Any

from joserfc import jwt

from .grants import Grant
from .keys import ALG, SigningKeys
from .settings import Settings

__all__ = ["AccessTokens", "grant_of"]


class AccessTokens:
    def __init__(self, keys: Callable[[], SigningKeys], settings: Settings, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._keys, self._settings, self._clock = keys, settings, clock

    def mint(self, grant: Grant) -> str:
        keys, now_s = self._keys(), int(self._clock())
        claims: dict[str, Any] = {
            "iss": self._settings.issuer,
            "sub": grant.subject.name,
            "aud": grant.resource,
            "client_id": grant.client,
            "scope": " ".join(grant.scopes),
            "iat": now_s,
            "exp": now_s + int(self._settings.access_s),
            # Names its grant, so that whoever holds the store can tell whether that still is.
            "jti": f"{grant.id}.{secrets.token_urlsafe(12)}",
            "groups": list(grant.subject.groups),
            "tenant": grant.subject.tenant,
        }
        return jwt.encode({"typ": "at+jwt", "alg": ALG, "kid": keys.kid}, claims, keys.newest, algorithms=[ALG])


def grant_of(jti: str) -> str:
    """The id of the grant behind a token of ours."""
    return jti.partition(".")[0]
