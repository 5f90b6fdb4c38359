"""A Python function as the protocol sees it: what it takes as JSON Schema, and how arguments become its parameters.

Everything is worked out once, when the function is decorated: what cannot be described is refused there, with the file,
the line and the remedy. A call then costs one conversion. Spec: specification/2026-07-28/server/tools.mdx (JSON Schema
2020-12; a tool's input is an object).
"""

import inspect
import re
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from ..wire.json import is_object
from .context import Context
from .docstrings import Doc, read_docstring
from .hints import decode_foreign, default_of, encode_foreign, is_field, read_hint
from .questions import Ask
from .schemas import remedied, schema_of

__all__ = [
    "ArgumentFault",
    "Arguments",
    "DefinitionError",
    "Parameter",
    "Place",
    "place_of",
    "signature_of",
]

_FLAT = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_REQUIRED = inspect.Parameter.empty
_AT = re.compile(r"^(.*?) - at `(?:key in )?\$\.?(.*)`$")
_MISSING = re.compile(r"^Object missing required field `(.*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$")


class DefinitionError(Exception):
    """A function cannot be served as it is written. The text names file, line and the remedy."""


class ArgumentFault(ValueError):
    """The arguments of a call do not fit. The text is for the caller: it names the argument and what was expected."""


class Place(NamedTuple):
    """Where a function stands, for messages."""

    what: str
    file: str
    line: int

    def error(self, fault: str) -> DefinitionError:
        return DefinitionError(f"{self.file}:{self.line}: {self.what}: {fault}")


def place_of(function: Callable[..., Any], kind: str) -> Place:
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None)
    name = f"{kind} {getattr(function, '__name__', repr(function))!r}"
    return Place(name, code.co_filename, code.co_firstlineno) if code else Place(name, "?", 0)


class Parameter(NamedTuple):
    name: str
    type: Any
    """For msgspec."""
    default: Any
    """`inspect.Parameter.empty` when it has to be given."""
    description: str | None


class Signature(NamedTuple):
    doc: Doc
    parameters: tuple[Parameter, ...]
    context: str | None
    """The parameter that takes the Context."""
    returns: Any
    """The hint; `inspect.Parameter.empty` without one."""


def signature_of(function: Callable[..., Any], place: Place) -> Signature:
    """Raises DefinitionError."""
    try:
        parameters = inspect.signature(function).parameters
        hints = get_type_hints(inspect.unwrap(function), include_extras=True)
    except NameError as exc:
        raise place.error(f"{exc}; import it outside `if TYPE_CHECKING`, and not inside a function") from None
    except (TypeError, ValueError) as exc:
        raise place.error(f"it is no plain function or method ({exc}); wrap it in a `def`") from None
    doc = read_docstring(function.__doc__)
    context, taken = None, list[Parameter]()
    for name, one in parameters.items():
        hint = hints.get(name, _REQUIRED)
        if hint is Context:
            context = name
        else:
            taken.append(_parameter(one, hint, doc, place))
    return Signature(doc, tuple(taken), context, _without_ask(hints.get("return", _REQUIRED)))


def _without_ask(hint: Any) -> Any:
    # Asking is no result: `-> Weather | Ask` promises a Weather.
    if hint is Ask:
        return _REQUIRED
    if get_origin(hint) not in (Union, types.UnionType) or Ask not in get_args(hint):
        return hint
    return Union[tuple(arg for arg in get_args(hint) if arg is not Ask)]  # noqa: UP007 -- there is no `|` over a tuple


def _parameter(one: inspect.Parameter, hint: Any, doc: Doc, place: Place) -> Parameter:
    name = one.name
    if one.kind in _FLAT:
        stars = "*" if one.kind is inspect.Parameter.VAR_POSITIONAL else "**"
        raise place.error(f"{stars}{name} cannot be described; name each argument, or take one `dict[str, ...]`")
    if one.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise place.error(f"argument {name!r} is positional only, and arguments come by name; take out the `/`")
    if hint is _REQUIRED:
        raise place.error(f"argument {name!r} has no type hint; write for example `{name}: str`")
    default = one.default
    try:
        if is_field(default):
            hint, default = Annotated[hint, default], default_of(default, _REQUIRED)
        read = read_hint(hint)
    except (TypeError, NameError) as exc:
        raise place.error(f"argument {name!r}: {exc}") from None
    # `x: int = None` is written often and means it.
    type_ = read.type | None if default is None else read.type
    return Parameter(name, type_, default, read.description or doc.parameters.get(name))


