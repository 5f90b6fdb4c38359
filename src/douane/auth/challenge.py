"""What a `WWW-Authenticate` header demands: schemes in any case, with their parameters.

A header may hold several, and a comma separates both them and their parameters, so each is read to its end before the
next may begin. What cannot be read is left out: a server that writes nonsense has demanded nothing that could be followed.
Spec: RFC 9110 §11.2, §11.6.1.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

__all__ = ["Demand", "demand_of", "read_demands", "scopes_of"]

_MAX_HEADER = 8192
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAM = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?=\s|,|$)")
_TOKEN68 = re.compile(r"\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))")
_COMMA = re.compile(r"\s*,")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_OURS = ("dpop", "bearer")
"""That follow the rules of OAuth; the stricter first."""


class Demand(NamedTuple):
    scheme: str
    """In lower case."""
    params: Mapping[str, str]
    """Names in lower case; of two that are equal, the first."""


def read_demands(headers: Sequence[str]) -> list[Demand]:
    return [demand for header in headers for demand in _read(header[:_MAX_HEADER])]


def demand_of(headers: Sequence[str]) -> Demand | None:
    """The one to follow, of all that are there."""
    demands = read_demands(headers)
    return next((demand for scheme in _OURS for demand in demands if demand.scheme == scheme), None)


def scopes_of(text: str | None) -> tuple[str, ...]:
    """Each once, in their order. Spec: RFC 6749 §3.3."""
    return tuple(dict.fromkeys(one for one in (text or "").split(" ") if _SCOPE.fullmatch(one)))


def _read(header: str) -> Iterator[Demand]:
    at = 0
    while (scheme := _SCHEME.match(header, at)) is not None:
        at = scheme.end()
        params: dict[str, str] = {}
        opaque = _TOKEN68.match(header, at)
        if opaque is not None:
            at = opaque.end()
        while opaque is None and (param := _PARAM.match(header, at)) is not None:
            name, quoted, plain = param.groups()
            params.setdefault(name.lower(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
            at = param.end()
            comma = _COMMA.match(header, at)
            if comma is None:
                break
            at = comma.end()
        yield Demand(scheme[1].lower(), params)
