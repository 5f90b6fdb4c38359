"""`context.now`, kept beside the context: as an attribute of an entity of its own.

Cedar gives no member of a record out that holds both an unknown and a call such as `datetime(…)`. With the time in it, one
argument that cannot be judged would fail every rule, not only those that ask for it.
"""

import json
from datetime import UTC, datetime
from typing import Any, cast

__all__ = ["clock_at", "told_by_clock"]

_UID = {"type": "Douane::Clock", "id": "now"}
_NOW = {".": {"left": {"Value": {"__entity": _UID}}, "attr": "at"}}
_CONTEXT = {"Var": "context"}


def told_by_clock(tree: dict[str, Any]) -> dict[str, Any]:
    """The rule with `context.now` read off the clock. Equal to `tree` where it does not ask for the time."""
    return cast("dict[str, Any]", _told(tree))


def clock_at(now_s: float) -> str:
    """The entity to add, as JSON, from seconds since 1970."""
    text = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    attributes = {"at": {"__extn": {"fn": "datetime", "arg": text}}}
    return json.dumps([{"uid": _UID, "attrs": attributes, "parents": []}])


def _told(node: Any) -> Any:
    if isinstance(node, list):
        return [_told(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    if node.get(".") == {"left": _CONTEXT, "attr": "now"}:
        return _NOW
    if node.get("has") == {"left": _CONTEXT, "attr": "now"}:
        return {"Value": True}
    return {key: _told(inner) for key, inner in node.items()}
