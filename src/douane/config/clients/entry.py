"""A server as some client's file has it, in our words: variables translated, places remembered."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from ..problem import Problem
from .formats import Client

__all__ = ["Entry", "Text", "Wanted", "our_name"]

_OTHER = re.compile(r"[^a-z0-9]+")


class Wanted(msgspec.Struct, frozen=True):
    """A variable that a value names."""

    name: str
    is_secret: bool = False
    default: str | None = None
    said: str = ""
    """What it is for, as the file says."""
    file: Path | None = None
    """Where the client would read it from."""


class Text(msgspec.Struct, frozen=True):
    """A value in our syntax: `${NAME}` is a variable, `$${` a plain `${`."""

    text: str
    line: int = 0
    wanted: tuple[Wanted, ...] = ()
    is_secret: bool = False
    """As the file says of it, not as it looks."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One server. `command` or `url`."""

    name: str
    """As the file has it."""
    file: Path
    line: int
    client: Client
    command: tuple[Text, ...] = ()
    env: dict[str, Text] = {}
    cwd: Text | None = None
    url: Text | None = None
    headers: dict[str, Text] = {}
    is_disabled: bool = False
    notes: tuple[str, ...] = ()
    """What was left behind, or should be known."""
    problems: tuple[Problem, ...] = ()
    """Why it cannot be taken over."""

    def texts(self) -> Iterable[Text]:
        """Every value of it."""
        yield from self.command
        yield from self.env.values()
        yield from (part for part in (self.cwd, self.url) if part is not None)
        yield from self.headers.values()

    def settings(self) -> dict[str, Any]:
        """As it is written into our file."""
        made: dict[str, Any] = {}
        if self.command:
            made["command"] = [part.text for part in self.command]
        if self.url is not None:
            made["url"] = self.url.text
        if self.cwd is not None:
            made["cwd"] = self.cwd.text
        for key, values in (("env", self.env), ("headers", self.headers)):
            if values:
                made[key] = {name: value.text for name, value in values.items()}
        return made


def our_name(name: str) -> str:
    """`GitHub MCP` as `github-mcp`: 1 to 24 of a-z, 0-9 and -, a letter first. Empty when nothing is left of it."""
    plain = _OTHER.sub("-", name.lower()).strip("-")
    return plain.lstrip("0123456789-")[:24].strip("-")
