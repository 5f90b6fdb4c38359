"""Access tokens that an issuer has signed for us. Spec: RFC 9068, RFC 8725; RFC 8707 §2 and RFC 9728 (whom it is for)."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from . import jws
from .claims import LEEWAY_S, Mapped, check_times, identity_of
from .jws import BadToken
from .keys import Keys
from .verified import Verified

__all__ = ["Issuer", "JwtSource", "audience_of", "bound_to"]

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Those of tokens for other purposes (`dpop+jwt`, `logout+jwt`) are refused. Half of the issuers in use still write `JWT`."""
_LOOK_AGAIN_S = 300.0
"""A token is good for no longer than this after its key is."""


class Issuer(msgspec.Struct, frozen=True):
    name: str
    """The issuer identifier, compared as it is: no slash is added or taken away (RFC 8414 §2)."""
    algorithms: frozenset[str]
    audience: frozenset[str] = frozenset()
    """Empty: it has to name an endpoint of ours by its URL. Else: one of these, and then it is for all endpoints."""
    mapped: Mapped = Mapped()
    clients: frozenset[str] = frozenset()
    """Whose tokens are taken; empty: those of every client its issuer gives one to."""
    reserved: frozenset[str] = frozenset()
    """Subjects that are ours: nobody becomes one of them by a name at an issuer."""


class JwtSource:
    """A `Source`."""

    asks = False

    def __init__(self, issuer: Issuer, keys: Keys, resources: frozenset[str], now: Callable[[], float]) -> None:
        """`resources`: the URLs of all endpoints. `now`: Unix seconds."""
        self._issuer, self._keys, self._resources, self._now = issuer, keys, resources, now

    def takes(self, token: str) -> bool:
        try:
            return jws.read(token).claims.get("iss") == self._issuer.name
        except BadToken:
            return False

    async def verify(self, token: str) -> Verified:
        signed = jws.read(token)
        if str(signed.header.get("typ", "jwt")).lower() not in _TYPES:
            raise BadToken("it is of another type than an access token")
        if signed.algorithm not in self._issuer.algorithms:
            raise BadToken("its algorithm is not accepted")
        jws.verify(signed, await self._keys.of(signed))
        return self.accepted(signed.claims)

    def accepted(self, claims: Mapping[str, Any]) -> Verified:
        """What claims that are its issuer's mean here. Raises BadToken."""
        now_s = self._now()
        if claims.get("iss") != self._issuer.name:
            raise BadToken("it is of another issuer")
        ends_s = check_times(claims, now_s)
        identity = identity_of(claims, self._issuer.mapped)
        if identity.subject in self._issuer.reserved:
            raise BadToken("its subject has the name of somebody else here; set a `prefix` for its issuer")
        if self._issuer.clients and identity.client not in self._issuer.clients:
            raise BadToken("it was issued to a client that is not let in here")
        resources = audience_of(claims, self._issuer.audience, self._resources)
        return Verified(identity, resources, min(ends_s + LEEWAY_S, now_s + _LOOK_AGAIN_S), *bound_to(claims))


def audience_of(claims: Mapping[str, Any], wanted: frozenset[str], resources: frozenset[str]) -> frozenset[str]:
    """Which of `resources` it is for. Raises BadToken when it is for none: strings are compared, and nothing else."""
    named = claims.get("aud")
    audience = frozenset([named]) if isinstance(named, str) else _names(named)
    found = resources & audience if not wanted else resources if wanted & audience else None
    if not found:
        raise BadToken("it was not issued for this server")
    return found


def _names(named: object) -> frozenset[str]:
    if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        return frozenset()
    return frozenset(named)


def bound_to(claims: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The thumbprints of the key and of the certificate it is bound to. Raises BadToken for what is not known here."""
    confirmed = claims.get("cnf")
    if confirmed is None:
        return None, None
    known = {"jkt", "x5t#S256"}
    # A token that is bound in a way nobody here can prove would otherwise be good for whoever holds it.
    if not isinstance(confirmed, dict) or not confirmed or not confirmed.keys() <= known:
        raise BadToken("it is bound in a way that is not understood here")
    if not all(isinstance(value, str) for value in confirmed.values()):
        raise BadToken("it is bound in a way that is not understood here")
    return confirmed.get("jkt"), confirmed.get("x5t#S256")
