"""Fifty shapes of type hints: the schema of each, held fast, and what it means beside the official SDK's.

`python tests/sdk/test_shapes.py` writes the golden file anew.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import pydantic
import pytest
from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolResult
from typing_extensions import TypedDict

from douane.sdk import Server
from douane.sdk.functions import ArgumentFault
from douane.sdk.toolbox import Toolbox

try:
    from .shapes import NO_DEFAULT, SHAPES, Shape
except ImportError:  # run as a program
    from shapes import NO_DEFAULT, SHAPES, Shape

GOLDEN = Path(__file__).parent / "golden" / "shapes.json"

BETTER = {
    ("default none without saying so", "null"): "the default itself must be a value that fits",
    ("bounded int", "0"): "msgspec.Meta is unknown to pydantic, which drops the bound",
    ("bounded int", "-1"): "msgspec.Meta is unknown to pydantic, which drops the bound",
    ("bounded int", "10"): "msgspec.Meta is unknown to pydantic, which drops the bound",
}
"""Where our schema and the official one judge a value differently, and why ours does."""
UNDESCRIBED = {"msgspec struct", "tagged structs"}
"""What the official SDK makes no schema of."""
FORMS = {
    ("bytes", '"5"'): "no base64, which a schema only notes",
    ("bytes", '"a"'): "no base64, which a schema only notes",
    ("datetime", '"2026-11-25"'): "no date-time, which a schema only notes",
    ("set", "[1, 1]"): "a repeated member is one member",
}
"""Where a call is judged differently from its schema, and why."""


def function(shape: Shape) -> Callable[..., str]:
    def f(v):  # type: ignore[no-untyped-def]
        return "x"

    f.__annotations__ = {"v": shape.hint, "return": str}
    if shape.default is not NO_DEFAULT:
        f.__defaults__ = (shape.default,)
    return f


def toolbox(of: Callable[..., Any]) -> Toolbox:
    server = Server("ours")
    server.tool("f")(of)
    return server.toolbox


def schema(shape: Shape) -> dict[str, Any]:
    return toolbox(function(shape)).tools["f"].arguments.schema


def official(of: Callable[..., Any]) -> MCPServer:
    server = MCPServer("theirs")
    server.add_tool(of, name="f")
    return server


async def official_schema(shape: Shape) -> dict[str, Any]:
    return (await official(function(shape)).list_tools())[0].input_schema


def accepts(schema: dict[str, Any], shape: Shape) -> dict[str, bool]:
    validator = jsonschema_rs.Draft202012Validator(schema)
    return {json.dumps(value): validator.is_valid({"v": value}) for value in shape.samples}


def test_there_are_fifty_at_least_and_the_golden_file_has_each() -> None:
    assert len(SHAPES) >= 50
    assert json.loads(GOLDEN.read_text()).keys() == SHAPES.keys()


@pytest.mark.parametrize("name", SHAPES)
def test_the_schema_is_valid_and_what_it_was(name: str) -> None:
    made = schema(SHAPES[name])
    jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **made})
    assert made == json.loads(GOLDEN.read_text())[name]


@pytest.mark.parametrize("name", SHAPES)
async def test_it_means_what_the_official_one_means_or_says_why_not(name: str) -> None:
    shape = SHAPES[name]
    if name in UNDESCRIBED:
        with pytest.raises((pydantic.PydanticUserError, jsonschema_rs.ValidationError)):
            jsonschema_rs.meta.validate(await official_schema(shape))
        return
    ours, theirs = accepts(schema(shape), shape), accepts(await official_schema(shape), shape)
    assert {value for value in ours if ours[value] != theirs[value]} == {v for n, v in BETTER if n == name}


@pytest.mark.parametrize("name", SHAPES)
def test_calls_are_judged_as_the_schema_says(name: str) -> None:
    shape = SHAPES[name]
    arguments = toolbox(function(shape)).tools["f"].arguments
    said = accepts(arguments.schema, shape)
    for value in shape.samples:
        try:
            arguments.read({"v": value})
            fits = True
        except ArgumentFault:
            fits = False
        assert (fits != said[json.dumps(value)]) == ((name, json.dumps(value)) in FORMS), value


# --- results ------------------------------------------------------------------------------------------------------


class Movie(TypedDict):
    title: str
    year: int


@dataclass
class Spot:
    x: int
    y: float


class City(pydantic.BaseModel):
    name: str
    people: int = 0


def returns_text() -> str:
    return "a"


def returns_number() -> int:
    return 5


def returns_truth() -> bool:
    return True


def returns_list() -> list[str]:
    return ["a", "b"]


def returns_dict() -> dict[str, int]:
    return {"a": 1}


def returns_maybe() -> int | None:
    return None


def returns_typed_dict() -> Movie:
    return {"title": "a", "year": 1}


def returns_dataclass() -> Spot:
    return Spot(1, 2.0)


def returns_model() -> City:
    return City(name="Oslo")


def returns_models() -> list[City]:
    return [City(name="Oslo", people=3)]


RETURNS = (
    *(returns_text, returns_number, returns_truth, returns_list, returns_dict),
    *(returns_maybe, returns_typed_dict, returns_dataclass, returns_model, returns_models),
)


@pytest.mark.parametrize("of", RETURNS, ids=lambda of: of.__name__)
async def test_structured_results_are_those_of_the_official_sdk_and_fit_both_schemas(of: Callable[..., Any]) -> None:
    results, theirs = toolbox(of).tools["f"].results, official(of)
    ours = results.write(of())["structuredContent"]
    answered = await theirs.call_tool("f", {})
    assert isinstance(answered, CallToolResult)
    assert ours == answered.structured_content
    for schema in (results.schema, (await theirs.list_tools())[0].output_schema):
        assert schema is not None
        jsonschema_rs.Draft202012Validator(schema).validate(ours)


def write() -> None:
    GOLDEN.write_text(json.dumps({name: schema(shape) for name, shape in SHAPES.items()}, indent=1) + "\n")


if __name__ == "__main__":
    write()
