"""The tools of the gateway for a provider's function calling: definitions, the way back to our names, what was changed.

Limits, as the providers document them: names of `[A-Za-z0-9_-]`, at most 64 (Gemini's begin with a letter or `_`);
OpenAI cuts descriptions at 1,024; Anthropic takes properties of `[A-Za-z0-9_.-]` only; OpenAI and Anthropic take no
composition at the top of a schema; Gemini takes the subset of OpenAPI in `gemini`.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from .gemini import as_openapi

__all__ = ["Exported", "Provider", "exported"]

_MAX_NAME = 64
_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TOP = ("anyOf", "oneOf", "allOf", "not", "enum", "if", "then", "else", "$ref")
_MAX_DESCRIPTION = 1024


class Provider(StrEnum):
    """Whose function calling."""

    openai = "openai"
    anthropic = "anthropic"
    gemini = "gemini"


class Exported(NamedTuple):
    tools: list[dict[str, Any]]
    names: dict[str, str]
    """Of each function, the tool to call for it."""
    notes: list[str]
    """What was changed, and what was left out."""


class _Unfit(ValueError):
    """The tool cannot be said in the provider's words."""


Noted = Callable[[str], None]


def exported(tools: Iterable[Mapping[str, Any]], provider: Provider) -> Exported:
    """One function for each tool that has a schema the provider can be given."""
    made = Exported([], {}, [])
    for tool in tools:
        own = str(tool["name"])

        def noted(text: str, own: str = own) -> None:
            made.notes.append(f"{own}: {text}")

        name = _name(own, provider, made.names)
        try:
            function = _function(name, tool, provider, noted)
        except _Unfit as exc:
            noted(f"left out: {exc}")
            continue
        if name != own:
            noted(f"is called {name}")
        made.names[name] = own
        made.tools.append(function)
    return made


def _name(own: str, provider: Provider, taken: Mapping[str, str]) -> str:
    """At most 64 characters the provider takes; what had to change ends in eight digits of its own SHA-256."""
    name = _OTHER.sub("_", own)
    if provider is Provider.gemini and not re.match(r"[A-Za-z_]", name):
        name = f"_{name}"
    if name == own and len(name) <= _MAX_NAME and name not in taken:
        return name
    mark = hashlib.sha256(own.encode()).hexdigest()[:8]
    return f"{name[: _MAX_NAME - 9]}_{mark}"


def _function(name: str, tool: Mapping[str, Any], provider: Provider, noted: Noted) -> dict[str, Any]:
    said = str(tool.get("description") or tool.get("title") or "")
    raw = tool.get("inputSchema")
    schema: dict[str, Any] = dict(raw) if isinstance(raw, Mapping) else {}
    match provider:
        case Provider.openai:
            if len(said) > _MAX_DESCRIPTION:
                noted(f"its description is cut at {_MAX_DESCRIPTION:,} characters")
                said = said[: _MAX_DESCRIPTION - 1] + "…"
            function = {"name": name, "description": said, "parameters": _topped(schema, noted)}
            return {"type": "function", "function": function}
        case Provider.anthropic:
            return {"name": name, "description": said, "input_schema": _named(_topped(schema, noted))}
        case Provider.gemini:
            made: dict[str, Any] = {"name": name, "description": said}
            parameters = as_openapi(schema, noted)
            # An object without properties is refused; no parameters are said by leaving them out.
            return made | ({"parameters": parameters} if parameters.get("properties") else {})


def _topped(schema: dict[str, Any], noted: Noted) -> dict[str, Any]:
    """An object at the top, and nothing composed there. The gateway still checks the whole schema."""
    made = {key: value for key, value in schema.items() if key not in (*_TOP, "$schema", "$id")}
    if dropped := [key for key in schema if key in _TOP]:
        noted(f"{', '.join(dropped)} at the top of its schema: left out")
    return {**made, "type": "object", "properties": made.get("properties") or {}}


def _named(schema: dict[str, Any]) -> dict[str, Any]:
    """Raises _Unfit when a property has a name that cannot be said."""
    for name in schema["properties"]:
        if not _PROPERTY.fullmatch(name):
            raise _Unfit(f"its argument {name!r} has a name that is not taken")
    return schema
