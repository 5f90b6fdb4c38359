from typing import Any

import pytest

from douane.sdk import Client, Context, DefinitionError, Schema, Server

WRITTEN = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"city": {"type": "string"}}}},
    "properties": {"address": {"$ref": "#/$defs/address"}, "phone": {"type": "string"}, "email": {"type": "string"}},
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "additionalProperties": False,
}


def contacts() -> Server:
    server = Server("contacts")

    @server.tool(arguments=Schema(WRITTEN))
    async def keep(context: Context, contact: dict[str, Any]) -> dict[str, Any]:
        """Keep a contact."""
        return contact

    return server


async def test_it_is_shown_keyword_by_keyword_and_arguments_come_as_one() -> None:
    async with Client(contacts()) as client:
        (listed,) = await client.tools()
        assert listed["inputSchema"] == WRITTEN
        given = {"email": "a@b", "address": {"city": "Oslo"}}
        assert (await client.call("keep", given)).structured == given


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "client: {} is not valid"),
        ({"phone": "1", "fax": "2"}, "'fax' was unexpected"),
        ({"phone": "1", "address": {"city": 3}}, "argument 'address.city': 3 is not of type"),
    ],
)
async def test_arguments_that_do_not_fit_are_told_to_the_model(given: dict[str, Any], fault: str) -> None:
    async with Client(contacts()) as client:
        answer = await client.call("keep", given)
        assert answer.is_error
        assert fault in answer.text


async def test_a_long_value_that_does_not_fit_is_not_said_in_full() -> None:
    async with Client(contacts()) as client:
        answer = await client.call("keep", {"phone": ["1" * 10_000]})
        assert answer.is_error
        assert len(answer.text) < 500


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ({"type": "string"}, '"type": "object" at its root'),
        ({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}, "only JSON Schema 2020-12"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "no JSON Schema 2020-12"),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.com/a"}}}, "no JSON Schema 2020-12"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}, "no JSON Schema 2020-12"),
    ],
)
def test_what_is_no_schema_of_arguments_is_refused(written: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Schema(written)


def test_a_function_that_names_its_arguments_cannot_have_one() -> None:
    def keep(phone: str, email: str) -> None: ...

    with pytest.raises(DefinitionError, match="takes them all as one"):
        Server("contacts").tool(arguments=Schema({"type": "object"}))(keep)
