"""Who a token speaks of: claims that have been verified, as an identity. What was configured for one issuer, and no more.

`sub` is unique within its issuer alone, and so are groups; `prefix` keeps those of several apart.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .jws import BadToken
from .tokens import Identity

__all__ = ["LEEWAY_S", "Mapped", "check_times", "identity_of", "number", "text"]

LEEWAY_S = 60.0
"""How far clocks may be apart. The only place that says so."""
_MAX_CHARS = 256
_MAX_VALUES = 1_000
_CLIENT = ("client_id", "azp")
_SCOPES = ("scope", "scp")


class Mapped(msgspec.Struct, frozen=True):
    """Which claims say what. A name with dots also leads into objects: `realm_access.roles`."""

    subject: str = "sub"
    groups: str = "groups"
    tenant: str = ""
    """The claim; empty: all are of `of_tenant`."""
    client: Sequence[str] = _CLIENT
    scopes: Sequence[str] = _SCOPES
    of_tenant: str = "default"
    prefix: str = ""


def identity_of(claims: Mapping[str, Any], mapped: Mapped) -> Identity:
    """Raises BadToken for a claim that is missing or cannot be meant."""
    subject = mapped.prefix + text(claims, mapped.subject)
    return Identity(
        subject,
        frozenset(mapped.prefix + group for group in _texts(_at(claims, mapped.groups), mapped.groups)),
        text(claims, mapped.tenant) if mapped.tenant else mapped.of_tenant,
        next((text(claims, name) for name in mapped.client if _at(claims, name) is not None), ""),
        frozenset(scope for name in mapped.scopes for scope in _texts(_at(claims, name), name)),
    )


def check_times(claims: Mapping[str, Any], now_s: float) -> float:
    """When it ends, in Unix seconds. Raises BadToken unless it is good now. Spec: RFC 7519 §4.1.4 to §4.1.6."""
    ends_s = number(claims, "exp")
    if ends_s is None:
        raise BadToken("it has no end")
    if ends_s + LEEWAY_S <= now_s:
        raise BadToken("it has expired")
    if any((at_s := number(claims, name)) is not None and at_s - LEEWAY_S > now_s for name in ("nbf", "iat")):
        raise BadToken("it is not good yet")
    return ends_s


def number(claims: Mapping[str, Any], name: str) -> float | None:
    """Raises BadToken for what is there and no number."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise BadToken(f"its {name} is no time")
    return float(value)


def text(claims: Mapping[str, Any], name: str) -> str:
    """Raises BadToken for what is missing, and for what nobody could be shown."""
    value = _at(claims, name)
    if not isinstance(value, str) or not value or len(value) > _MAX_CHARS or not value.isprintable():
        raise BadToken(f"its {name} is missing, or no name")
    return value


def _texts(value: object, name: str) -> Sequence[str]:
    if value is None:
        return ()
    found: Sequence[object] = value.split() if isinstance(value, str) else value if isinstance(value, list) else [value]
    texts = [one for one in found if isinstance(one, str) and 0 < len(one) <= _MAX_CHARS and one.isprintable()]
    if len(texts) != len(found) or len(texts) > _MAX_VALUES:
        raise BadToken(f"its {name} is no list of names")
    return texts


def _at(claims: Mapping[str, Any], name: str) -> Any:
    if name in claims:
        return claims[name]
    head, dot, rest = name.partition(".")
    inner = claims.get(head) if dot else None
    return _at(inner, rest) if isinstance(inner, dict) else None
