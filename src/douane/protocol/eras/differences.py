"""What a revision does not know of a newer one: fields to take out before a peer of that revision sees them.

Spec: schema.ts of each revision; a row is (kind of object, field, first revision with it, first without it). Content
of an unknown type becomes text, and what was structured alone becomes text too: nothing is lost without a word.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from ...wire import json
from ...wire.json import is_object
from ..call import JSON, Event
from ..tasks import RELATED
from ..versions import HANDSHAKE, STATELESS
from .envelope import META

__all__ = ["ROWS", "strip", "strip_capabilities", "strip_event", "strip_item", "strip_question", "strip_result"]

_LISTED = ("tools", "prompts", "resources", "resourceTemplates")

ROWS: tuple[tuple[str, str, str, str | None], ...] = (
    *((kind, field, "2025-06-18", None) for kind in _LISTED for field in ("title", "_meta")),
    *((kind, "icons", "2025-11-25", None) for kind in _LISTED),
    ("tools", "annotations", "2025-03-26", None),
    ("tools", "outputSchema", "2025-06-18", None),
    ("tools", "execution", "2025-11-25", "2026-07-28"),
    ("argument", "title", "2025-06-18", None),
    ("annotations", "lastModified", "2025-06-18", None),
    ("content", "_meta", "2025-06-18", None),
    ("content", "icons", "2025-11-25", None),
    ("result", "structuredContent", "2025-06-18", None),
    ("result", "resultType", "2026-07-28", None),
    ("result", "ttlMs", "2026-07-28", None),
    ("result", "cacheScope", "2026-07-28", None),
    ("implementation", "title", "2025-06-18", None),
    *(("implementation", field, "2025-11-25", None) for field in ("description", "icons", "websiteUrl")),
    ("server", "completions", "2025-03-26", None),
    ("server", "tasks", "2025-11-25", "2026-07-28"),
    ("tools/call", "task", "2025-11-25", "2026-07-28"),
    ("client", "elicitation", "2025-06-18", None),
    *(("client.elicitation", field, "2025-11-25", None) for field in ("form", "url")),
    *(("client.sampling", field, "2025-11-25", None) for field in ("tools", "context")),
    *(("sampling/createMessage", field, "2025-11-25", None) for field in ("tools", "toolChoice")),
    ("elicitation/create", "mode", "2025-11-25", None),
    *((kind, "default", "2025-11-25", None) for kind in ("string", "number", "integer")),
    ("notifications/progress", "message", "2025-03-26", None),
    ("completion/complete", "context", "2025-06-18", None),
)
"""`content` is a part of a message or of a resource; `server` and `client` the capabilities of each; a method stands for
its params, a type of JSON Schema for a field of a form."""


def _unknown(kind: str, revision: str) -> frozenset[str]:
    return frozenset(
        field
        for what, field, since, until in ROWS
        if what == kind and (revision < since or (until is not None and revision >= until))
    )


_UNKNOWN = {
    (kind, revision): fields
    for kind in {row[0] for row in ROWS}
    for revision in (*HANDSHAKE, *STATELESS)
    if (fields := _unknown(kind, revision))
}
_NONE: frozenset[str] = frozenset()


def _audio(part: JSON) -> str:
    return f"[audio of type {part.get('mimeType')}, which this revision of the protocol cannot carry]"


def _link(part: JSON) -> str:
    return f"{part.get('name')}: {part.get('uri')}"


_TYPES: tuple[tuple[str, str, Callable[[JSON], str]], ...] = (
    ("audio", "2025-03-26", _audio),
    ("resource_link", "2025-06-18", _link),
)
"""Types of content: the first revision with it, and what is said in its place before."""
_AS_TEXT = {
    revision: {type_: say for type_, since, say in _TYPES if revision < since} for revision in (*HANDSHAKE, *STATELESS)
}


def strip(kind: str, value: JSON, revision: str) -> JSON:
    """An object of `kind` as `revision` knows it; itself when nothing had to change."""
    unknown = _UNKNOWN.get((kind, revision), _NONE)
    if value.keys().isdisjoint(unknown):
        return value
    return {key: part for key, part in value.items() if key not in unknown}


def strip_item(kind: str, item: JSON, revision: str) -> JSON:
    """A tool, prompt, resource or template as `revision` knows it."""
    kept = strip(kind, item, revision)
    if kind == "tools":
        return _object_output(kept) if revision in HANDSHAKE else kept
    return _each(_annotated(kept, revision), "arguments", lambda argument: strip("argument", argument, revision))


def _object_output(tool: JSON) -> JSON:
    # Before 2026-07-28 structured results are objects: another schema is left out, the text content carries the value.
    schema: object = tool.get("outputSchema")
    if schema is None or (is_object(schema) and schema.get("type") == "object"):
        return tool
    return {key: value for key, value in tool.items() if key != "outputSchema"}


def strip_event(event: Event, revision: str) -> Event:
    """Something said during a call, as `revision` knows it."""
    kept = strip(event.method, event.params, revision)
    return event if kept is event.params else Event(event.method, kept)


# --- questions ----------------------------------------------------------------------------------------------------


def strip_capabilities(capabilities: JSON, revision: str) -> JSON:
    """What a client of `revision` has declared: what its revision does not know means nothing."""
    kept = strip("client", capabilities, revision)
    for name in ("elicitation", "sampling"):
        part: object = kept.get(name)
        if is_object(part) and (less := strip(f"client.{name}", part, revision)) is not part:
            kept = {**kept, name: less}
    return kept


def strip_question(question: JSON, revision: str) -> JSON | str:
    """A question of the newest revision as `revision` knows it; or what cannot be said in it.

    Spec: client/elicitation.mdx and client/sampling.mdx of each revision.
    """
    method: str = question["method"]
    params = cast("JSON", question.get("params") or {})
    params = strip(method, params, revision)
    if method == "sampling/createMessage":
        params = _each(params, "messages", lambda message: _message(message, revision))
        if revision < "2025-11-25" and any(_is_list(message, "content") for message in params.get("messages", ())):
            return "messages with several parts"
    schema: object = params.get("requestedSchema")
    if is_object(schema):
        form = _older_form(schema, revision) if revision < "2025-11-25" else schema
        if isinstance(form, str):
            return form
        params = {**params, "requestedSchema": form}
    return {"method": method, "params": params}


def _is_list(value: JSON, member: str) -> bool:
    return isinstance(value.get(member), list)


def _older_form(schema: JSON, revision: str) -> JSON | str:
    fields = cast("Mapping[str, JSON]", schema.get("properties", {}))
    lists = [name for name, field in fields.items() if field.get("type") == "array"]
    if lists:
        return f"a choice of several ({lists[0]!r})"
    return {**schema, "properties": {name: _older_field(field, revision) for name, field in fields.items()}}


def _older_field(field: JSON, revision: str) -> JSON:
    kept = strip(str(field.get("type")), field, revision)
    titled = cast("list[JSON] | None", kept.get("oneOf"))
    if titled is None:
        return kept
    rest = {key: value for key, value in kept.items() if key != "oneOf"}
    return {**rest, "enum": [one["const"] for one in titled], "enumNames": [one["title"] for one in titled]}


# --- results ------------------------------------------------------------------------------------------------------


def strip_result(result: JSON, revision: str) -> JSON | None:
    """`result` as a handshake-era `revision` knows it; None when nothing had to change."""
    parts = _strip_parts(result, revision)
    unknown = _UNKNOWN["result", revision]
    meta: object = parts.get("_meta")
    reserved = is_object(meta) and any(map(_is_reserved, meta))
    structured: object = parts.get("structuredContent", {})
    if parts.keys().isdisjoint(unknown) and not reserved and isinstance(structured, dict):
        return None if parts is result else parts
    kept: dict[str, Any] = {key: value for key, value in parts.items() if key not in unknown}
    if not isinstance(structured, dict):
        kept.pop("structuredContent", None)
    if "structuredContent" in parts and "structuredContent" not in kept and not kept.get("content"):
        kept["content"] = [_text(json.encode(structured).decode())]
    if is_object(meta) and reserved:
        rest = {key: value for key, value in meta.items() if not _is_reserved(key)}
        if rest:
            kept["_meta"] = rest
        else:
            del kept["_meta"]
    return kept


def _is_reserved(key: str) -> bool:
    return key.startswith(META) and key != RELATED


def _strip_parts(result: JSON, revision: str) -> JSON:
    """Parts of content, wherever a result holds them: of a tool, of a prompt's messages, of a resource."""
    if ("content", revision) not in _UNKNOWN:
        return result
    for member in ("content", "contents"):
        result = _each(result, member, lambda part: _content(part, revision))
    return _each(result, "messages", lambda message: _message(message, revision))


