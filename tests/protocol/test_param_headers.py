from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.protocol.param_headers import ParamHeader, header_values, mirrored, param_fault, param_headers, unmarked

STRING = {"type": "string"}


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def marked(name: str, type_: str = "string") -> dict[str, Any]:
    return {"type": type_, "x-mcp-header": name}


TENANT = param_headers(
    schema(region=marked("Region"), level=marked("Level", "integer"), dry=marked("Dry", "boolean"), query=STRING)
)


def test_what_is_marked_is_found_at_any_depth_of_properties() -> None:
    nested = schema(region=marked("Region"), where=schema(zone=marked("X_Zone", "integer")), query=STRING)
    assert param_headers(nested) == (
        ParamHeader(b"mcp-param-region", ("region",)),
        ParamHeader(b"mcp-param-x_zone", ("where", "zone")),
    )
    assert param_headers(schema(query=STRING)) == ()
    assert param_headers(None) == ()


def test_an_argument_of_that_name_is_no_mark() -> None:
    assert param_headers(schema(**{"x-mcp-header": STRING})) == ()
    assert param_headers({**schema(), "default": {"x-mcp-header": "Region"}}) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        schema(a=marked("")),
        schema(a=marked("My Region")),
        schema(a=marked("Region:Primary")),
        schema(a=marked("Région")),
        schema(a=marked("Region\t1")),
        schema(a=marked("Region\r\nX: y")),
        schema(a={"type": "string", "x-mcp-header": 7}),
        schema(a=marked("A", "number")),
        schema(a=marked("A", "array")),
        schema(a=marked("A", "null")),
        schema(a={"type": ["string", "null"], "x-mcp-header": "A"}),
        schema(a={"anyOf": [STRING, {"type": "null"}], "x-mcp-header": "A"}),
        schema(a=marked("Region"), b=marked("region")),
        schema(a={"type": "array", "items": marked("A")}),
        schema(a={"anyOf": [marked("A")]}),
        {**schema(a={"$ref": "#/$defs/a"}), "$defs": {"a": marked("A")}},
        {**schema(), "if": schema(a=marked("A"))},
    ],
)
def test_a_mark_that_nobody_may_follow_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="x-mcp-header"):
        param_headers(wrong)
    assert mirrored({"name": "t", "inputSchema": wrong}) == ()


def test_a_mark_is_taken_off_wherever_it_stands_and_no_name_or_value_like_it() -> None:
    named = {"x-mcp-header": STRING}
    wrong = {
        **schema(a={"type": "array", "items": marked("A"), "x-mcp-header": "A"}, **named),
        "anyOf": [marked("B"), True],
        "$defs": {"x-mcp-header": marked("C")},
        "default": {"x-mcp-header": "D"},
    }
    assert unmarked(wrong) == {
        **schema(a={"type": "array", "items": STRING}, **named),
        "anyOf": [STRING, True],
        "$defs": {"x-mcp-header": STRING},
        "default": {"x-mcp-header": "D"},
    }
    assert param_headers(unmarked(wrong)) == ()


def test_values_are_written_as_the_specification_writes_them() -> None:
    said = header_values(TENANT, {"region": "Hello, 世界", "level": -7, "dry": False, "query": "x"})
    assert said == [
        (b"mcp-param-region", b"=?base64?SGVsbG8sIOS4lueVjA==?="),
        (b"mcp-param-level", b"-7"),
        (b"mcp-param-dry", b"false"),
    ]
    assert header_values(TENANT, {"region": None, "query": "x"}) == []
    assert header_values(TENANT, {"region": ["a"]}) == []
    assert header_values(TENANT, None) == []


@pytest.mark.parametrize(
    ("arguments", "sent", "fault"),
    [
        ({"region": "eu"}, {b"mcp-param-region": b"eu"}, None),
        ({"region": "eu"}, {b"mcp-param-region": b"=?base64?ZXU=?="}, None),
        ({"region": "=?base64?ZXU="}, {b"mcp-param-region": b"=?base64?ZXU="}, None),
        ({"level": 42}, {b"mcp-param-level": b"42.0"}, None),
        ({"level": 42.0}, {b"mcp-param-level": b"42"}, None),
        ({"dry": True}, {b"mcp-param-dry": b"true"}, None),
        ({}, {}, None),
        ({"region": None}, {}, None),
        ({}, {b"mcp-param-other": b"x"}, None),
        ({"region": "eu"}, {}, "the header Mcp-Param-Region is missing; it must mirror argument 'region'"),
        (
            {"region": "eu"},
            {b"mcp-param-region": b"us"},
            "the header Mcp-Param-Region does not mirror argument 'region'",
        ),
        ({"region": "eu"}, {b"mcp-param-region": b"EU"}, "does not mirror"),
        ({"region": "Hello"}, {b"mcp-param-region": b"=?base64?SGVsbG8?="}, "is malformed"),
        ({"region": "Hello"}, {b"mcp-param-region": b"=?base64?SGVs!!!bG8=?="}, "is malformed"),
        ({}, {b"mcp-param-region": b"eu"}, "there is no such value"),
        ({"region": None}, {b"mcp-param-region": b"null"}, "there is no such value"),
        ({"region": ["eu"]}, {b"mcp-param-region": b"eu"}, "there is no such value"),
        ({"level": 42}, {b"mcp-param-level": b"4_2"}, "does not mirror"),
        ({"level": 42}, {b"mcp-param-level": b"42.5"}, "does not mirror"),
        # Digits of another script, which int() reads.
        ({"level": 42}, {b"mcp-param-level": b"=?base64?77yU77yS?="}, "does not mirror"),
        ({"level": True}, {b"mcp-param-level": b"1"}, "does not mirror"),
        ({"dry": True}, {b"mcp-param-dry": b"True"}, "does not mirror"),
    ],
)
def test_headers_that_do_not_mirror_the_arguments_are_found(
    arguments: dict[str, Any], sent: dict[bytes, bytes], fault: str | None
) -> None:
    found = param_fault(TENANT, arguments, sent)
    assert found is None if fault is None else found is not None and fault in found


@given(st.fixed_dictionaries({}, optional={"region": st.text(), "level": st.integers(), "dry": st.booleans()}))
def test_what_a_client_writes_a_server_accepts(arguments: dict[str, Any]) -> None:
    sent = header_values(TENANT, arguments)
    assert all(value.isascii() and b"\r" not in value and b"\n" not in value for _, value in sent)
    assert param_fault(TENANT, arguments, dict(sent)) is None
