"""Fifty shapes of type hints, each with values that fit and values that do not."""

import datetime
import decimal
import enum
import ipaddress
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, Union

import annotated_types as at
import msgspec
import pydantic
from typing_extensions import TypedDict

NO_DEFAULT: Any = object()


class Shape(NamedTuple):
    hint: Any
    samples: tuple[Any, ...]
    default: Any = NO_DEFAULT


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    S = 1
    L = 2


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass
class Line:
    start: Point
    end: Point
    tags: list[str] = field(default_factory=list)


@dataclass
class Tree:
    value: int
    children: list["Tree"] = field(default_factory=list)


class Book(TypedDict):
    title: str
    pages: NotRequired[int]


class Loose(TypedDict, total=False):
    a: int
    b: str


class Pair(NamedTuple):
    left: int
    right: str


class Struct(msgspec.Struct):
    name: str
    size: int = 3


class Circle(msgspec.Struct, tag=True):
    radius: float


class Square(msgspec.Struct, tag=True):
    side: float


class Model(pydantic.BaseModel):
    name: str
    age: Annotated[int, pydantic.Field(ge=0)] = 0


class Nested(pydantic.BaseModel):
    model: Model
    more: list["Nested"] = []


UserId = NewType("UserId", int)

S = (None, True, 0, 5, 5.0, 1.5, -1, "", "5", "a", [], [1], ["a"], {}, {"a": 1})
"""Something of every kind."""
DAY, NOON = "2026-11-25", "2026-11-25T12:00:00Z"

