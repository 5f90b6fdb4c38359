"""RESOLVE: which upstream a call is for. What does not exist and what is hidden look alike."""

from typing import Any

import pytest
from msgspec.structs import replace

from douane.flow.chain import Gate, Stage
from douane.interceptors.resolve import make
from douane.protocol.call import Call, Principal
from douane.protocol.methods import target_of
from douane.protocol.outcome import Outcome, Refused
from douane.registry.catalog import Catalog, Item, Kind


def item(kind: Kind, upstream: str, own: str, exposed: str) -> Item:
    return Item(kind, upstream, own, exposed, {"name": exposed}, f"digest of {own}")


def catalog() -> Catalog:
    made = Catalog()
    made.publish(
        "files",
        [
            item("tools", "files", "read", "files_read"),
            item("tools", "files", "plain", "plain"),
            item("prompts", "files", "sum up", "files_sum_up"),
            item("resources", "files", "file:///a", "file:///a"),
            item("resourceTemplates", "files", "file:///{path}", "file:///{path}"),
        ],
        frozenset({"tools", "prompts", "resources", "completions"}),
    )
    made.publish(
        "notes",
        [item("resourceTemplates", "notes", "file:///notes/{id}", "file:///notes/{id}")],
        frozenset({"resources"}),
    )
    return made


def call(method: str, params: dict[str, Any]) -> Call:
    return Call(
        id="c", root="c", method=method, params=params, principal=Principal("anna"), target=target_of(method, params)
    )


def resolved(asked: Call) -> Call | Outcome:
    gate = make(catalog())
    assert isinstance(gate, Gate)
    assert gate.check is not None
    assert gate.stage is Stage.RESOLVE
    return gate.check(asked)


def test_a_tool_is_called_by_its_own_name_at_its_own_upstream() -> None:
    asked = call("tools/call", {"name": "files_read", "arguments": {"p": 1}})
    assert resolved(asked) == replace(
        asked,
        upstream="files",
        name="read",
        digest="digest of read",
        params={"name": "read", "arguments": {"p": 1}},
    )


def test_params_that_need_no_new_name_are_the_same_object() -> None:
    asked = call("tools/call", {"name": "plain"})
    got = resolved(asked)
    assert isinstance(got, Call)
    assert got.params is asked.params


def test_a_prompt_is_got_by_its_own_name() -> None:
    asked = call("prompts/get", {"name": "files_sum_up"})
    assert resolved(asked) == replace(
        asked, upstream="files", name="sum up", digest="digest of sum up", params={"name": "sum up"}
    )


@pytest.mark.parametrize(
    ("uri", "upstream", "digest"),
    [
        ("file:///a", "files", "digest of file:///a"),
        ("file:///other", "files", "digest of file:///{path}"),
        ("file:///notes/1", "notes", "digest of file:///notes/{id}"),
    ],
)
def test_a_uri_is_read_from_the_resource_or_the_closest_template(uri: str, upstream: str, digest: str) -> None:
    asked = call("resources/read", {"uri": uri})
    assert resolved(asked) == replace(asked, upstream=upstream, name=uri, digest=digest)


def test_a_completion_goes_where_its_reference_points_by_type() -> None:
    prompt = call("completion/complete", {"ref": {"type": "ref/prompt", "name": "files_sum_up"}, "argument": {}})
    assert resolved(prompt) == replace(
        prompt,
        upstream="files",
        name="sum up",
        digest="digest of sum up",
        params={"ref": {"type": "ref/prompt", "name": "sum up"}, "argument": {}},
    )
    uri = call("completion/complete", {"ref": {"type": "ref/resource", "uri": "file:///{path}"}, "argument": {}})
    assert resolved(uri) == replace(uri, upstream="files", name="file:///{path}", digest="digest of file:///{path}")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "read"}),
        ("tools/call", {"name": "files_sum_up"}),
        ("tools/call", {"name": ""}),
        ("tools/call", {"name": "x" * 10_000}),
        ("prompts/get", {"name": "files_read"}),
        ("resources/read", {"uri": "http://elsewhere/"}),
        ("resources/read", {"uri": "file:///"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "file:///{path}"}}),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "files_sum_up"}}),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "file:///a"}}),
        ("completion/complete", {"ref": {}}),
        ("completion/complete", {"ref": []}),
        ("completion/complete", {}),
    ],
)
def test_what_nobody_offers_is_unknown_and_starts_nothing(method: str, params: dict[str, Any]) -> None:
    refused = resolved(call(method, params))
    assert isinstance(refused, Refused)
    assert refused.code == -32602
    assert len(refused.reason) < 200


def test_an_unknown_resource_is_named_in_the_data() -> None:
    refused = resolved(call("resources/read", {"uri": "http://x/"}))
    assert isinstance(refused, Refused)
    assert refused.data == {"uri": "http://x/"}


def test_lists_are_for_everybody_and_pass() -> None:
    asked = call("tools/list", {})
    assert resolved(asked) is asked
