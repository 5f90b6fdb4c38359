"""Type hints as msgspec reads them: descriptions taken out, constraints of other libraries said in its own words.

`annotated-types` and pydantic are never imported. Their objects are known by what they carry, so an author who has
them may use them, and one who has not pays nothing.
"""

import dataclasses
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

import msgspec

__all__ = [
    "Header",
    "Hint",
    "decode_foreign",
    "default_of",
    "encode_foreign",
    "is_field",
    "read_hint",
    "schema_of_foreign",
]


class Header(NamedTuple):
    """In `Annotated`: callers over Streamable HTTP mirror the argument into the header `Mcp-Param-{name}`, for proxies
    that do not read bodies. Of a text, an integer or a boolean; its value is seen by every proxy on the way.

    Spec: specification/2026-07-28/basic/transports/streamable-http.mdx (custom headers from tool parameters).
    """

    name: str


_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of")
_LENGTHS = ("min_length", "max_length")
_FORMATS: dict[object, dict[str, Any]] = {
    datetime: {"format": "date-time"},
    time: {"format": "time"},
}
"""What msgspec reads and does not say in its schema."""


class Hint(NamedTuple):
    type: Any
    """For msgspec."""
    description: str | None = None


def read_hint(hint: Any) -> Hint:
    """Raises TypeError, with the remedy, for a constraint that could not be kept."""
    said: list[str] = []
    made = _read(hint, said)
    return Hint(made, said[0] if said else None)


def _read(hint: Any, said: list[str]) -> Any:
    if hint is object:
        return Any
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(args[0], args[1:], said)
    if origin in (Union, types.UnionType):
        return Union[tuple(_read(arg, said) for arg in args)]  # noqa: UP007 -- there is no `|` over a tuple
    if hint is datetime or hint is time:
        return Annotated[hint, msgspec.Meta(extra_json_schema=_FORMATS[hint])]
    if origin is Iterable:
        return list[_read(args[0], [])]
    if isinstance(origin, type) and args and _is_container(origin):
        inner = tuple(arg if arg is Ellipsis else _read(arg, []) for arg in args)
        return hint if inner == args else cast("Any", origin)[inner]
    _refuse_lost_constraints(hint, set())
    return hint


def _is_container(origin: type) -> bool:
    return origin.__module__ in ("builtins", "collections", "collections.abc")


def _annotated(inner: Any, notes: tuple[Any, ...], said: list[str]) -> Any:
    made = _read(inner, said)
    kept: dict[str, Any] = {}
    metas: list[msgspec.Meta] = []
    for note in notes:
        if isinstance(note, msgspec.Meta):
            metas.append(note)
            if note.description:
                said.insert(0, note.description)
        elif isinstance(note, str):
            said.insert(0, note)
        elif isinstance(note, Header):
            metas.append(msgspec.Meta(extra_json_schema={"x-mcp-header": note.name}))
        else:
            kept |= _constraints(note, said)
    if kept:
        made = _bounded(made, msgspec.Meta(**kept))
    return Annotated[(made, *metas)] if metas else made


def _bounded(type_: Any, bounds: msgspec.Meta) -> Any:
    # `Annotated[int | None, Gt(0)]` bounds the integer; msgspec wants to be told so.
    if get_origin(type_) not in (Union, types.UnionType):
        return Annotated[type_, bounds]
    arms = (arm if arm is type(None) else Annotated[arm, bounds] for arm in get_args(type_))
    return Union[tuple(arms)]  # noqa: UP007 -- there is no `|` over a tuple


