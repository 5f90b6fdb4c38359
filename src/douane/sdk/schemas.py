"""JSON Schema 2020-12 of a Python type, by msgspec, with what it leaves out; and its refusals in words that help."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from .hints import schema_of_foreign

__all__ = ["remedied", "schema_of"]

_REF = "#/$defs/"


def schema_of(type_: Any) -> dict[str, Any]:
    """JSON Schema 2020-12 of a type, its root unfolded. Raises TypeError for what cannot be described."""
    (root,), components = msgspec.json.schema_components(
        [type_], schema_hook=schema_of_foreign, ref_template=_REF + "{name}"
    )
    definitions = _hoisted(components)
    ref: object = root.get("$ref")
    name = ref.removeprefix(_REF) if isinstance(ref, str) else ""
    if name:
        # A recursive type refers to itself, so its definition stays as well.
        root = {**definitions[name], **{key: value for key, value in root.items() if key != "$ref"}}
        if not _refers(definitions, name):
            del definitions[name]
    return {**root, "$defs": definitions} if definitions else root


def _hoisted(components: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions, with those that a foreign schema brought along beside the others."""
    found: dict[str, Any] = {}

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(one) for one in cast("list[Any]", node)]
        if not isinstance(node, dict):
            return node
        members = cast("dict[str, Any]", node)
        if members.get("format") == "decimal":
            # Numbers are read as well, and are what a model writes.
            members["type"] = ["string", "number"]
        elif "enum" in members and "type" not in members:
            members |= _type_of(members["enum"])
        if members.get("required") == []:
            del members["required"]
        brought: Mapping[str, Any] = members.get("$defs", {})
        for name, inner in brought.items():
            if found.setdefault(name, made := walk(inner)) != made:
                raise TypeError(f"two types are called {name!r}; rename one of them")
        return {key: walk(value) for key, value in members.items() if key != "$defs"}

    for name, node in components.items():
        made = walk(node)
        if name in found and found[name] != made:
            raise TypeError(f"two types are called {name!r}; rename one of them")
        found[name] = made
    return found


def _type_of(values: Sequence[object]) -> dict[str, str]:
    # Said as well, since some models are only given enums that have a type.
    if all(type(value) is str for value in values):
        return {"type": "string"}
    return {"type": "integer"} if all(type(value) is int for value in values) else {}


def _refers(definitions: Mapping[str, Any], name: str) -> bool:
    return f'"$ref":"{_REF}{name}"'.encode() in msgspec.json.encode(definitions)


def remedied(fault: str) -> str:
    """What msgspec says of a type it cannot describe, with what to write instead."""
    first = fault.splitlines()[0] if fault else "unknown"
    if "more than one dict-like" in fault:
        return f"{first}; make them msgspec.Struct classes with `tag=True`, so that a value says which it is"
    if "more than one" in fault:
        return f"{first}; JSON could not tell them apart: take the wider one and convert inside the function"
    if "custom types requires" in fault:
        name = fault.rpartition("type ")[2].removesuffix(" is not supported")
        return f"{name} has no JSON form; take a dataclass, a msgspec.Struct, a TypedDict or a built-in type"
    if "Enums must" in fault:
        return f"{first}; give all its members strings, or all of them integers"
    return first
