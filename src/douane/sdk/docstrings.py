"""What a docstring says: what the function does, and what each parameter is. Google, NumPy and Sphinx style.

A docstring is prose: what cannot be read as one of the three is part of the description or left out, never an error.
"""

import inspect
import re
from typing import NamedTuple

__all__ = ["Doc", "read_docstring"]

_GOOGLE = re.compile(r"(Args|Arguments|Parameters|Params|Keyword Args|Other Parameters)\s*:\s*$")
_SECTION = re.compile(r"[A-Z][A-Za-z ]{2,30}:\s*$")
_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_SPHINX = re.compile(r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)$")
_FIELD = re.compile(r":\w+[^:]*:")
_NUMPY = re.compile(r"(Parameters|Other Parameters)$")
_NUMPY_ENTRY = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")


class Doc(NamedTuple):
    description: str
    """The first paragraph."""
    parameters: dict[str, str]


def read_docstring(text: str | None) -> Doc:
    lines = inspect.cleandoc(text or "").splitlines()
    return Doc(_first_paragraph(lines), {**_numpy(lines), **_google(lines), **_sphinx(lines)})


def _first_paragraph(lines: list[str]) -> str:
    said: list[str] = []
    for line in lines:
        if not line.strip() or _FIELD.match(line) or (_SECTION.match(line) and not said):
            break
        said.append(line.strip())
    return " ".join(said)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _google(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for at, line in enumerate(lines):
        if _GOOGLE.match(line.strip()):
            found |= _entries(lines[at + 1 :], _indent(line))
    return found


def _entries(lines: list[str], outer: int) -> dict[str, str]:
    """`name (type): text` lines, deeper than `outer`; what is deeper still goes on with the entry above."""
    found: dict[str, str] = {}
    depth, name = -1, ""
    for line in lines:
        if not line.strip():
            continue
        if _indent(line) <= outer:
            break
        depth = _indent(line) if depth < 0 else depth
        entry = _ENTRY.match(line.strip()) if _indent(line) == depth else None
        if entry is not None:
            name = entry[1]
            found[name] = entry[2].strip()
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _sphinx(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        field = _SPHINX.match(line.strip())
        if field is not None:
            name = field[1]
            found[name] = field[2].strip()
        elif not line.strip() or _FIELD.match(line.strip()):
            name = ""
        elif name:
            found[name] = f"{found[name]} {line.strip()}"
    return found


def _numpy(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for at, line in enumerate(lines[:-1]):
        if _NUMPY.match(line.strip()) and set(lines[at + 1].strip()) == {"-"}:
            found |= _numpy_entries(lines[at + 2 :])
    return found


def _numpy_entries(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    names: list[str] = []
    for at, line in enumerate(lines):
        if not line.strip():
            continue
        if _indent(line) > 0:
            for name in names:
                found[name] = f"{found[name]} {line.strip()}".strip()
        elif at + 1 < len(lines) and lines[at + 1].strip() and set(lines[at + 1].strip()) == {"-"}:
            break
        elif entry := _NUMPY_ENTRY.match(line):
            names = [name.strip(" *") for name in entry[1].split(",")]
            found |= dict.fromkeys(names, "")
        else:
            names = []
    return {name: text for name, text in found.items() if text}
