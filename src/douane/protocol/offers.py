"""What is offered to a server to ask: of a caller's capabilities, what may be passed on; and whether it kept to that.

Spec: specification/2026-07-28/client/*.mdx (capabilities); nobody is offered what was not declared.
"""

from collections.abc import Collection
from typing import Any, Literal

from ..wire.json import is_object
from . import apps
from .call import JSON
from .forms import shape_fault
from .questions import ELICIT, said_missing, undeclared
from .tasks import EXTENSION, accepts

__all__ = ["ASKABLE", "Askable", "offered", "question_fault"]

Askable = Literal["elicitation", "sampling", "roots"]
ASKABLE: tuple[Askable, ...] = ("elicitation", "sampling", "roots")
"""The capabilities of a client that let a server ask."""

_PARTS: dict[Askable, tuple[str, ...]] = {
    "elicitation": ("form", "url"),
    "sampling": ("context", "tools"),
    "roots": (),
}


def offered(capabilities: JSON, kinds: Collection[str]) -> JSON:
    """Of a caller's capabilities, those that let a server ask and are among `kinds`, each said in one way only."""
    found: dict[str, Any] = {}
    for kind in ASKABLE:
        said: object = capabilities.get(kind)
        if kind in kinds and is_object(said):
            found[kind] = {part: {} for part in _PARTS[kind] if part in said}
    if found.get("elicitation") == {}:
        if capabilities["elicitation"]:
            # In ways that are not known here; nothing at all would mean the form again.
            del found["elicitation"]
        else:
            # What 2025-06-18 calls elicitation is the form (2025-11-25/client/elicitation.mdx, capabilities).
            found["elicitation"] = {"form": {}}
    if accepts(capabilities):
        # Whoever asks or not: a task is looked after by its caller.
        found["extensions"] = {EXTENSION: {}}
    if apps.draws(capabilities):
        found = apps.with_apps(found)
    return found


def question_fault(question: object, capabilities: JSON) -> str | None:
    """Why a client with `capabilities` must not be asked this, in words; None: it may be."""
    if not is_object(question) or not is_object(question.get("params", {})):
        return "what is asked is no question"
    missing = undeclared([question], capabilities)
    if missing is not None:
        return f"{said_missing(missing)} was not declared"
    params: JSON = question.get("params", {})
    if question["method"] != ELICIT or params.get("mode", "form") != "form":
        return None
    misshapen = shape_fault(params.get("requestedSchema", {}))
    return None if misshapen is None else f"what is asked is no question: {misshapen}"