def _message(message: JSON, revision: str) -> JSON:
    part: object = message.get("content")
    kept = _content(part, revision) if is_object(part) else part
    return message if kept is part else {**message, "content": kept}


def _content(part: JSON, revision: str) -> JSON:
    say = _AS_TEXT[revision].get(str(part.get("type")))
    if say is not None:
        return _text(say(part))
    kept = _annotated(strip("content", part, revision), revision)
    inner: object = kept.get("resource")
    if not is_object(inner):
        return kept
    resource = strip("content", inner, revision)
    return kept if resource is inner else {**kept, "resource": resource}


def _annotated(value: JSON, revision: str) -> JSON:
    annotations: object = value.get("annotations")
    if not is_object(annotations):
        return value
    kept = strip("annotations", annotations, revision)
    return value if kept is annotations else {**value, "annotations": kept}


def _each(value: JSON, member: str, change: Callable[[JSON], JSON]) -> JSON:
    """`value` with `change` made to each object of a list in it; itself when nothing had to change."""
    found: object = value.get(member)
    if not isinstance(found, list):
        return value
    items = cast("list[Any]", found)
    changed = [change(item) if is_object(item) else item for item in items]
    same = all(new is old for new, old in zip(changed, items, strict=True))
    return value if same else {**value, member: changed}


def _text(said: str) -> Mapping[str, Any]:
    return {"type": "text", "text": said}
