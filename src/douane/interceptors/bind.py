"""BIND: secrets that the operator declares, put where a tool wants them, after everything that looks at a call.

Policies, people and the log see the name and the version of a secret in its place. What comes back is looked through: a
secret that a server repeats is masked before anybody else sees it. One that the tool wants mirrored into a header is not
bound, since headers are read on the way.
"""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from ..flow.chain import Gate, Stage, Trail
from ..protocol.call import JSON, Call, Event
from ..protocol.outcome import Complete, Deferred, Failed, InputRequired, Outcome, Refused
from ..protocol.param_headers import ParamHeader
from ..wire.codes import INVALID_PARAMS, POLICY_DENIED
from ..wire.json import is_object

__all__ = ["MIN_CHARS", "Path", "Secret", "make"]

MIN_CHARS = 8
"""Of a secret: a shorter one would be masked wherever its letters stand."""

Path = tuple[str, ...]
"""Names of members, from the arguments of a call to the text that is bound."""


class Secret(msgspec.Struct, frozen=True):
    name: str
    version: str
    """Tells whether two calls were bound to the same value, and nothing of it."""
    value: str

    def __repr__(self) -> str:
        return f"Secret({self.name!r}, version={self.version!r})"

    @property
    def reference(self) -> str:
        """What stands in its place."""
        return f"douane-secret:{self.name}@{self.version}"


class _Unbindable(ValueError):
    """An argument leaves no room for a secret; the text says which."""


def make(
    positions: Mapping[str, Mapping[Path, Secret]], mirrored: Callable[[str], Sequence[ParamHeader]]
) -> tuple[Gate, Gate]:
    """The gate that names secrets in a call, which stands before INTENT, and the one that puts them there.

    `positions`: by the tool's own name. `mirrored`: the arguments that a tool, as it is shown, wants in headers.
    """
    secrets = {secret for bound in positions.values() for secret in bound.values()}
    masks = [(form, f"[secret {secret.name}]") for secret in secrets for form in _forms(secret.value)]
    # The longest first: one may be a part of another.
    masks.sort(key=lambda mask: -len(mask[0]))

    def refer(call: Call) -> Call | Refused:
        bound = _of(positions, call)
        if not bound:
            return call
        in_headers = {header.path for header in mirrored(call.target or "")}
        for path in bound:
            if path in in_headers:
                said = f"policy: {'.'.join(path)} of {call.target} is bound to a secret, and wanted in a header as well"
                return Refused(POLICY_DENIED, f"{said}, where secrets are read on the way; nothing was sent")
        try:
            return replace(call, params=_with(call.params, {path: s.reference for path, s in bound.items()}))
        except _Unbindable as exc:
            return Refused(INVALID_PARAMS, f"client: {exc}")

    def bind(call: Call) -> Call:
        bound = _of(positions, call)
        return replace(call, params=_with(call.params, {p: s.value for p, s in bound.items()})) if bound else call

    def close(call: Call, outcome: Outcome, trail: Trail) -> Outcome:
        bound = _of(positions, call)
        if bound:
            # What is recorded from here on is the call as everybody else saw it.
            trail.call = replace(call, params=_with(call.params, {p: s.reference for p, s in bound.items()}))
        return _masked_outcome(outcome, masks)

    def hear(call: Call, event: Event) -> Event:
        params = cast("JSON", _masked(event.params, masks))
        return event if params is event.params else Event(event.method, params)

    return (
        Gate("refer", Stage.RESILIENCE, refer),
        Gate("bind", Stage.BIND, bind, hear=hear, close=close),
    )


def _of(positions: Mapping[str, Mapping[Path, Secret]], call: Call) -> Mapping[Path, Secret]:
    return positions.get(call.name or "", {}) if call.method == "tools/call" else {}


def _with(params: JSON, texts: Mapping[Path, str]) -> JSON:
    """`params` with these texts in its arguments, whatever stood there. Raises _Unbindable."""
    arguments: object = params.get("arguments", {})
    for path, text in texts.items():
        arguments = _set(arguments, path, text)
    return {**params, "arguments": arguments}


def _set(within: object, path: Path, text: str) -> JSON:
    if not is_object(within):
        raise _Unbindable(f"the argument above {path[0]!r} must be an object: a secret is bound below it")
    rest = path[1:]
    return {**within, path[0]: _set(within.get(path[0], {}), rest, text) if rest else text}


# --- what comes back ----------------------------------------------------------------------------------------------

Masks = Sequence[tuple[str, str]]


def _forms(value: str) -> set[str]:
    """How servers write it when they repeat it: as it is, within JSON, in a URL, in base64."""
    raw = value.encode()
    within = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    return {value, *within, quote(value, safe=""), b64encode(raw).decode(), urlsafe_b64encode(raw).decode()}


def _masked_outcome(outcome: Outcome, masks: Masks) -> Outcome:
    match outcome:
        case Complete(result):
            masked = _masked(result, masks)
            return outcome if masked is result else Complete(cast("JSON", masked))
        case InputRequired(asks):
            masked = _masked(asks, masks)
            return outcome if masked is asks else replace(outcome, asks=cast("JSON", masked))
        case Deferred(task):
            masked = _masked(task, masks)
            return outcome if masked is task else Deferred(cast("JSON", masked))
        case Failed(_, message, _, data):
            said, more = _masked(message, masks), _masked(data, masks)
            return outcome if said is message and more is data else replace(outcome, message=said, data=more)
        case Refused(_, reason, data):
            said, more = _masked(reason, masks), _masked(data, masks)
            return outcome if said is reason and more is data else replace(outcome, reason=said, data=more)


def _masked(value: Any, masks: Masks) -> Any:
    """`value` with no secret in any of its texts; itself, where there is none."""
    if isinstance(value, str):
        for secret, mask in masks:
            if secret in value:
                value = value.replace(secret, mask)
        return value
    if isinstance(value, list | tuple):
        made = [_masked(one, masks) for one in cast("Sequence[Any]", value)]
        return value if all(a is b for a, b in zip(made, cast("Sequence[Any]", value), strict=True)) else made
    if is_object(value):
        pairs = [(_masked(key, masks), _masked(one, masks)) for key, one in value.items()]
        same = all(k is key and v is one for (k, v), (key, one) in zip(pairs, value.items(), strict=True))
        return value if same else dict(pairs)
    return value
