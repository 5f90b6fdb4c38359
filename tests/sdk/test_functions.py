"""Functions and their hints: where descriptions and bounds come from, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import annotated_types as at
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import Doc, TypedDict

from douane.sdk.functions import ArgumentFault, Arguments, DefinitionError, place_of, signature_of

from .shapes import SHAPES

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypes


def arguments(function: Any) -> Arguments:
    place = place_of(function, "tool")
    return Arguments(signature_of(function, place).parameters, place)


def test_a_description_is_taken_from_wherever_it_is_written() -> None:
    def f(
        a: Annotated[int, "in words"],
        b: Annotated[int, Doc("in a Doc")],
        c: Annotated[int, msgspec.Meta(description="in a Meta")],
        d: Annotated[int, pydantic.Field(description="in a Field")],
        e: Annotated[int, "not the docstring"] | None,
        f: int,
    ) -> None:
        """F.

        Args:
            e: the docstring
            f: in the docstring
        """

    properties = arguments(f).schema["properties"]
    assert {name: one["description"] for name, one in properties.items()} == {
        "a": "in words",
        "b": "in a Doc",
        "c": "in a Meta",
        "d": "in a Field",
        "e": "not the docstring",
        "f": "in the docstring",
    }


@dataclass
class Unresolved:
    x: NowhereAtAll  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Bounded:
    x: Annotated[int, at.Gt(2)]


class Deep(TypedDict):
    inside: list[Bounded]


class Tuple(NamedTuple):
    x: Annotated[int, at.Gt(2)]


class Told(TypedDict):
    x: Annotated[int, "words are no constraint"]


@pytest.mark.parametrize("hint", [Bounded, list[Bounded], Deep, Tuple, Bounded | None])
def test_a_bound_that_would_be_lost_inside_a_class_is_refused(hint: Any) -> None:
    def f(x) -> None: ...  # type: ignore[no-untyped-def]

    f.__annotations__ = {"x": hint}
    with pytest.raises(DefinitionError, match="would be lost: inside a class"):
        arguments(f)
    f.__annotations__ = {"x": Told}
    arguments(f)


def odd(value: Any) -> bool:
    return value % 2 == 1


def test_what_cannot_be_kept_is_refused_with_the_remedy() -> None:
    def predicate(x: Annotated[int, at.Predicate(odd)]) -> None: ...

    def alias(x: Annotated[int, pydantic.Field(alias="y")]) -> None: ...

    def factory(x: list[int] = pydantic.Field(default_factory=list)) -> None: ...  # noqa: B008

    def hidden(x: OnlyForTypes) -> None: ...

    def unresolved(x: Unresolved) -> None: ...

    def positional(x: int, /) -> None: ...

    def words(**x: int) -> None: ...

    def default(x: Any = odd) -> None: ...

    for function, said in (
        (predicate, "cannot be said in JSON Schema here; use msgspec.Meta"),
        (alias, "the alias 'y' would be lost: give the argument that name"),
        (factory, "a default_factory would be called by nobody"),
        (hidden, "import it outside `if TYPE_CHECKING`"),
        (unresolved, "argument 'x': name 'NowhereAtAll' is not defined"),
        (positional, "take out the `/`"),
        (words, "name each argument"),
        (default, "the default of 'x' (function) cannot be written as JSON"),
    ):
        with pytest.raises(DefinitionError) as told:
            arguments(function)
        assert said in str(told.value)
        assert f"{__file__}:{function.__code__.co_firstlineno}: tool {function.__name__!r}: " in str(told.value)


def test_what_no_file_holds_is_refused_too() -> None:
    with pytest.raises(DefinitionError, match="no plain function or method"):
        arguments(max)


def test_a_default_is_the_one_that_was_written_and_not_a_copy() -> None:
    shared: list[int] = [1]

    def f(x: list[int] = shared) -> None: ...

    made = arguments(f)
    assert made.read({})["x"] is shared
    assert made.schema["properties"]["x"]["default"] == [1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"x": {"inside": [{"x": "1"}]}}, "argument 'x.inside[0].x': expected int, got str"),
        ({"x": {}}, "argument 'x.inside' is missing"),
        (
            {"x": {"inside": []}, "color": "red"},
            "argument 'color': invalid enum value 'red', expected one of blue, green",
        ),
    ],
)
def test_a_fault_is_named_by_its_place(given: dict[str, Any], said: str) -> None:
    class Point(msgspec.Struct):
        x: int

    Deep = msgspec.defstruct("Deep", [("inside", list[Point])])

    def f(x, color) -> None: ...  # type: ignore[no-untyped-def]

    f.__annotations__ = {"x": Deep, "color": Literal["blue", "green"]}
    f.__defaults__ = ("blue",)
    with pytest.raises(ArgumentFault) as told:
        arguments(f).read(given)
    assert str(told.value) == said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.sampled_from("abxv"), inner, max_size=3)
    ),
    max_leaves=6,
)
HARD = st.sampled_from(
    ["9999-12-31T23:59:59-23:59", "P99999999999D", "1e999", "0001-01-01", "NaN", 10**400, -(2**63) - 1, 1e308, "\ud7ff"]
)


@pytest.mark.parametrize("name", SHAPES)
@given(value=JSON | HARD)
@settings(max_examples=60)
def test_whatever_is_sent_fits_or_is_a_fault_of_the_caller(name: str, value: Any) -> None:
    with suppress(ArgumentFault):
        READERS[name].read({"v": value})


def reader(hint: Any) -> Arguments:
    def f(v) -> None: ...  # type: ignore[no-untyped-def]

    f.__annotations__ = {"v": hint}
    return arguments(f)


READERS = {name: reader(shape.hint) for name, shape in SHAPES.items()}


def test_who_has_no_pydantic_is_not_given_it() -> None:
    program = (
        "import sys; from douane.sdk import Client, Server; s = Server('s')\n"
        "@s.tool()\ndef f(a: int, b: list[str] | None = None) -> dict[str, int]: ...\n"
        "found = {'pydantic', 'annotated_types', 'pytest', 'watchfiles', 'anyio'} & sys.modules.keys()\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
