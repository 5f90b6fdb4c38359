"""Types as forms: what a person is shown, and what comes back."""

import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from douane.flow.rounds import AnswerFault
from douane.sdk import choices
from douane.sdk.forms import form_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Order:
    """An order."""

    name: Annotated[str, msgspec.Meta(description="Whose", min_length=1)]
    colour: Colour
    size: Annotated[str, choices({"s": "Small", "l": "Large"})] = "s"
    extras: list[Literal["lemon", "ice"]] = field(default_factory=list)
    places: list[Annotated[str, choices({"in": "Inside", "out": "Outside"})]] = field(default_factory=list)
    count: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    tip: float | None = None
    gift: bool = False
    note: str | None = None


def test_a_dataclass_is_a_form_with_its_choices_in_the_order_they_were_written() -> None:
    assert form_of(Order).schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "Whose", "minLength": 1},
            "colour": {"type": "string", "enum": ["red", "blue"]},
            "size": {
                "type": "string",
                "oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}],
                "default": "s",
            },
            "extras": {"type": "array", "items": {"type": "string", "enum": ["lemon", "ice"]}},
            "places": {
                "type": "array",
                "items": {"anyOf": [{"const": "in", "title": "Inside"}, {"const": "out", "title": "Outside"}]},
            },
            "count": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1},
            "tip": {"type": "number"},
            "gift": {"type": "boolean", "default": False},
            "note": {"type": "string"},
        },
        "required": ["name", "colour"],
    }


def test_what_comes_back_is_of_the_type_and_nothing_more_than_was_asked() -> None:
    content = {"name": "Anna", "colour": "red", "count": 2.0, "extras": ["ice"], "admin": True}
    assert form_of(Order).read(content) == Order("Anna", Colour.RED, count=2, extras=["ice"])


def test_structs_and_typed_dicts_are_forms_too() -> None:
    class Struct(msgspec.Struct):
        a: int

    class Dict(TypedDict):
        a: int

    for form in (Struct, Dict):
        assert form_of(form).schema == {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "required": ["a"],
        }
    assert form_of(Struct).read({"a": 1}) == Struct(1)
    assert form_of(Dict).read({"a": 1}) == {"a": 1}


def test_a_schema_of_ones_own_is_taken_and_its_answer_left_alone() -> None:
    legacy = {"type": "string", "enum": ["a"], "enumNames": ["A"]}
    schema = {"type": "object", "properties": {"a": legacy}}
    form = form_of(schema)
    assert (form.schema, form.read({"a": "a"})) == (schema, {"a": "a"})


@dataclass
class Nested:
    inner: Order


@dataclass
class Free:
    names: list[str]


@dataclass
class Wide:
    either: int | str


@dataclass
class Patterned:
    code: Annotated[str, msgspec.Meta(pattern="^a")]


@pytest.mark.parametrize("type_", [Nested, Free, Wide, Patterned, int, list[int], dict[str, int], object()])
def test_what_no_form_can_hold_is_refused_by_name(type_: Any) -> None:
    with pytest.raises(TypeError, match="cannot be asked for"):
        form_of(type_)


def test_what_the_type_refuses_is_a_fault_of_the_answer() -> None:
    @dataclass
    class Even:
        n: int

        def __post_init__(self) -> None:
            if self.n % 2:
                raise ValueError("must be even")

    with pytest.raises(AnswerFault, match="must be even"):
        form_of(Even).read({"n": 3})
