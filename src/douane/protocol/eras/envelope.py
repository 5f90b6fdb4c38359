"""What both eras read alike: the members of `params`, and `_meta` without what each hop writes anew.

Reserved keys (`io.modelcontextprotocol/…`) and progress tokens belong to one hop; every other `_meta` key is
end to end and survives (specification/2026-07-28/basic/index.mdx, `_meta`).
"""

from typing import Any

from ...wire.codes import INVALID_PARAMS, METHOD_NOT_FOUND
from ...wire.json import is_object
from ..call import JSON
from ..methods import METHODS, target_of
from ..outcome import Refused
from ..versions import Era

__all__ = [
    "CAPABILITIES",
    "CLIENT",
    "LOG_LEVEL",
    "META",
    "SERVER",
    "SUBSCRIPTION",
    "VERSION",
    "Body",
    "kept_meta",
    "read_body",
    "token_of",
]

META = "io.modelcontextprotocol/"
VERSION = META + "protocolVersion"
CAPABILITIES = META + "clientCapabilities"
CLIENT = META + "clientInfo"
LOG_LEVEL = META + "logLevel"
SERVER = META + "serverInfo"
SUBSCRIPTION = META + "subscriptionId"
"""Of what is told on a listen stream: the id of the request that opened it, as it was written."""

_ENVELOPE = frozenset({VERSION, CAPABILITIES, CLIENT, LOG_LEVEL})
_HOP = _ENVELOPE | {"progressToken"}
_FRAME = frozenset({"_meta", "inputResponses", "requestState"})
_KNOWN = {name: method.params | _FRAME for name, method in METHODS.items()}
_OLDER = {name: method.older for name, method in METHODS.items()}
_NOTHING: dict[str, Any] = {}

Body = tuple[dict[str, Any], str | None, JSON]
"""`params` as a Call holds them, the target, and `_meta` as it came."""


def read_body(method: str, params: dict[str, Any], era: Era) -> Body | Refused:
    """The members every request shares, checked against the table of methods."""
    entry = METHODS.get(method)
    if entry is None or era not in entry.eras:
        return Refused(METHOD_NOT_FOUND, f"client: unknown method {method[:80]!r}")
    meta: Any = params.get("_meta", _NOTHING)
    if type(meta) is not dict:
        return Refused(INVALID_PARAMS, "client: params._meta must be an object")
    if not params.keys() <= _KNOWN[method]:
        odd = _odd_case(params, _KNOWN[method] | _OLDER[method])
        if odd:
            return Refused(INVALID_PARAMS, f'client: the member is spelled "{odd}"')
        if era is Era.STATELESS and not params.keys().isdisjoint(_OLDER[method]):
            params = {name: value for name, value in params.items() if name not in _OLDER[method]}
    key = entry.target_key
    target: Any = target_of(method, params) if key is None else params.get(key)
    if key is not None and type(target) is not str:
        return Refused(INVALID_PARAMS, f"client: params.{key} must be a string")
    if "arguments" in params and type(params["arguments"]) is not dict:
        return Refused(INVALID_PARAMS, "client: params.arguments must be an object")
    # Not the caller's own: its progress token is asked for later.
    kept = params.copy()
    kept.pop("_meta", None)
    kept.pop("inputResponses", None)
    kept.pop("requestState", None)
    if not meta.keys() <= _ENVELOPE:
        token: object = meta.get("progressToken")
        if token is not None and type(token) is not str and type(token) is not int:
            return Refused(INVALID_PARAMS, "client: progressToken must be a string or an integer")
        rest = kept_meta(meta)
        if rest:
            kept["_meta"] = rest
    return kept, target, meta


def token_of(params: JSON) -> str | int | None:
    """The caller's progress token in `params` that `read_body` has accepted."""
    meta: object = params.get("_meta")
    token: object = meta.get("progressToken") if is_object(meta) else None
    return token if isinstance(token, str | int) else None


def kept_meta(meta: JSON) -> dict[str, Any]:
    """The keys of `meta` that are end to end."""
    if meta.keys() <= _HOP:
        return {}
    return {key: value for key, value in meta.items() if key not in _HOP and not key.startswith(META)}


def _odd_case(params: dict[str, Any], known: frozenset[str]) -> str | None:
    # Peers that read keys without regard to case would see another value than the one that was judged.
    # Full folding: Go's encoding/json reads the long s and the Kelvin sign as s and k.
    folded = {name.casefold(): name for name in known}
    return next((folded[key.casefold()] for key in params.keys() - known if key.casefold() in folded), None)
