"""What a tool function returns, as a result of the protocol: content for the model, and structured content with a schema.

Structured content conforms to the schema that was shown: each value is checked on its way out.
Spec: specification/2026-07-28/server/tools.mdx (structured content).
"""

import inspect
import types
from collections.abc import Sequence
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec

from ..wire import json
from .content import CONTENT_TYPES, Result, ResultFault, as_content, as_text, check_sayable
from .functions import Place
from .hints import decode_foreign, encode_foreign, read_hint
from .schemas import remedied, schema_of

__all__ = ["ResultFault", "Results"]

_EXACT = (str, int, bool)


class Results:
    """The way from what one function returns to a result."""

    __slots__ = ("_exact", "_type", "_wrap", "schema")

    def __init__(self, hint: Any, place: Place) -> None:
        """Raises DefinitionError."""
        self.schema: dict[str, Any] | None = None
        self._type: Any = None
        self._wrap = False
        self._exact: type | None = None
        if _is_plain(hint):
            return
        try:
            self._type = read_hint(hint).type
            schema = schema_of(self._type)
        except (TypeError, NameError, ValueError) as exc:
            said = remedied(str(exc))
            raise place.error(
                f"what it returns cannot be described ({said}); return a dataclass, or say `-> Any`"
            ) from None
        self._exact = hint if hint in _EXACT else None
        self._wrap = schema.get("type") != "object"
        self.schema = _wrapped(schema) if self._wrap else schema

    def write(self, value: Any) -> dict[str, Any]:
        """The result for `value`. Raises ResultFault."""
        if isinstance(value, Result):
            return _by_hand(value)
        if self._type is None:
            return {"content": _content(value)}
        made = value if type(value) is self._exact else self._checked(value)
        text = as_text(made) if type(made) is str else json.encode(made).decode()
        return {
            "content": [{"type": "text", "text": text}],
            "structuredContent": {"result": made} if self._wrap else made,
        }

    def _checked(self, value: Any) -> Any:
        made = _builtins(value)
        try:
            msgspec.convert(made, self._type, str_keys=True, dec_hook=decode_foreign)
        except msgspec.ValidationError as exc:
            raise ResultFault(f"returned what its hint does not promise: {exc}") from None
        return made


def _is_plain(hint: Any) -> bool:
    """Is there nothing to describe: no hint, nothing, anything, or content made by hand?"""
    if hint in (inspect.Parameter.empty, None, type(None), Any, object, Result):
        return True
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _is_plain(args[0])
    if origin in (Union, types.UnionType) or origin in (list, tuple, Sequence):
        return any(_is_content(arg) for arg in args)
    return _is_content(hint)


def _is_content(hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType, list, tuple):
        return any(_is_content(arg) for arg in get_args(hint))
    return hint in CONTENT_TYPES or hint is Result


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    # Before 2026-07-28 structured content is an object, so everything else is put into one for everybody.
    definitions = schema.pop("$defs", None)
    made: dict[str, Any] = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    return {**made, "$defs": definitions} if definitions else made


def _by_hand(result: Result) -> dict[str, Any]:
    made: dict[str, Any] = {"content": [as_content(part) for part in result.content]}
    if result.structured is not None:
        made["structuredContent"] = _builtins(result.structured)
        if not result.content:
            made["content"] = [as_content(json.encode(made["structuredContent"]).decode())]
    if result.is_error:
        made["isError"] = True
    return made


def _content(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if isinstance(value, (str, *CONTENT_TYPES)):
        return [as_content(value)]
    if isinstance(value, list | tuple) and any(isinstance(part, CONTENT_TYPES) for part in cast("list[Any]", value)):
        return [_part(part) for part in cast("list[Any]", value)]
    return [as_content(json.encode(_builtins(value)).decode())]


def _part(value: Any) -> dict[str, Any]:
    parts = _content(value)
    return parts[0] if parts else as_content("")


def _builtins(value: Any) -> Any:
    try:
        made = msgspec.to_builtins(value, str_keys=True, enc_hook=encode_foreign)
        check_sayable(made)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ResultFault(f"returned what cannot be written as JSON: {exc}") from None
    return made