class Arguments:
    """What one function takes: its schema, and the way from JSON to parameters."""

    __slots__ = ("_names", "_strict", "_struct", "schema")

    def __init__(self, parameters: tuple[Parameter, ...], place: Place, *, strict: bool = True) -> None:
        """`strict=False` reads numbers and the like from text, for what the protocol hands over as strings only.

        Raises DefinitionError.
        """
        self._names, self._strict = tuple(p.name for p in parameters), strict
        try:
            self._struct = msgspec.defstruct(
                "Arguments", [_field(p) for p in parameters], kw_only=True, forbid_unknown_fields=True
            )
            self.schema = self._schema(parameters, place)
        except (TypeError, NameError, ValueError) as exc:
            raise place.error(_blamed(parameters, exc)) from None

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` as keyword arguments, in the types of the function. Raises ArgumentFault."""
        try:
            return msgspec.structs.asdict(self._convert(given))
        except msgspec.ValidationError as exc:
            fault = exc
        # Some callers write every number as a float: 5.0 is the integer 5, as JSON Schema says too.
        try:
            return msgspec.structs.asdict(self._convert(_whole(given)))
        except msgspec.ValidationError:
            pass
        raise ArgumentFault(self._explained(str(fault))) from None

    def _convert(self, given: Mapping[str, Any]) -> msgspec.Struct:
        return msgspec.convert(given, self._struct, strict=self._strict, str_keys=True, dec_hook=decode_foreign)

    def _schema(self, parameters: tuple[Parameter, ...], place: Place) -> dict[str, Any]:
        schema = schema_of(self._struct)
        schema.pop("title", None)
        for parameter in parameters:
            one = schema["properties"][parameter.name]
            if parameter.description:
                one["description"] = parameter.description
            if parameter.default is not _REQUIRED:
                one.pop("default", None)
                one |= _default(parameter, place)
        return schema

    def _explained(self, fault: str) -> str:
        said, path = (found[1], found[2]) if (found := _AT.match(fault)) else (fault, "")
        if missing := _MISSING.match(said):
            return f"argument {_joined(path, missing[1])!r} is missing"
        if unknown := _UNKNOWN.match(said):
            among = ", ".join(self._names) or "none"
            return f"there is no argument {_joined(path, unknown[1])!r}" + ("" if path else f"; there are: {among}")
        said = said[:1].lower() + said[1:].replace("`", "")
        if said.startswith("invalid enum value") and (values := self._enum(path)):
            said += f", expected one of {', '.join(map(str, values))}"
        return f"argument {path!r}: {said}" if path else said

    def _enum(self, name: str) -> list[Any]:
        one = self.schema["properties"].get(name, {})
        ref = one.get("$ref", "").removeprefix("#/$defs/")
        return one.get("enum") or self.schema.get("$defs", {}).get(ref, {}).get("enum", [])


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _field(parameter: Parameter) -> tuple[str, Any] | tuple[str, Any, Any]:
    if parameter.default is _REQUIRED:
        return (parameter.name, parameter.type)
    # Shared between calls, as Python shares its defaults.
    default = parameter.default
    return (parameter.name, parameter.type, msgspec.field(default_factory=lambda: default))


def _default(parameter: Parameter, place: Place) -> dict[str, Any]:
    try:
        return {"default": msgspec.to_builtins(parameter.default, str_keys=True, enc_hook=encode_foreign)}
    except (TypeError, ValueError):
        raise place.error(
            f"the default of {parameter.name!r} ({type(parameter.default).__name__}) cannot be written as JSON;"
            " take None and put it in inside the function"
        ) from None


def _blamed(parameters: tuple[Parameter, ...], fault: Exception) -> str:
    """The fault, with the argument that has it."""
    for parameter in parameters:
        try:
            schema_of(parameter.type)
        except (TypeError, NameError, ValueError) as exc:
            return f"argument {parameter.name!r}: {remedied(str(exc))}"
    return remedied(str(fault))


def _whole(value: Any) -> Any:
    """`value` with every float that is an integer as one."""
    if type(value) is float and value.is_integer():
        return int(value)
    if is_object(value):
        return {key: _whole(one) for key, one in value.items()}
    return [_whole(one) for one in cast("list[Any]", value)] if isinstance(value, list) else value
