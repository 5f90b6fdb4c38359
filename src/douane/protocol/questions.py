"""What a server may ask of a client in mid-call: three kinds, what each needs the client to have declared, what answers it.

Spec: specification/2026-07-28/basic/patterns/mrtr.mdx, client/elicitation.mdx, client/sampling.mdx, client/roots.mdx.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from ..wire.json import is_object
from .call import JSON
from .forms import content_fault

__all__ = ["ELICIT", "INPUT_KEY", "ROOTS", "SAMPLE", "answer_fault", "said_missing", "undeclared"]

ELICIT, SAMPLE, ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"
INPUT_KEY = "douane/inputKey"
"""In the `_meta` of a question of the handshake era, which has no keys: the one that callers of the newest see it under.
A hint of ours; who does not know it asks and answers all the same.
"""

_NOTHING: dict[str, Any] = {}


def undeclared(questions: Iterable[JSON], capabilities: JSON) -> dict[str, Any] | None:
    """The ClientCapabilities that `questions` need and `capabilities` lack; None when nothing is missing.

    What no client can be asked needs a capability of its own name, which none has.
    """
    missing: dict[str, Any] = {}
    for question in questions:
        kind, part = _needed(question)
        if not _has(capabilities, kind, part):
            missing.setdefault(kind, {}).update({part: {}} if part else {})
    return missing or None


def said_missing(missing: JSON) -> str:
    """Names of what is missing, as in `elicitation.url, roots`."""
    names = (f"{kind}.{part}" if part else kind for kind, parts in missing.items() for part in (parts or ("",)))
    return ", ".join(names)


def _needed(question: JSON) -> tuple[str, str]:
    params = cast("JSON", question.get("params") or _NOTHING)
    match question.get("method"):
        case "elicitation/create":
            return "elicitation", str(params.get("mode", "form"))
        case "sampling/createMessage":
            return "sampling", "tools" if "tools" in params or "toolChoice" in params else ""
        case "roots/list":
            return "roots", ""
        case other:
            return str(other), ""


def _has(capabilities: JSON, kind: str, part: str) -> bool:
    declared: object = capabilities.get(kind)
    if not is_object(declared):
        return False
    # Before there were modes there were forms: an empty object still means them (client/elicitation.mdx).
    return not part or part in declared or (kind == "elicitation" and part == "form" and not declared)


# --- answers ------------------------------------------------------------------------------------------------------


def answer_fault(question: JSON, answer: object) -> str | None:
    """Why `answer` does not answer `question`, or None. A person who declines has answered."""
    if not is_object(answer):
        return "must be an object"
    params = cast("JSON", question.get("params") or _NOTHING)
    match question.get("method"):
        case "elicitation/create":
            return _elicited_fault(params, answer)
        case "sampling/createMessage":
            return _sampled_fault(answer)
        case "roots/list":
            return _roots_fault(answer)
        case _:
            return "answers nothing that can be asked"


def _elicited_fault(params: JSON, answer: JSON) -> str | None:
    action: object = answer.get("action")
    if action not in ("accept", "decline", "cancel"):
        return "needs an action: accept, decline or cancel"
    if action != "accept" or params.get("mode", "form") != "form":
        return None
    content: object = answer.get("content", _NOTHING)
    if not is_object(content):
        return "has content that is no object"
    return content_fault(cast("JSON", params.get("requestedSchema", _NOTHING)), content)


def _sampled_fault(answer: JSON) -> str | None:
    if answer.get("role") not in ("user", "assistant"):
        return "needs a role: user or assistant"
    if not isinstance(answer.get("model"), str):
        return "needs the name of a model"
    content: object = answer.get("content")
    parts = cast("list[object]", content) if isinstance(content, list) else [content]
    return None if all(map(_is_content, parts)) else "needs content with a type"


def _is_content(part: object) -> bool:
    return is_object(part) and isinstance(part.get("type"), str)


def _roots_fault(answer: JSON) -> str | None:
    roots: object = answer.get("roots")
    if not isinstance(roots, list):
        return "needs a list of roots"
    uris = [cast("Mapping[str, object]", root).get("uri") for root in cast("list[object]", roots) if is_object(root)]
    whole = len(uris) == len(cast("list[object]", roots)) and all(isinstance(uri, str) for uri in uris)
    return None if whole else "needs a uri in each root"
