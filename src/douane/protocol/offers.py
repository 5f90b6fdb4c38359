"""What a server may ask of a client in mid-call, and the capability each question needs.

A question is `{"method", "params"}`, in both eras: a request of its own in the handshake era, a member of
`inputRequests` since. What was not declared is not asked, and not declared further than it was.
Spec: specification/2026-07-28/client/elicitation.mdx, sampling.mdx, roots.mdx; basic/patterns/mrtr.mdx.
"""

from collections.abc import Collection
from typing import Any, Literal

from ..wire.json import is_object
from .call import JSON

__all__ = ["ASKABLE", "Askable", "askable_of", "lacking", "offered", "question_fault"]

Askable = Literal["elicitation", "sampling", "roots"]
ASKABLE: tuple[Askable, ...] = ("elicitation", "sampling", "roots")
"""The capabilities of a client that let a server ask."""

_METHODS: dict[str, Askable] = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
_PARTS: dict[str, tuple[str, ...]] = {"elicitation": ("form", "url"), "sampling": ("context", "tools"), "roots": ()}
_NOTHING: dict[str, Any] = {}


def askable_of(method: str) -> Askable | None:
    """The capability a question of `method` belongs to; None: no question is asked so."""
    return _METHODS.get(method)


def offered(capabilities: JSON, kinds: Collection[str]) -> JSON:
    """Of a caller's capabilities, those that let a server ask and are among `kinds`, each said in one way only."""
    found: dict[str, Any] = {}
    for kind in ASKABLE:
        said: object = capabilities.get(kind)
        if kind in kinds and is_object(said):
            found[kind] = {part: {} for part in _PARTS[kind] if part in said}
    if found.get("elicitation") == {}:
        # What 2025-06-18 calls elicitation is the form (2025-11-25/client/elicitation.mdx, capabilities).
        found["elicitation"] = {"form": {}}
    return found


def lacking(capabilities: JSON, method: str, params: JSON) -> JSON | None:
    """What `capabilities` would have to hold, and does not, for this question; None: it may be asked.

    Raises KeyError where no question is asked by `method`.
    """
    kind = _METHODS[method]
    part = _part(kind, params)
    said: object = capabilities.get(kind)
    if is_object(said) and (part is None or part in said or (part == "form" and "url" not in said)):
        return None
    return {kind: {part: {}} if part is not None else {}}


def _part(kind: Askable, params: JSON) -> str | None:
    if kind == "elicitation":
        return "url" if params.get("mode") == "url" else "form"
    if kind == "sampling" and ("tools" in params or "toolChoice" in params):
        return "tools"
    return None


def question_fault(question: object, capabilities: JSON) -> str | None:
    """Why a client with `capabilities` must not be asked this, in words; None: it may be."""
    if not is_object(question):
        return "what is asked is no object"
    method: object = question.get("method")
    params: object = question.get("params", _NOTHING)
    if not isinstance(method, str) or method not in _METHODS:
        return f"nobody can be asked {str(method)[:40]!r}"
    if not is_object(params):
        return f"{method} without params"
    lacks = lacking(capabilities, method, params)
    return None if lacks is None else f"{_said(lacks)} was not declared"


def _said(capability: JSON) -> str:
    (kind, parts), *_ = capability.items()
    return ".".join((kind, *parts))
