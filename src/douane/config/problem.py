"""What can be wrong with a configuration, and where it stands."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["ConfigError", "Place", "Problem", "problem_at", "shown"]

Place = tuple[str | int, ...]
"""A way into the file: keys, and indexes of lists."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


class Problem(NamedTuple):
    """One thing that is wrong. `line` is 0 where it is not known."""

    where: str
    line: int
    message: str
    remedy: str = ""

    def said(self, path: Path) -> str:
        """One line: `file:line: where: what; the remedy`."""
        line = f":{self.line}" if self.line else ""
        where = f"{self.where}: " if self.where else ""
        return f"{path}{line}: {where}{self.message}" + (f"; {self.remedy}" if self.remedy else "")


class ConfigError(Exception):
    """The file cannot be used; `problems` says all that is wrong with it."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path, self.problems = path, problems
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line a problem."""
        return [problem.said(self.path) for problem in self.problems]


def shown(place: Place) -> str:
    """`upstreams.time.command[0]`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part if _PLAIN.fullmatch(part) else json.dumps(part)}"
    return text.lstrip(".")


def problem_at(lines: Mapping[Place, int], place: Place, message: str, remedy: str = "") -> Problem:
    # What is missing has no line: that of what it is missing from.
    line = next((lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in lines), 0)
    return Problem(shown(place), line, message, remedy)
