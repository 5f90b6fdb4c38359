"""The schema for editors says yes to what is loaded, and no to what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from douane.config.editor import schema
from douane.config.read import read

ROOT = Path(__file__).parents[2]
MINIMAL: dict[str, Any] = {"upstreams": {"a": {"command": ["b"]}}}


def faults(value: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema()).iter_errors(value)]


def test_it_is_a_schema_of_its_dialect_and_says_what_the_model_says() -> None:
    made = schema()
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(made)
    command = made["$defs"]["UpstreamConfig"]["properties"]["command"]
    assert command["description"].startswith("The program and its arguments; no shell.")
    assert all(part["additionalProperties"] is False for part in made["$defs"].values())


def test_the_example_that_make_run_uses_fits() -> None:
    assert faults(read(ROOT / "douane.yaml")[0]) == []


@pytest.mark.parametrize(
    "more",
    [
        {"listen": {"port": 9000}},
        {"listen": {"port": "${PORT}"}},
        {"audit": {"keep_results": "${KEEP:-true}"}},
        {"log": {"level": "${LEVEL}"}, "limits": {"max_depth": 32}},
        {"upstreams": {"a": {"url": "https://x", "reach": "private", "deadline_s": 1.5}}},
        {"upstreams": {"a": {"command": ["b"], "tools": {"t": {"as": "x"}, "u": {"hide": True}}}}},
        {"servers": {"r": {"select": {"a": {"tools": ["*"]}}, "groups": ["g"]}}},
    ],
)
def test_what_is_loaded_fits(more: dict[str, Any]) -> None:
    assert faults({**MINIMAL, **more}) == []


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"upstreams": {}},
        {**MINIMAL, "listn": {}},
        {**MINIMAL, "listen": {"prot": 1}},
        {**MINIMAL, "listen": {"port": 70000}},
        {**MINIMAL, "listen": {"port": "nine"}},
        {**MINIMAL, "log": {"level": "loud"}},
        {"upstreams": {"A b": {"command": ["b"]}}},
        {"upstreams": {"a": {"command": "b"}}},
        {"upstreams": {"a": {"comand": ["b"]}}},
        {"upstreams": {"a": {"command": ["b"], "url": "https://x"}}},
        {"upstreams": {"a": {"reads": {"tools": []}}}},
        {"upstreams": {"a": {"command": ["b"], "tools": {"t": {"as_": "x"}}}}},
        {"upstreams": {"a": {"command": ["b"], "resources": {"t": {"as": "x"}}}}},
        {**MINIMAL, "servers": {"r": {}}},
        {**MINIMAL, "servers": {"R": {"select": {}}}},
    ],
)
def test_what_is_refused_does_not_fit(value: dict[str, Any]) -> None:
    assert faults(value) != []


def bad_and_readable() -> list[Path]:
    return [path for path in (ROOT / "tests/config/bad").glob("unknown-keys.*") if path.suffix != ".expected"]


@pytest.mark.parametrize("path", bad_and_readable(), ids=lambda path: path.name)
def test_unknown_keys_of_the_bad_files_do_not_fit(path: Path) -> None:
    said = json.dumps(faults(read(path)[0]))
    assert "Additional properties are not allowed" in said or "is not valid under any" in said
