"""Arguments of a tool that are mirrored into headers, as its schema asks for with `x-mcp-header`.

Spec: specification/2026-07-28/basic/transports/streamable-http.mdx (custom headers from tool parameters).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import msgspec

from ..wire.headers import HeaderError, decode_value, encode_value
from ..wire.json import is_object
from .call import JSON

__all__ = ["ParamHeader", "header_values", "mirrored", "param_fault", "param_headers", "unmarked"]

_MARK = "x-mcp-header"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TYPES = ("string", "integer", "boolean")
_INTEGER = re.compile(r"(-?[0-9]{1,16})(?:\.0*)?")
_SAFE = 2**53 - 1
"""Beyond it JavaScript loses integers."""


class ParamHeader(msgspec.Struct, frozen=True):
    """One argument and its header."""

    name: bytes
    """In lower case, as headers are compared."""
    path: tuple[str, ...]


def param_headers(schema: object) -> tuple[ParamHeader, ...]:
    """What the input schema of a tool mirrors. Raises ValueError when it says so in a way that nobody may follow.

    Such a tool is not offered over HTTP: what is mirrored could not be told.
    """
    found = tuple(_reachable(schema, ()))
    names = [header.name for header in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two arguments have the same {_MARK}; letter case does not tell them apart")
    if _count(schema) > len(found):
        raise ValueError(f"{_MARK} must be on an argument, or on a member of one that is an object in its own right")
    return found


def _reachable(schema: object, path: tuple[str, ...]) -> Iterator[ParamHeader]:
    properties: object = schema.get("properties") if is_object(schema) else None
    if not is_object(properties):
        return
    for name, one in properties.items():
        if not is_object(one):
            continue
        if _MARK in one:
            yield _header(one, (*path, name))
        yield from _reachable(one, (*path, name))


def _header(schema: JSON, path: tuple[str, ...]) -> ParamHeader:
    said: object = schema[_MARK]
    argument = ".".join(path)
    if not isinstance(said, str) or not _TOKEN.fullmatch(said):
        raise ValueError(f"argument {argument!r}: {_MARK} must be a header name, of letters, digits and `-`")
    if schema.get("type") not in _TYPES:
        raise ValueError(f"argument {argument!r}: {_MARK} is for a string, an integer or a boolean, and nothing else")
    return ParamHeader(b"mcp-param-" + said.lower().encode(), path)


def _count(schema: object) -> int:
    """How often a schema has the mark, wherever it stands. What are values and not schemas is not looked into."""
    if isinstance(schema, list):
        return sum(map(_count, cast("list[object]", schema)))
    if not is_object(schema):
        return 0
    below = sum(_named(key, value) for key, value in schema.items() if key not in _VALUES)
    return below + (_MARK in schema)


_VALUES = frozenset({"const", "default", "enum", "examples"})
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose members are names of the author's, each with a schema."""


def _named(key: str, value: object) -> int:
    if key in _NAMED and is_object(value):
        return sum(map(_count, value.values()))
    return _count(value)


def unmarked(schema: JSON) -> JSON:
    """The schema without the mark, wherever it stands: for one that says it wrongly, where nobody needs to follow it."""
    return {key: value if key in _VALUES else _unmarked(key, value) for key, value in schema.items() if key != _MARK}


def _unmarked(key: str, value: object) -> object:
    if isinstance(value, list):
        return [_unmarked("", one) for one in cast("list[object]", value)]
    if not is_object(value):
        return value
    return {name: _unmarked("", one) for name, one in value.items()} if key in _NAMED else unmarked(value)


def mirrored(definition: JSON) -> tuple[ParamHeader, ...]:
    """What the definition of a tool mirrors. Nothing where it says so wrongly: by such a one no client calls over HTTP."""
    try:
        return param_headers(definition.get("inputSchema"))
    except ValueError:
        return ()


def header_values(headers: Sequence[ParamHeader], arguments: object) -> list[tuple[bytes, bytes]]:
    """The headers of a call with these arguments. What is absent or null has none."""
    found = ((header.name, _text(_at(arguments, header.path))) for header in headers)
    return [(name, encode_value(text)) for name, text in found if text is not None]


def param_fault(headers: Sequence[ParamHeader], arguments: object, sent: Mapping[bytes, bytes]) -> str | None:
    """Why the headers that were sent do not mirror the arguments, or None."""
    for header in headers:
        fault = _fault(sent.get(header.name), _at(arguments, header.path))
        if fault is not None:
            return f"the header {header.name.decode().title()} {fault} argument {'.'.join(header.path)!r}"
    return None


def _fault(sent: bytes | None, value: object) -> str | None:
    text = _text(value)
    if text is None:
        # Null and absent have none, and another type is refused with the arguments.
        return None if sent is None else "has a value, and there is no such value in"
    if sent is None:
        return "is missing; it must mirror"
    try:
        said = decode_value(sent)
    except HeaderError as exc:
        return f"is malformed ({exc}); it must mirror"
    if said == text:
        return None
    number = _INTEGER.fullmatch(said) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return None if number is not None and int(number[1]) == value else "does not mirror"


def _at(arguments: object, path: tuple[str, ...]) -> object:
    value = arguments
    for name in path:
        value = value.get(name) if is_object(value) else None
    return value


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) <= _SAFE:
        value = int(value)
    return str(value) if isinstance(value, str | int) else None
