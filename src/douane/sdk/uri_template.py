"""URI templates for resources: `db://schema/{table_name}`, `docs://{+path}`. RFC 6570, levels 1 and 2, read backwards.

A match is found in one pass, without backtracking. `{name}` takes one segment, `{+name}` any number; neither yields a
value with `..` as a segment or a NUL, and a plain one no slash, however it was encoded: such values end up in paths.
"""

import re
from urllib.parse import unquote

__all__ = ["UriTemplate"]

_EXPRESSION = re.compile(r"\{([^{}]*)\}")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_VARIABLE = re.compile(r"(\+?)([A-Za-z_]\w*)$")


class UriTemplate:
    """Raises ValueError, with the remedy, for a template that cannot be served."""

    def __init__(self, template: str) -> None:
        pieces = _EXPRESSION.split(template)
        self.text, self._literals = template, pieces[::2]
        variables = [_VARIABLE.match(piece) for piece in pieces[1::2]]
        if any(c in literal for literal in self._literals for c in "{}"):
            raise ValueError("a brace is not closed")
        self._variables = [(found[2], bool(found[1])) for found in variables if found]
        if len(self._variables) != len(variables):
            raise ValueError("only `{name}` and `{+name}` can be served")
        if not all(self._literals[1:-1]):
            raise ValueError("two variables need a literal between them")
        if len(set(self.names)) != len(self.names):
            raise ValueError("a variable stands in it twice")

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self._variables]

    def match(self, uri: str) -> dict[str, str] | None:
        """The values of the variables in `uri`; None when it does not fit."""
        if not uri.startswith(self._literals[0]):
            return None
        at, last = len(self._literals[0]), len(self._variables) - 1
        values: dict[str, str] = {}
        for index, (name, many) in enumerate(self._variables):
            literal = self._literals[index + 1]
            if index == last:
                end = len(uri) - len(literal)
                if end <= at or not uri.endswith(literal):
                    return None
            else:
                end = uri.find(literal, at + 1)
                if end < 0:
                    return None
            value = _decoded(uri[at:end], many)
            if value is None:
                return None
            values[name] = value
            at = end + len(literal)
        return values if self._variables or at == len(uri) else None


def _decoded(raw: str, many: bool) -> str | None:
    value = unquote(raw)
    segments = value.replace("\\", "/").split("/")
    if "\0" in value or ".." in segments or (len(segments) > 1 and not many):
        return None
    # Put behind a folder, an absolute path would take the place of that folder.
    if segments[0] == "" or _DRIVE.match(value):
        return None
    return value
