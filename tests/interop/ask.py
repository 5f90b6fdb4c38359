"""What every framework is asked, and the one JSON document it answers with. How it is pointed at the gateway differs.

    with_NAME.py http URL TOKEN | with_NAME.py stdio COMMAND ARGUMENT...

Each question has what the framework handed over, or what it raised. One that is not asked is none the framework knows.
Runs in the environment of each framework, so it imports nothing but the standard library.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import redirect_stdout
from typing import Any

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("everything_echo", {"message": "good morning"}),
    "structured": ("library_find_books", {"word": "Emma"}),
    "error": ("library_borrow", {"title": "Emma"}),
    "refused": ("library_add_book", {"book": {"title": "Persuasion", "year": 1817}}),
}
RESOURCE = "demo://resource/static/document/features.md"
RESOURCE_NAME = "features.md"
PROMPT = ("library_review", {"title": "Emma"})


class Ask:
    """The questions, and where they go: a URL with its token, or a command."""

    def __init__(self, door: str, *to: str) -> None:
        self.door, self.to = door, to
        self.said: dict[str, Any] = {}

    async def __call__(self, what: str, asked: Awaitable[Any]) -> Any:
        """The answer, or None when it raised."""
        try:
            found = await asked
        except Exception as exc:
            self.said[what] = {"raised": cause(exc)}
            return None
        self.said[what] = {"result": plain(found)}
        return found

    def tools(self, names: Iterable[str]) -> None:
        """The names under which the framework knows the tools."""
        self.said["tools"] = {"result": sorted(names)}

    async def calls(self, call: Callable[[str, dict[str, Any]], Awaitable[Any]]) -> None:
        """The calls of tools, made by `call`."""
        for what, (name, arguments) in CALLS.items():
            await self(what, call(name, arguments))


def plain(found: Any) -> Any:
    """What JSON has no word for is told as its fields where it is a model, and else as text."""
    return json.loads(json.dumps(found, default=_told))


def _told(found: Any) -> Any:
    fields = getattr(found, "model_dump", None)
    return fields(mode="json", by_alias=True) if fields else vars(found) if hasattr(found, "__dict__") else str(found)


def cause(error: BaseException) -> str:
    """Task groups wrap what happened: the first cause is told. What it was raised from is told with it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    told = f"{type(error).__name__}: {error}"
    return told if error.__cause__ is None else f"{told}, from {cause(error.__cause__)}"


def answer(talk: Callable[[Ask], Awaitable[None]]) -> None:
    """Run `talk`, which asks, and print what was said. What the framework itself prints goes to stderr."""
    ask = Ask(*sys.argv[1:])
    with redirect_stdout(sys.stderr):
        try:
            asyncio.run(talk(ask))
        except Exception as exc:
            ask.said["whole"] = {"raised": cause(exc)}
    print(json.dumps(ask.said))
