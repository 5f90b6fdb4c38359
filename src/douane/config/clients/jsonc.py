"""JSON with comments and trailing commas, as editors write it: read with places, and extended without touching the rest.

Keys stand once. A member that is put in is written where it belongs; every other byte of the text stays as it is.
"""

import json
import re
from bisect import bisect_left
from typing import Any, NamedTuple, NoReturn

from ..problem import Place

__all__ = ["Document", "NotJson", "read", "with_item", "with_member"]

_MAX_DEPTH = 32
_SKIPPED = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DECODER = json.JSONDecoder()
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}


class NotJson(ValueError):
    """The text is no JSON, or a key stands twice. `line` begins with 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class Document(NamedTuple):
    value: Any
    lines: dict[Place, int]
    """Where each value stands; of a member, where its key does."""
    spans: dict[Place, tuple[int, int]]
    """From the first character of each value to the one after its last."""


def read(text: str) -> Document:
    """Raises NotJson."""
    return _Reader(text).document()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._lines: dict[Place, int] = {}
        self._spans: dict[Place, tuple[int, int]] = {}
        self._line_ends = [match.start() for match in re.finditer("\n", text)]

    def document(self) -> Document:
        self._skip()
        value = self._value(())
        self._skip()
        if self._at < len(self._text):
            self._fail("something follows the end of the value")
        return Document(value, self._lines, self._spans)

    def _fail(self, message: str) -> NoReturn:
        raise NotJson(message, self._line())

    def _line(self) -> int:
        return bisect_left(self._line_ends, self._at) + 1

    def _skip(self) -> None:
        match = _SKIPPED.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _value(self, place: Place) -> Any:
        if len(place) > _MAX_DEPTH:
            self._fail("is nested too deeply")
        start = self._at
        self._lines.setdefault(place, self._line())
        match self._text[start : start + 1]:
            case "{":
                value = self._object(place)
            case "[":
                value = self._array(place)
            case '"':
                value = self._string()
            case _:
                value = self._plain()
        self._spans[place] = (start, self._at)
        return value

    def _object(self, place: Place) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while not self._ends("}"):
            if self._text[self._at] != '"':
                self._fail('a key in quotes, or "}", is missing')
            line = self._line()
            key = self._string()
            if key in made:
                raise NotJson(f"the key {json.dumps(key)} stands twice; remove one", line)
            self._lines[(*place, key)] = line
            self._skip()
            if self._text[self._at : self._at + 1] != ":":
                self._fail(f'":" is missing after the key {json.dumps(key)}')
            self._at += 1
            self._skip()
            made[key] = self._value((*place, key))
            self._comma("}")
        return made

    def _array(self, place: Place) -> list[Any]:
        made: list[Any] = []
        while not self._ends("]"):
            made.append(self._value((*place, len(made))))
            self._comma("]")
        return made

    def _ends(self, end: str) -> bool:
        """Step over what opens or a comma; whether the collection ends here."""
        if self._text[self._at] != end:
            self._at += 1
        self._skip()
        if self._at >= len(self._text):
            self._fail(f'the end of the file comes before "{end}"')
        ended = self._text[self._at] == end
        self._at += ended
        return ended

    def _comma(self, end: str) -> None:
        self._skip()
        if self._text[self._at : self._at + 1] not in (",", end):
            self._fail(f'"," or "{end}" is missing')

    def _string(self) -> str:
        try:
            value, self._at = _DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as exc:
            raise NotJson(exc.msg, exc.lineno) from None
        if _SURROGATE.search(value):
            self._fail("text holds half of a character, which no file can hold")
        return value

    def _plain(self) -> Any:
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            self._fail("a value is missing")
        try:
            value = json.loads(match[0])
        except ValueError:
            self._fail("a number is longer than can be read")
        self._at = match.end()
        return value


def with_member(text: str, place: tuple[str, ...], value: Any) -> str:
    """`text` with `value` at `place`: replaced if there is one, put in last otherwise. Raises NotJson."""
    document = read(text if text.strip() else "{}")
    text = text if text.strip() else "{}\n"
    if place in document.spans:
        start, end = document.spans[place]
        return text[:start] + _written(value, _indent_of(text, start), _step(text)) + text[end:]
    depth = next(n for n in range(len(place) - 1, -1, -1) if place[:n] in document.spans)
    parent = place[:depth]
    if not isinstance(_at(document.value, parent), dict):
        raise NotJson(f"{'.'.join(parent) or 'the file'} is not an object", document.lines[parent])
    for key in reversed(place[depth + 1 :]):
        value = {key: value}
    return _put_in(text, document, parent, f"{json.dumps(place[depth], ensure_ascii=False)}: ", value)


def with_item(text: str, place: tuple[str, ...], value: Any) -> str:
    """`text` with `value` as the last of the list at `place`, which is made if it is not there. Raises NotJson."""
    document = read(text)
    if place not in document.spans:
        return with_member(text, place, [value])
    if not isinstance(_at(document.value, place), list):
        raise NotJson(f"{'.'.join(place)} is not a list", document.lines[place])
    return _put_in(text, document, place, "", value)


def _at(value: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def _put_in(text: str, document: Document, parent: Place, key: str, value: Any) -> str:
    start, end = document.spans[parent]
    outer = _indent_of(text, start)
    inner = outer + _step(text)
    member = f"{key}{_written(value, inner, _step(text))}"
    inside = [span for place, span in document.spans.items() if place[:-1] == parent and len(place) == len(parent) + 1]
    if not inside:
        return f"{text[: end - 1].rstrip()}\n{inner}{member}\n{outer}{text[end - 1 :]}"
    last = max(stop for _, stop in inside)
    tail = text[last : end - 1]
    comma = "" if _ends_with_comma(tail) else ","
    return f"{text[:last]}{comma}{tail.rstrip()}\n{inner}{member}\n{outer}{text[end - 1 :]}"


def _ends_with_comma(tail: str) -> bool:
    match = _SKIPPED.match(tail)
    return tail[match.end() : match.end() + 1] == "," if match else False


def _indent_of(text: str, position: int) -> str:
    """The white space at the beginning of the line that `position` is on."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _step(text: str) -> str:
    """What this file indents by."""
    match = re.search(r"\n([ \t]+)\S", text)
    return match[1] if match and len(match[1]) <= 8 else "  "


def _written(value: Any, indent: str, step: str) -> str:
    return json.dumps(value, indent=step, ensure_ascii=False).replace("\n", "\n" + indent)
