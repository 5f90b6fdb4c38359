"""Tools in the words of three providers: valid for each, with the way back, and a note for all that was changed."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from douane.config.functions.export import Provider, exported

OBJECT = {"type": "object", "properties": {}}


def tool(schema: Any = OBJECT, name: str = "do", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": "Does it.", "inputSchema": schema, **more}


def parameters(schema: Any, provider: Provider = Provider.gemini) -> tuple[Any, list[str]]:
    made = exported([tool(schema)], provider)
    (one,) = made.tools
    found = (
        one["function"]["parameters"] if provider is Provider.openai else one.get("input_schema", one.get("parameters"))
    )
    return found, made.notes


def test_each_provider_is_told_in_its_shape() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    openai, anthropic, gemini = (exported([tool(schema)], provider) for provider in Provider)
    assert openai.tools == [
        {"type": "function", "function": {"name": "do", "description": "Does it.", "parameters": schema}}
    ]
    assert anthropic.tools == [{"name": "do", "description": "Does it.", "input_schema": schema}]
    assert gemini.tools == [{"name": "do", "description": "Does it.", "parameters": schema}]
    assert [made.notes for made in (openai, anthropic, gemini)] == [[], [], []]


@pytest.mark.parametrize("provider", Provider)
def test_names_fit_lead_back_and_never_meet(provider: Provider) -> None:
    own = ["a.b", "a_b", "a/b", "x" * 80, "x" * 79 + "y", "9lives", "-dash", "plain"]
    made = exported([tool(name=name) for name in own], provider)
    first = "[A-Za-z_]" if provider is Provider.gemini else "[A-Za-z0-9_-]"
    assert all(re.fullmatch(f"{first}[A-Za-z0-9_-]{{0,63}}", name) for name in made.names)
    assert list(made.names.values()) == own
    assert made.names["plain"] == "plain"
    assert len([note for note in made.notes if " is called " in note]) == len(
        [n for n, o in made.names.items() if n != o]
    )


def test_the_top_of_a_schema_is_an_object_and_nothing_composed() -> None:
    schema = {"$schema": "x", "oneOf": [{"required": ["a"]}], "properties": {"a": {"type": "string", "oneOf": [{}]}}}
    for provider in (Provider.openai, Provider.anthropic):
        found, notes = parameters(schema, provider)
        assert found == {"properties": {"a": {"type": "string", "oneOf": [{}]}}, "type": "object"}
        assert notes == ["do: oneOf at the top of its schema: left out"]


def test_a_tool_that_anthropic_cannot_be_told_of_is_left_out_and_said() -> None:
    made = exported([tool({"type": "object", "properties": {"a b": {}}}), tool(name="other")], Provider.anthropic)
    assert ([one["name"] for one in made.tools], made.names) == (["other"], {"other": "other"})
    assert made.notes == ["do: left out: its argument 'a b' has a name that is not taken"]


def test_a_long_description_is_cut_for_openai_only() -> None:
    for provider, length in ((Provider.openai, 1024), (Provider.gemini, 3000)):
        made = exported([tool() | {"description": "x" * 3000}], provider)
        one = made.tools[0].get("function", made.tools[0])
        assert len(one["description"]) == length


def one(schema: Any) -> tuple[Any, list[str]]:
    found, notes = parameters({"type": "object", "properties": {"a": schema}})
    return found["properties"]["a"], [note.removeprefix("do: ") for note in notes]


@pytest.mark.parametrize(
    ("schema", "said", "notes"),
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}, []),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}, []),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}, []),
        (
            {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            [],
        ),
        ({"const": "x"}, {"type": "string", "enum": ["x"]}, []),
        ({"enum": ["x", None]}, {"type": "string", "enum": ["x"], "nullable": True}, []),
        (
            {"enum": [1, 2]},
            {"type": "integer", "description": "One of: 1, 2."},
            ["a: its choices are no text; they are said in its description"],
        ),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}, []),
        ({"type": "number", "exclusiveMaximum": 1}, {"type": "number"}, ["a: exclusiveMaximum is left out"]),
        ({"type": "string", "format": "uuid"}, {"type": "string"}, ["a: the format uuid is left out"]),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}, []),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}, []),
        ({"type": "object", "additionalProperties": False}, {"type": "object"}, []),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "object"},
            ["a: additionalProperties is left out"],
        ),
        ({}, {"type": "string"}, ["a: has no type; said as a string"]),
        (True, {"type": "object"}, ["a: anything goes there; said as an object"]),
        ({"type": "object", "required": ["gone"]}, {"type": "object"}, []),
        ({"allOf": [{"type": "string"}, {"maxLength": 3}]}, {"type": "string", "maxLength": 3}, []),
        ({"$ref": "#/gone"}, {"type": "object"}, ["a: #/gone is not in the schema; said as an object"]),
        ({"$ref": "https://x/y"}, {"type": "object"}, ["a: https://x/y is not in the schema; said as an object"]),
    ],
)
def test_keywords_that_gemini_has_not_are_said_otherwise_or_left_out_with_a_note(
    schema: Any, said: Any, notes: list[str]
) -> None:
    assert one(schema) == (said, notes)


def test_references_are_put_in_and_one_that_holds_itself_ends() -> None:
    schema = {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/Tree", "description": "the root"}},
        "$defs": {
            "Tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}
        },
    }
    found, notes = parameters(schema)
    kids = {"type": "array", "items": {"type": "object"}}
    assert found["properties"]["tree"] == {"description": "the root", "type": "object", "properties": {"kids": kids}}
    assert notes == ["do: tree.kids[]: holds itself; said as an object"]


def test_a_schema_that_would_unfold_without_end_is_cut() -> None:
    defs = {
        f"d{n}": {"type": "object", "properties": {k: {"$ref": f"#/$defs/d{n + 1}"} for k in "ab"}} for n in range(22)
    }
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}},
        "$defs": {**defs, "d22": {"type": "string"}},
    }
    found, notes = parameters(schema)
    assert len(str(found)) < 1_000_000
    assert any("nested too deeply" in note for note in notes)


def test_nothing_of_gemini_lies_outside_its_subset() -> None:
    allowed = {
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "items",
        "minItems",
        "maxItems",
        "properties",
    }
    allowed |= {"required", "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "anyOf", "default"}
    allowed |= {"minimum", "maximum", "propertyOrdering"}
    part = {"type": "object", "propertyNames": {"enum": sorted(allowed)}, "properties": {}}
    part["properties"] = {
        "properties": {"additionalProperties": {"$ref": "#"}},
        "items": {"$ref": "#"},
        "anyOf": {"items": {"$ref": "#"}},
        "enum": {"items": {"type": "string"}},
    }
    odd = {"not": {}, "if": {}, "then": {}, "dependentRequired": {}, "patternProperties": {}, "contentEncoding": "x"}
    schema = {
        "type": "object",
        "properties": {"a": {**odd, "type": "array", "prefixItems": [], "items": {**odd, "enum": [1]}}},
    }
    found, notes = parameters(schema)
    Draft202012Validator(part).validate(found)
    assert len(notes) == len(odd) * 2 + 2
