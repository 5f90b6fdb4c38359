"""The tokens of our own authorization server, recognised at our own door, and no longer than what they came of.

An issuer far away can only be believed until a token ends. This one is asked again every few seconds whether what was given still
is, so that whoever takes it back need not wait for that end. Spec: RFC 9068 §4.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ...stores.ports import StoreFailed
from .. import jws
from ..jws import BadToken
from ..jwt import audience_of
from ..keys import Unreachable
from ..tokens import Identity
from ..verified import Verified
from .access import grant_of
from .grants import Grants
from .keys import ALG, SigningKeys

__all__ = ["OwnTokens"]

_LOOK_AGAIN_S = 3.0
"""With the two seconds between two looks at an open stream, five at most until a revocation is in force."""


class OwnTokens:
    """A `Source` of auth.verified."""

    asks = False

    def __init__(
        self,
        issuer: str,
        resources: frozenset[str],
        keys: Callable[[], SigningKeys],
        grants: Grants,
        clock: Callable[[], float],
    ) -> None:
        """`resources`: the URLs of all endpoints. `clock`: Unix seconds."""
        self._issuer, self._resources, self._keys, self._grants, self._clock = issuer, resources, keys, grants, clock

    def takes(self, token: str) -> bool:
        try:
            return jws.read(token).claims.get("iss") == self._issuer
        except BadToken:
            return False

    async def verify(self, token: str) -> Verified:
        """Raises BadToken, Unreachable."""
        claims = self._signed(token)
        now_s = self._clock()
        # One clock has made it and looks at it now, so nothing is added for clocks that differ.
        if claims["exp"] <= now_s:
            raise BadToken("it has expired")
        try:
            grant = await self._grants.get(grant_of(claims["jti"]))
        except StoreFailed as exc:
            raise Unreachable(f"whether a token was revoked cannot be said: {exc}") from None
        if grant is None:
            raise BadToken("what it came of has ended")
        identity = Identity(
            claims["sub"],
            frozenset(claims["groups"]),
            claims["tenant"],
            claims["client_id"],
            frozenset(claims["scope"].split()),
        )
        resources = audience_of(claims, frozenset(), self._resources)
        return Verified(identity, resources, min(claims["exp"], now_s + _LOOK_AGAIN_S))

    def _signed(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that we have made."""
        signed = jws.read(token)
        if signed.header.get("typ") != "at+jwt" or signed.algorithm != ALG:
            raise BadToken("it is of another type than an access token")
        jwk = next((jwk for jwk in self._keys().jwks["keys"] if jwk["kid"] == signed.key_id), None)
        key = jws.public_key(jwk)
        if key is None:
            raise BadToken("it is signed with a key that its issuer does not have")
        jws.verify(signed, key)
        if signed.claims.get("iss") != self._issuer:
            raise BadToken("it is of another issuer")
        return signed.claims
