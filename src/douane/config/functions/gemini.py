"""JSON Schema as Gemini's `parameters` take it: a subset of OpenAPI 3.0.

References are put in, `oneOf` is said as `anyOf`, `const` as `enum`, a type with null as `nullable`, exclusive bounds of
whole numbers as bounds. What cannot be said is left out with a note: it widens what the model may try, never what the
gateway lets through. Spec: ai.google.dev/api/caching#Schema.
"""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["as_openapi"]

_KEPT = (
    *("title", "description", "nullable", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("minLength", "maxLength", "pattern", "minimum", "maximum", "default", "required", "propertyOrdering"),
)
_SILENT = (
    "$schema",
    "$id",
    "$defs",
    "definitions",
    "$comment",
    "examples",
    "readOnly",
    "writeOnly",
    "deprecated",
    "example",
)
_HANDLED = ("type", "properties", "items", "anyOf", "oneOf", "allOf", "enum", "const", "$ref", "format")
_FORMATS = {"string": ("enum", "date-time"), "number": ("float", "double"), "integer": ("int32", "int64")}
_MAX_DEPTH = 24
_MAX_PARTS = 2_000
"""A schema that unfolds to more is cut there: references multiply."""

Noted = Callable[[str], None]


def as_openapi(schema: Mapping[str, Any], noted: Noted) -> dict[str, Any]:
    """The schema of an object."""
    return {**_Translation(schema, noted).part(schema, "", 0, ()), "type": "object"}


class _Translation:
    def __init__(self, root: Mapping[str, Any], noted: Noted) -> None:
        self._root, self._noted, self._left = root, noted, _MAX_PARTS

    def part(self, raw: Any, at: str, depth: int, inside: tuple[str, ...]) -> dict[str, Any]:
        """One schema; `at` is where, `inside` the references that led here."""
        self._left -= 1
        if not isinstance(raw, Mapping):
            return self._any(at, "anything goes there") if raw is True else self._any(at, "is no schema")
        if depth > _MAX_DEPTH or self._left < 0:
            return self._any(at, "is nested too deeply")
        if "$ref" in raw:
            return self._referred(raw, at, depth, inside)
        if isinstance(raw.get("allOf"), list):
            return self.part(self._merged(raw, at), at, depth + 1, inside)
        made = {key: raw[key] for key in _KEPT if key in raw}
        for key in raw:
            if key not in (*_KEPT, *_SILENT, *_HANDLED) and not self._bound(key, raw, made):
                self._note(at, f"{key} is left out")
        self._typed(raw, made, at)
        self._inner(raw, made, at, depth, inside)
        self._chosen(raw, made, at)
        return made

    def _note(self, at: str, text: str) -> None:
        self._noted(f"{at}: {text}" if at else text)

    def _any(self, at: str, why: str) -> dict[str, Any]:
        self._note(at, f"{why}; said as an object")
        return {"type": "object"}

    def _referred(self, raw: Mapping[str, Any], at: str, depth: int, inside: tuple[str, ...]) -> dict[str, Any]:
        reference = str(raw["$ref"])
        found = self._resolved(reference)
        if reference in inside:
            return self._any(at, "holds itself")
        if found is None:
            return self._any(at, f"{reference} is not in the schema")
        beside = {key: value for key, value in raw.items() if key != "$ref"}
        return self.part({**found, **beside}, at, depth + 1, (*inside, reference))

    def _resolved(self, reference: str) -> Mapping[str, Any] | None:
        value: Any = self._root
        if not reference.startswith("#"):
            return None
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, Mapping) else None

    def _merged(self, raw: Mapping[str, Any], at: str) -> dict[str, Any]:
        """`allOf` as one schema: properties and required of all, the first of everything else."""
        made = {key: value for key, value in raw.items() if key != "allOf"}
        for one in raw["allOf"]:
            part = self._resolved(str(one["$ref"])) if isinstance(one, Mapping) and "$ref" in one else one
            if not isinstance(part, Mapping):
                self._note(at, "a part of allOf is left out")
                continue
            made["properties"] = {**(part.get("properties") or {}), **(made.get("properties") or {})}
            made["required"] = list(dict.fromkeys([*(made.get("required") or []), *(part.get("required") or [])]))
            made = {**part, **made}
        return {key: value for key, value in made.items() if value not in ({}, [])}

    def _bound(self, key: str, raw: Mapping[str, Any], made: dict[str, Any]) -> bool:
        """Whether an exclusive bound could be said as one."""
        step = {"exclusiveMinimum": 1, "exclusiveMaximum": -1}.get(key)
        value = raw[key]
        if step is None or raw.get("type") != "integer" or not isinstance(value, int):
            return key == "additionalProperties" and value is False
        made["minimum" if step == 1 else "maximum"] = value + step
        return True

    def _typed(self, raw: Mapping[str, Any], made: dict[str, Any], at: str) -> None:
        kinds = raw.get("type")
        named = [kind for kind in kinds if kind != "null"] if isinstance(kinds, list) else [kinds] if kinds else []
        if isinstance(kinds, list) and "null" in kinds:
            made["nullable"] = True
        if len(named) == 1:
            made["type"] = named[0]
        elif named:
            made["anyOf"] = [{"type": kind} for kind in named]
        elif "properties" in raw:
            made["type"] = "object"
        elif not any(key in raw for key in ("anyOf", "oneOf", "enum", "const")):
            made["type"] = "string"
            self._note(at, "has no type; said as a string")
        if "format" in raw and raw["format"] in _FORMATS.get(str(made.get("type")), ()):
            made["format"] = raw["format"]
        elif "format" in raw:
            self._note(at, f"the format {raw['format']} is left out")

    def _inner(
        self, raw: Mapping[str, Any], made: dict[str, Any], at: str, depth: int, inside: tuple[str, ...]
    ) -> None:
        properties = raw.get("properties")
        if isinstance(properties, Mapping) and properties:
            made["properties"] = {
                name: self.part(value, f"{at}.{name}" if at else str(name), depth + 1, inside)
                for name, value in properties.items()
            }
        if isinstance(made.get("required"), list):
            # What is not declared cannot be demanded.
            made["required"] = [name for name in made["required"] if name in made.get("properties", {})]
            if not made["required"]:
                del made["required"]
        if made.get("type") == "array":
            made["items"] = self.part(raw.get("items", {"type": "string"}), f"{at}[]", depth + 1, inside)
        options = raw.get("anyOf", raw.get("oneOf"))
        if isinstance(options, list):
            real = [one for one in options if not (isinstance(one, Mapping) and one.get("type") == "null")]
            parts = [self.part(one, at, depth + 1, inside) for one in real]
            if len(real) < len(options):
                made["nullable"] = True
            made.pop("type", None) if len(parts) > 1 else None
            made.update(parts[0] if len(parts) == 1 else {"anyOf": parts})

    def _chosen(self, raw: Mapping[str, Any], made: dict[str, Any], at: str) -> None:
        choices = [raw["const"]] if "const" in raw else raw.get("enum")
        if not isinstance(choices, list):
            return
        texts = [one for one in choices if isinstance(one, str)]
        if None in choices:
            made["nullable"] = True
        if len(texts) == len([one for one in choices if one is not None]):
            made |= {"type": "string", "enum": texts}
            return
        # Only text may be chosen from; the model is told the rest in words.
        said = ", ".join(str(one) for one in choices)
        made["description"] = f"{made.get('description', '')} One of: {said}.".strip()
        made.setdefault("type", "integer" if all(type(one) is int for one in choices) else "string")
        self._note(at, "its choices are no text; they are said in its description")
