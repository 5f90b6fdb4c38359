"""A tool's input schema, written by hand: for what Python's type hints cannot say.

It is shown as it is written, keyword by keyword, and arguments are held to it. Nothing is ever fetched for it.
Spec: specification/2026-07-28/basic/index.mdx (JSON Schema 2020-12), server/tools.mdx (a tool's input is an object).
"""

from collections.abc import Mapping
from typing import Any

from jsonschema_rs import Draft202012Validator, ReferencingError, ValidationError

from .functions import ArgumentFault

__all__ = ["Schema"]

_MAX_SAID = 400
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Schema:
    """What to hand to `server.tool(arguments=…)`. The function then takes them as one `dict`."""

    __slots__ = ("_validator", "schema")

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises ValueError for what is not a JSON Schema 2020-12 of an object, or refers to something elsewhere."""
        self.schema = dict(schema)
        if self.schema.get("type") != "object":
            raise ValueError('the schema of a tool\'s arguments needs "type": "object" at its root')
        if self.schema.get("$schema", _DIALECT) != _DIALECT:
            raise ValueError(f"only JSON Schema 2020-12 is checked here; leave out `$schema`, or write {_DIALECT!r}")
        try:
            self._validator = Draft202012Validator(self.schema, offline=True)
        except (ValidationError, ReferencingError) as exc:
            raise ValueError(f"this is no JSON Schema 2020-12: {_said(exc)}") from None

    def check(self, given: Mapping[str, Any]) -> None:
        """Raises ArgumentFault."""
        try:
            self._validator.validate(given)
        except ValidationError as exc:
            where = ".".join(map(str, exc.instance_path))
            raise ArgumentFault(f"argument {where!r}: {_said(exc)}" if where else _said(exc)) from None


def _said(fault: Exception) -> str:
    # It quotes the value, which may be as long as a message.
    first = str(fault).splitlines()[0]
    return first if len(first) <= _MAX_SAID else f"{first[:_MAX_SAID]}…"
