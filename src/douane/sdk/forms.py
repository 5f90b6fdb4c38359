"""Forms of Python types: what a person is asked to fill in, and what came of it as a value of the type.

Spec: specification/2026-07-28/client/elicitation.mdx (requested schema).
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Generic, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from ..flow.rounds import AnswerFault
from ..protocol.call import JSON
from ..protocol.forms import schema_fault
from ..wire.json import is_object
from .hints import decode_foreign, read_hint
from .schemas import remedied, schema_of

__all__ = ["Form", "choices", "form_of"]

T = TypeVar("T")

_MAX_KEPT = 256


def choices(titles: Mapping[str, str]) -> msgspec.Meta:
    """Choices with titles that people read: `size: Annotated[str, choices({"s": "Small", "l": "Large"})]`."""
    return msgspec.Meta(
        extra_json_schema={"oneOf": [{"const": value, "title": said} for value, said in titles.items()]}
    )


class Form(Generic[T]):
    def __init__(self, schema: JSON, type_: Any) -> None:
        self.schema, self._type = schema, type_

    def read(self, content: JSON) -> T:
        """What was filled in, which the schema has been held against. Raises AnswerFault."""
        if self._type is None:
            return cast("T", content)
        asked: Mapping[str, JSON] = self.schema["properties"]
        known = {name: _whole(value, asked[name]) for name, value in content.items() if name in asked}
        try:
            return msgspec.convert(known, self._type, str_keys=True, dec_hook=decode_foreign)
        except msgspec.ValidationError as exc:
            raise AnswerFault(f"does not fit: {exc}") from None


_forms: dict[Any, Form[Any]] = {}


def form_of(form: Any) -> Form[Any]:
    """Raises TypeError, with the remedy, for what no form can hold."""
    if isinstance(form, Mapping):
        return Form(_checked(dict(cast("Mapping[str, Any]", form)), "this schema"), None)
    made = _forms.get(form)
    if made is None:
        if len(_forms) >= _MAX_KEPT:
            _forms.clear()
        made = _forms[form] = _made(form)
    return made


def _made(form: Any) -> Form[Any]:
    name = getattr(form, "__name__", repr(form))
    try:
        hint = read_hint(form)
        schema = schema_of(hint.type)
    except (TypeError, NameError, ValueError) as exc:
        raise TypeError(f"{name} cannot be asked for: {remedied(str(exc))}") from None
    definitions: Mapping[str, JSON] = schema.pop("$defs", {})
    if not is_object(schema.get("properties")):
        raise TypeError(f"{name} cannot be asked for: take a dataclass, a msgspec.Struct or a TypedDict with fields")
    hints = get_type_hints(form, include_extras=True)
    fields = {
        one: _in_order(_flat(field, definitions), _written(hints.get(one)))
        for one, field in schema["properties"].items()
    }
    required: list[str] = schema.get("required", [])
    made: JSON = {"type": "object", "properties": fields}
    return Form(_checked({**made, "required": required} if required else made, name), hint.type)


def _checked(schema: JSON, name: str) -> JSON:
    fault = schema_fault(schema)
    if fault is not None:
        raise TypeError(f"{name} cannot be asked for: {fault}")
    return schema


def _flat(field: JSON, definitions: Mapping[str, JSON]) -> JSON:
    """`field` as a form says it: nothing referred to, and nothing null, since what is not filled in is left out."""
    ref: object = field.get("$ref")
    if isinstance(ref, str):
        kept = {key: value for key, value in field.items() if key != "$ref"}
        found = {key: value for key, value in definitions[ref.removeprefix("#/$defs/")].items() if key != "title"}
        return _flat({**found, **kept}, definitions)
    made = {key: value for key, value in field.items() if key != "default" or value is not None}
    arms: Any = made.pop("anyOf", None)
    if isinstance(arms, list):
        real = [arm for arm in cast("list[JSON]", arms) if arm.get("type") != "null"]
        if len(real) == 1:
            return _flat({**real[0], **made}, definitions)
        made["anyOf"] = arms
    if isinstance(made.get("type"), list):
        kinds = [kind for kind in made["type"] if kind != "null"]
        made["type"] = kinds[0] if len(kinds) == 1 else kinds
    if is_object(items := made.get("items")):
        made["items"] = _item(_flat(items, definitions))
    if "enum" in made:
        made["enum"] = [value for value in made["enum"] if value is not None]
        made.setdefault("type", "string")
    return made


def _written(hint: Any) -> list[Any]:
    """The choices in a hint, as its author has put them: msgspec sorts them, and people read them in order."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return [member.value for member in hint]
    return [value for arg in get_args(hint) for value in _written(arg)]


def _in_order(field: JSON, written: list[Any]) -> JSON:
    if is_object(items := field.get("items")):
        return {**field, "items": _in_order(items, written)}
    if "enum" not in field:
        return field
    return {**field, "enum": sorted(field["enum"], key=lambda value: written.index(value) if value in written else 0)}


def _item(item: JSON) -> JSON:
    # Of a list the titled choices stand in `anyOf`, of a single field in `oneOf` (schema.ts, EnumSchema).
    return {"anyOf": item["oneOf"]} if "oneOf" in item else item


def _whole(value: Any, field: JSON) -> Any:
    return int(value) if field.get("type") == "integer" and isinstance(value, float) else value
