"""What a revision does not know of a newer one: fields to take out before a peer of that revision sees them.

Spec: schema.ts of each revision; a row is (kind of object, field, first revision with it, first without it).
"""

from collections.abc import Sequence
from typing import Any

from ...wire.json import is_object
from ..call import JSON
from .envelope import META

__all__ = ["ROWS", "strip_item", "strip_result"]

ROWS: tuple[tuple[str, str, str, str | None], ...] = (
    ("tools", "icons", "2025-11-25", None),
    ("tools", "execution", "2025-11-25", "2026-07-28"),
    ("prompts", "icons", "2025-11-25", None),
    ("resources", "icons", "2025-11-25", None),
    ("resourceTemplates", "icons", "2025-11-25", None),
    ("result", "resultType", "2026-07-28", None),
    ("result", "ttlMs", "2026-07-28", None),
    ("result", "cacheScope", "2026-07-28", None),
)


def _unknown(kind: str, revision: str) -> tuple[str, ...]:
    return tuple(
        field
        for what, field, since, until in ROWS
        if what == kind and (revision < since or (until is not None and revision >= until))
    )


_UNKNOWN = {
    (kind, revision): _unknown(kind, revision)
    for kind in {row[0] for row in ROWS}
    for revision in ("2025-06-18", "2025-11-25", "2026-07-28")
}


def strip_item(kind: str, item: JSON, revision: str) -> JSON:
    """A tool, prompt, resource or template as `revision` knows it."""
    unknown: Sequence[str] = _UNKNOWN.get((kind, revision), ())
    if item.keys().isdisjoint(unknown):
        kept: JSON = item
    else:
        kept = {key: value for key, value in item.items() if key not in unknown}
    return _object_output(kept) if kind == "tools" and revision < "2026-07-28" else kept


def _object_output(tool: JSON) -> JSON:
    # Before 2026-07-28 structured results are objects: another schema is left out, the text content carries the value.
    schema: object = tool.get("outputSchema")
    if schema is None or (is_object(schema) and schema.get("type") == "object"):
        return tool
    return {key: value for key, value in tool.items() if key != "outputSchema"}


def strip_result(result: JSON, revision: str) -> JSON | None:
    """`result` as a handshake-era `revision` knows it; None when nothing had to change."""
    unknown = _UNKNOWN["result", revision]
    meta: object = result.get("_meta")
    reserved = is_object(meta) and any(key.startswith(META) for key in meta)
    structured: object = result.get("structuredContent", {})
    if result.keys().isdisjoint(unknown) and not reserved and isinstance(structured, dict):
        return None
    kept: dict[str, Any] = {key: value for key, value in result.items() if key not in unknown}
    if not isinstance(structured, dict):
        del kept["structuredContent"]
    if is_object(meta) and reserved:
        rest = {key: value for key, value in meta.items() if not key.startswith(META)}
        if rest:
            kept["_meta"] = rest
        else:
            del kept["_meta"]
    return kept