SHAPES: dict[str, Shape] = {
    "str": Shape(str, S),
    "int": Shape(int, S),
    "float": Shape(float, S),
    "bool": Shape(bool, S),
    "none": Shape(None, S),
    "any": Shape(Any, S),
    "object": Shape(object, S),
    "bytes": Shape(bytes, (*S, "aGk=")),
    "datetime": Shape(datetime.datetime, (NOON, DAY, 5, None)),
    "date": Shape(datetime.date, (DAY, 5, None)),
    "time": Shape(datetime.time, ("12:00:00", 5, None)),
    "timedelta": Shape(datetime.timedelta, ("PT1S", "P1D", None, [])),
    "uuid": Shape(uuid.UUID, ("6a5f6e0e-0d0e-4c3a-9d9f-2b7f6d2c9a10", 5, None)),
    "decimal": Shape(decimal.Decimal, ("1.5", 1.5, 3, None, [], True)),
    "optional": Shape(Optional[int], S),  # noqa: UP045
    "optional with default": Shape(int | None, S, None),
    "default": Shape(int, S, 7),
    "default none without saying so": Shape(int, S, None),
    "union": Shape(int | str, S),
    "union of the old kind": Shape(Union[int, None, list[str]], S),  # noqa: UP007
    "int or float": Shape(int | float, S),
    "literal": Shape(Literal["a", "b"], (*S, "b", "c")),
    "literal int": Shape(Literal[0, 5], S),
    "literal mixed": Shape(Literal["a", 5], S),
    "literal or none": Shape(Literal["a"] | None, S),
    "enum": Shape(Color, (*S, "red", "RED")),
    "int enum": Shape(Size, (*S, 1, 2)),
    "list": Shape(list[int], (*S, [1, 2], [1, "a"])),
    "bare list": Shape(list, S),
    "sequence": Shape(Sequence[str], (*S, ["a", "b"])),
    "set": Shape(set[int], (*S, [1, 2], [1, 1])),
    "frozenset": Shape(frozenset[str], (*S, ["a", "b"])),
    "tuple": Shape(tuple[int, str], (*S, [1, "a"], [1, "a", 2], ["a", 1])),
    "tuple of many": Shape(tuple[int, ...], (*S, [1, 2])),
    "dict": Shape(dict[str, int], (*S, {"a": "b"})),
    "bare dict": Shape(dict, S),
    "mapping": Shape(Mapping[str, list[int]], (*S, {"a": [1]}, {"a": ["b"]})),
    "list of dicts": Shape(list[dict[str, Any]], (*S, [{}], [{"a": 1}])),
    "dataclass": Shape(Point, (*S, {"x": 1}, {"x": 1, "y": 2}, {"x": "1"}, {"y": 1}, {"x": 1, "z": 0})),
    "nested dataclass": Shape(
        Line,
        (
            {"start": {"x": 1}, "end": {"x": 2}},
            {"start": {"x": 1}},
            {"start": {"x": 1}, "end": {"x": 2}, "tags": ["a"]},
            {"start": {"x": 1}, "end": {"x": 2}, "tags": [1]},
        ),
    ),
    "recursive dataclass": Shape(
        Tree, ({"value": 1}, {"value": 1, "children": [{"value": 2}]}, {"value": 1, "children": [{}]}, {}, 1)
    ),
    "typed dict": Shape(Book, (*S, {"title": "a"}, {"title": "a", "pages": 3}, {"title": "a", "pages": "b"})),
    "loose typed dict": Shape(Loose, ({}, {"a": 1}, {"a": 1, "b": "c"}, {"a": "b"}, [])),
    "named tuple": Shape(Pair, (*S, [1, "a"], [1], ["a", 1])),
    "list of dataclasses": Shape(list[Point], ([], [{"x": 1}], [{"y": 1}], {}, [1])),
    "optional dataclass": Shape(Point | None, (None, {"x": 1}, {}, 1), None),
    "new type": Shape(UserId, S),
    "bounded int": Shape(Annotated[int, msgspec.Meta(ge=1, le=9)], (*S, 9, 10)),
    "annotated-types": Shape(Annotated[int, at.Gt(0), at.Lt(6)], (*S, 6)),
    "annotated-types length": Shape(Annotated[list[int], at.Len(1, 2)], ([], [1], [1, 2], [1, 2, 3], None)),
    "bounded str": Shape(Annotated[str, pydantic.Field(min_length=2, max_length=3)], ("a", "ab", "abc", "abcd", 5)),
    "pattern": Shape(Annotated[str, pydantic.Field(pattern="^[a-z]+$")], ("ab", "", "A", 5)),
    "multiple": Shape(Annotated[int, at.MultipleOf(5)], (0, 5, 6, "5")),
    "bounds of what may be none": Shape(Annotated[int | None, pydantic.Field(gt=0)], S),
    "a Field for a default": Shape(int, S, pydantic.Field(default=3, ge=1, description="How many")),
    "a Field without a default": Shape(int, S, pydantic.Field(description="How many")),
    "path": Shape(Path, S),
    "optional path with default": Shape(Path | None, S, Path("/tmp")),
    "address": Shape(ipaddress.IPv4Address, ("127.0.0.1", 5, None)),
    "iterable": Shape(Iterable[int], (*S, [1, 2])),
    "described": Shape(Annotated[str, "What it is"], S),
    "bounds in a list": Shape(list[Annotated[int, at.Ge(3)]], ([], [3], [2], 3)),
    "msgspec struct": Shape(Struct, ({"name": "a"}, {"name": "a", "size": 1}, {"size": 1}, {"name": 1}, "a")),
    "tagged structs": Shape(
        Circle | Square,
        ({"type": "Circle", "radius": 1}, {"type": "Square", "side": 1}, {"type": "Circle"}, {"radius": 1}, 1),
    ),
    "pydantic model": Shape(Model, ({"name": "a"}, {"name": "a", "age": 3}, {"name": "a", "age": -1}, {"age": 1}, "a")),
    "nested pydantic model": Shape(
        Nested,
        (
            {"model": {"name": "a"}},
            {"model": {"name": "a"}, "more": [{"model": {"name": "b"}}]},
            {"model": {"name": "a"}, "more": [{}]},
            {},
        ),
    ),
    "optional pydantic model": Shape(Model | None, (None, {"name": "a"}, {}, 5), None),
}
