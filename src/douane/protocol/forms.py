"""The forms of an elicitation: flat objects of text, numbers, yes or no, and choices.

A schema may say no more than the specification lists, so that every client can draw it; what a person has filled in is
held against it. Spec: specification/2026-07-28/client/elicitation.mdx (requested schema), schema.ts
(PrimitiveSchemaDefinition).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from ..wire.json import is_object
from .call import JSON

__all__ = ["choices_of", "content_fault", "schema_fault", "shape_fault"]

_SHOWN = frozenset({"type", "title", "description", "default"})
_KEYWORDS: dict[str, frozenset[str]] = {
    "string": _SHOWN | {"minLength", "maxLength", "format", "enum", "oneOf", "enumNames"},
    "number": _SHOWN | {"minimum", "maximum"},
    "integer": _SHOWN | {"minimum", "maximum"},
    "boolean": _SHOWN,
    "array": _SHOWN | {"items", "minItems", "maxItems"},
}
_FORMATS: dict[str, re.Pattern[str]] = {
    "email": re.compile(r"[^@\s]+@[^@\s]+"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "date-time": re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?"),
}
_BOUNDS = ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum")
_MAX_TEXT = 64 * 1024
"""More than anybody types into a form."""


def shape_fault(schema: object) -> str | None:
    """Why nothing can be held against `schema`, or None. It may still say more than a form is allowed to."""
    fields: object = schema.get("properties", {}) if is_object(schema) else None
    if not is_object(schema) or not is_object(fields):
        return "a form is an object with properties"
    required: object = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in cast("list[object]", required)):
        return "`required` must list fields of the form"
    for name, field in fields.items():
        if not is_object(field):
            return f"field {name!r} must be an object"
        bound = next((bound for bound in _BOUNDS if bound in field and type(field[bound]) not in (int, float)), None)
        if bound is not None:
            return f"field {name!r} has a {bound!r} that is no number"
    return None


def schema_fault(schema: JSON) -> str | None:
    """Why `schema` is not one that can be asked with, or None."""
    fields: object = schema.get("properties")
    if schema.get("type") != "object" or not is_object(fields):
        return "a form is an object with properties"
    if odd := schema.keys() - {"$schema", "type", "properties", "required", "title", "description"}:
        return f"a form knows no {sorted(odd)[0]!r}"
    if (misshapen := shape_fault(schema)) is not None:
        return misshapen
    if any(name not in fields for name in schema.get("required", ())):
        return "`required` must list fields of the form"
    faults = ((name, _field_fault(field)) for name, field in fields.items())
    return next((f"field {name!r} {fault}" for name, fault in faults if fault is not None), None)


def _field_fault(field: JSON) -> str | None:
    type_: object = field.get("type")
    known = _KEYWORDS.get(type_) if isinstance(type_, str) else None
    if known is None:
        return "must be a string, number, integer, boolean, or an array of choices"
    if odd := field.keys() - known:
        return f"says {sorted(odd)[0]!r}, which a form cannot; check it after the answer instead"
    if "format" in field and str(field["format"]) not in _FORMATS:
        return f"has a format other than {', '.join(_FORMATS)}"
    if choices_of(field) == []:
        return "offers no choices"
    if type_ == "array" and choices_of(field) is None:
        return "is a list, which has to offer choices: strings that are named"
    return _value_fault(field, field["default"]) if "default" in field else None


def choices_of(field: JSON) -> list[str] | None:
    """What can be chosen in a field; None where anything may be written."""
    inner: object = field.get("items") if field.get("type") == "array" else field
    if not is_object(inner):
        return None
    if isinstance(inner.get("enum"), list):
        return [value for value in cast("list[object]", inner["enum"]) if isinstance(value, str)]
    titled: object = inner.get("oneOf", inner.get("anyOf"))
    if not isinstance(titled, list):
        return None
    found = [one.get("const") for one in cast("list[object]", titled) if is_object(one)]
    return [value for value in found if isinstance(value, str)]


# --- what was filled in -------------------------------------------------------------------------------------------


def content_fault(schema: JSON, content: JSON) -> str | None:
    """Why `content` does not fill in the form, which has a shape, or None. Fields nobody asked for are no fault."""
    fields = cast("Mapping[str, JSON]", schema.get("properties", {}))
    for name in cast("list[str]", schema.get("required", [])):
        if name not in content:
            return f"leaves out {name!r}"
    for name, field in fields.items():
        if name in content and (fault := _value_fault(field, content[name])) is not None:
            return f"has a {name!r} that {fault}"
    return None


def _value_fault(field: JSON, value: object) -> str | None:
    check = _CHECKS.get(str(field.get("type")))
    return check(field, value) if check is not None else None


def _text_fault(field: JSON, value: object) -> str | None:
    if not isinstance(value, str):
        return "is no text"
    choices = choices_of(field)
    if choices is not None:
        return None if value in choices else f"is none of {', '.join(choices)}"
    if len(value) < field.get("minLength", 0):
        return f"is shorter than {field['minLength']} characters"
    if len(value) > field.get("maxLength", _MAX_TEXT):
        return f"is longer than {field.get('maxLength', _MAX_TEXT)} characters"
    shape = _FORMATS.get(str(field.get("format")))
    return f"is no {field['format']}" if shape is not None and not shape.fullmatch(value) else None


def _number_fault(field: JSON, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "is no number"
    # 5.0 is the integer 5, as JSON Schema says.
    if field["type"] == "integer" and isinstance(value, float) and not value.is_integer():
        return "is no whole number"
    if "minimum" in field and value < field["minimum"]:
        return f"is less than {field['minimum']}"
    return f"is more than {field['maximum']}" if "maximum" in field and value > field["maximum"] else None


def _boolean_fault(field: JSON, value: object) -> str | None:
    return None if isinstance(value, bool) else "is neither true nor false"


def _list_fault(field: JSON, value: object) -> str | None:
    if not isinstance(value, list):
        return "is no list"
    chosen, choices = cast("list[object]", value), choices_of(field) or []
    if any(one not in choices for one in chosen):
        return f"holds something else than {', '.join(choices)}"
    if len(chosen) < field.get("minItems", 0):
        return f"has fewer than {field['minItems']}"
    most: Any = field.get("maxItems", len(choices))
    return f"has more than {most}" if len(chosen) > most else None


_CHECKS: dict[str, Callable[[JSON, object], str | None]] = {
    "string": _text_fault,
    "number": _number_fault,
    "integer": _number_fault,
    "boolean": _boolean_fault,
    "array": _list_fault,
}
