"""Tasks as 2025-11-25 writes them. Spec: specification/2025-11-25/basic/utilities/tasks.mdx, schema.ts."""

from typing import Any

from ...wire.json import is_object
from ..call import JSON
from ..tasks import RELATED

__all__ = ["newer_task", "offers_older_tasks", "older_task", "related", "unrelated"]

_NAMES = {"ttlMs": "ttl", "pollIntervalMs": "pollInterval"}
_INLINED = frozenset({"resultType", "result", "error", "inputRequests"})
_NEWER = {older: newer for newer, older in _NAMES.items()}


def older_task(handle: JSON) -> dict[str, Any]:
    """What the extension says of a task, less what comes of it."""
    return {_NAMES.get(name, name): value for name, value in handle.items() if name not in _INLINED}


def newer_task(older: JSON) -> dict[str, Any]:
    """The members of the task that a server of that revision tells of."""
    return {_NEWER.get(name, name): value for name, value in older.items() if name != "_meta"}


def offers_older_tasks(capabilities: JSON) -> bool:
    """Whether a server that declares these runs tool calls as tasks."""
    found: object = capabilities
    for name in ("tasks", "requests", "tools"):
        found = found.get(name) if is_object(found) else None
    return is_object(found) and "call" in found


def related(message: JSON, id: str) -> dict[str, Any]:
    """A message whose params say which task it belongs to."""
    params: JSON = message.get("params", {})
    return {**message, "params": {**params, "_meta": {**params.get("_meta", {}), RELATED: {"taskId": id}}}}


def unrelated(result: JSON) -> JSON:
    """A result that does not say any more which task it is of."""
    meta: object = result.get("_meta")
    if not is_object(meta) or RELATED not in meta:
        return result
    rest = {key: value for key, value in meta.items() if key != RELATED}
    less = {name: value for name, value in result.items() if name != "_meta"}
    return {**less, "_meta": rest} if rest else less