def _constraints(note: Any, said: list[str]) -> dict[str, Any]:
    """What an object of another library asks of the value, for msgspec.Meta."""
    documentation = getattr(note, "documentation", None)
    if isinstance(documentation, str):  # typing_extensions.Doc
        said.insert(0, documentation)
        return {}
    found: dict[str, Any] = {}
    nested: object = getattr(note, "metadata", None)
    if isinstance(nested, list):  # pydantic's FieldInfo
        if getattr(note, "alias", None) is not None:
            raise TypeError(f"the alias {note.alias!r} would be lost: give the argument that name")
        if isinstance(getattr(note, "description", None), str):
            said.insert(0, note.description)
        for one in cast("list[Any]", nested):
            found |= _constraints(one, said)
        return found
    for name in (*_BOUNDS, *_LENGTHS, "pattern"):
        value = getattr(note, name, None)
        if value is not None and not callable(value):
            found[name] = value
    if found.get("min_length") == 0:
        del found["min_length"]
    if not found and type(note).__module__.partition(".")[0] in ("annotated_types", "pydantic", "pydantic_core"):
        raise TypeError(f"the constraint {note!r} cannot be said in JSON Schema here; use msgspec.Meta")
    return found


def _refuse_lost_constraints(hint: Any, seen: set[type], owner: str = "") -> None:
    """Raises TypeError for the constraint of another library inside a class: msgspec, which reads the hints there
    itself, would pass over it in silence."""
    if get_origin(hint) is Annotated and owner:
        for note in hint.__metadata__:
            if not isinstance(note, str | msgspec.Meta) and _constraints(note, []):
                raise TypeError(f"the constraint {note!r} of {owner} would be lost: inside a class, use msgspec.Meta")
    for arg in get_args(hint):
        _refuse_lost_constraints(arg, seen, owner)
    if isinstance(hint, type) and hint not in seen and _has_fields(hint):
        seen.add(hint)
        for name, inner in get_type_hints(hint, include_extras=True).items():
            _refuse_lost_constraints(inner, seen, f"{hint.__name__}.{name}")


def _has_fields(cls: type) -> bool:
    return (
        dataclasses.is_dataclass(cls)
        or issubclass(cls, msgspec.Struct)
        or hasattr(cls, "__total__")  # a TypedDict, of either typing module
        or hasattr(cls, "_fields")  # a NamedTuple
    )


# --- types that msgspec does not know ------------------------------------------------------------------------------

_TEXTS: dict[type, str] = {Path: "path", IPv4Address: "ipv4", IPv6Address: "ipv6"}
"""Read from text and written as text, with the format their schema names."""


def is_pydantic(cls: object) -> bool:
    module = sys.modules.get("pydantic")
    return module is not None and isinstance(cls, type) and issubclass(cls, module.BaseModel)


def schema_of_foreign(cls: type) -> dict[str, Any]:
    """The schema hook of msgspec."""
    if cls in _TEXTS:
        return {"type": "string", "format": _TEXTS[cls]}
    if is_pydantic(cls):
        return cast("Any", cls).model_json_schema(ref_template="#/$defs/{model}")
    raise NotImplementedError(f"{cls.__name__} is not a type that can be described")


def decode_foreign(cls: type, value: object) -> Any:
    """The decoding hook of msgspec. Raises ValueError with one line."""
    if cls in _TEXTS:
        if not isinstance(value, str):
            raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
        return cls(value)
    if not is_pydantic(cls):
        raise NotImplementedError(cls.__name__)
    try:
        return cast("Any", cls).model_validate(value)
    except ValueError as exc:
        errors: Callable[[], list[Mapping[str, Any]]] | None = getattr(exc, "errors", None)
        if errors is None:
            raise
        told = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in errors())
        raise ValueError("; ".join(told)) from None


def encode_foreign(value: object) -> Any:
    """The encoding hook of msgspec. Raises TypeError."""
    if isinstance(value, tuple(_TEXTS)):
        return str(value)
    if is_pydantic(type(value)):
        return cast("Any", value).model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def is_field(default: object) -> bool:
    """Is a default what pydantic's `Field()` returns?"""
    return type(default).__name__ == "FieldInfo" and type(default).__module__.startswith("pydantic")


def default_of(field: Any, missing: object) -> Any:
    """The default in what `Field()` returned; `missing` without one. Raises TypeError for a factory."""
    if field.default_factory is not None:
        raise TypeError("a default_factory would be called by nobody: write the default itself")
    return missing if field.is_required() else field.default
