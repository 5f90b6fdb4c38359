"""The files that name variables one a line: `NAME=value`, quotes, `export`, comments. Nothing in them is expanded."""

import re

__all__ = ["NotDotenv", "dotenv"]

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?""")
_ESCAPES = {"\\n": "\n", "\\t": "\t", '\\"': '"', "\\\\": "\\"}


class NotDotenv(ValueError):
    """A line says nothing that is understood. `line` begins with 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def dotenv(text: str) -> dict[str, str]:
    """Raises NotDotenv. Of a name that stands twice the last counts, as everywhere."""
    made: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise NotDotenv("is no NAME=value", number)
        made[match[1]] = _value(match[2], number)
    return made


def _value(text: str, number: int) -> str:
    if text[:1] not in ('"', "'"):
        return re.split(r"\s+#", text)[0].strip()
    match = _QUOTED.fullmatch(text)
    if match is None:
        raise NotDotenv("a quote is not closed", number)
    if match[2] is not None:
        return match[2]
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), match[1])
