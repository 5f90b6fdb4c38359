"""What a form may ask, and what fills it in."""

from typing import Any

import pytest

from douane.protocol.forms import content_fault, schema_fault

TITLED = [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]


def form(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string", "title": "T", "description": "D", "default": "x", "minLength": 1, "maxLength": 3},
        {"type": "string", "format": "email"},
        {"type": "number", "minimum": 0, "maximum": 1.5, "default": 0.5},
        {"type": "integer", "default": 30},
        {"type": "boolean", "default": True},
        {"type": "string", "enum": ["a", "b"], "default": "a"},
        {"type": "string", "oneOf": TITLED, "default": "l"},
        {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "minItems": 1, "default": ["a"]},
        {"type": "array", "items": {"anyOf": TITLED}, "maxItems": 2},
        {"type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"]},
    ],
)
def test_every_kind_of_field_can_be_asked_for(field: Any) -> None:
    assert schema_fault(form(f=field)) is None


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({}, "a form is an object with properties"),
        ({"type": "array"}, "a form is an object with properties"),
        (form() | {"additionalProperties": False}, "a form knows no 'additionalProperties'"),
        (form() | {"required": ["x"]}, "`required` must list fields of the form"),
        (form(f=True), "field 'f' must be an object"),
        (form(f={}), "field 'f' must be a string, number, integer, boolean, or an array of choices"),
        (form(f={"type": "object"}), "field 'f' must be a string, number, integer, boolean, or an array of choices"),
        (form(f={"type": ["string"]}), "field 'f' must be a string, number, integer, boolean, or an array of choices"),
        (
            form(f={"type": "string", "pattern": "a"}),
            "field 'f' says 'pattern', which a form cannot; check it after the answer instead",
        ),
        (
            form(f={"type": "string", "format": "regex"}),
            "field 'f' has a format other than email, uri, date, date-time",
        ),
        (form(f={"type": "string", "enum": []}), "field 'f' offers no choices"),
        (form(f={"type": "array"}), "field 'f' is a list, which has to offer choices: strings that are named"),
        (form(f={"type": "string", "enum": ["a"], "default": "b"}), "field 'f' is none of a"),
        (form(f={"type": "integer", "default": "1"}), "field 'f' is no number"),
        (form(f={"type": "string", "minLength": "3"}), "field 'f' has a 'minLength' that is no number"),
        (form(f={"type": "number", "maximum": True}), "field 'f' has a 'maximum' that is no number"),
        (form() | {"required": [["f"]]}, "`required` must list fields of the form"),
        (
            form(f={"type": "string", "format": ["date"]}),
            "field 'f' has a format other than email, uri, date, date-time",
        ),
    ],
)
def test_what_no_client_could_draw_is_refused(schema: Any, fault: str) -> None:
    assert schema_fault(schema) == fault


FORM = form(
    name={"type": "string", "minLength": 2, "maxLength": 4},
    mail={"type": "string", "format": "email"},
    day={"type": "string", "format": "date"},
    at={"type": "string", "format": "date-time"},
    page={"type": "string", "format": "uri"},
    age={"type": "integer", "minimum": 0, "maximum": 150},
    part={"type": "number"},
    yes={"type": "boolean"},
    size={"type": "string", "oneOf": TITLED},
    tags={"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "minItems": 1},
) | {"required": ["name"]}


@pytest.mark.parametrize(
    "content",
    [
        {"name": "Anna", "mail": "a@b.c", "day": "2026-01-31", "at": "2026-01-31T10:00:00Z", "page": "https://x/"},
        {"name": "Anna", "age": 0, "part": 1, "yes": False, "size": "s", "tags": ["b", "a"], "unasked": None},
        {"name": "Anna", "age": 7.0},
    ],
)
def test_what_fits_fits(content: Any) -> None:
    assert content_fault(FORM, content) is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({}, "leaves out 'name'"),
        ({"name": None}, "has a 'name' that is no text"),
        ({"name": "A"}, "has a 'name' that is shorter than 2 characters"),
        ({"name": "Annabel"}, "has a 'name' that is longer than 4 characters"),
        ({"name": "Anna", "mail": "a"}, "has a 'mail' that is no email"),
        ({"name": "Anna", "day": "soon"}, "has a 'day' that is no date"),
        ({"name": "Anna", "at": "2026-01-31"}, "has a 'at' that is no date-time"),
        ({"name": "Anna", "page": "x"}, "has a 'page' that is no uri"),
        ({"name": "Anna", "age": -1}, "has a 'age' that is less than 0"),
        ({"name": "Anna", "age": 151}, "has a 'age' that is more than 150"),
        ({"name": "Anna", "age": 1.5}, "has a 'age' that is no whole number"),
        ({"name": "Anna", "age": True}, "has a 'age' that is no number"),
        ({"name": "Anna", "part": "1"}, "has a 'part' that is no number"),
        ({"name": "Anna", "yes": 1}, "has a 'yes' that is neither true nor false"),
        ({"name": "Anna", "size": "m"}, "has a 'size' that is none of s, l"),
        ({"name": "Anna", "tags": "a"}, "has a 'tags' that is no list"),
        ({"name": "Anna", "tags": ["c"]}, "has a 'tags' that holds something else than a, b"),
        ({"name": "Anna", "tags": []}, "has a 'tags' that has fewer than 1"),
        ({"name": "Anna", "tags": ["a", "a", "a"]}, "has a 'tags' that has more than 2"),
    ],
)
def test_what_does_not_fit_is_named(content: Any, fault: str) -> None:
    assert content_fault(FORM, content) == fault
