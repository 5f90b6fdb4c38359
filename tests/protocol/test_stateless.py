"""Revision 2026-07-28 as a server reads it and as a client writes it: every request carries its own papers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.protocol.call import Call, Event, Principal
from douane.protocol.eras import stateless
from douane.protocol.eras.stateless import Envelope
from douane.protocol.outcome import Complete, Deferred, Failed, InputRequired, Refused
from douane.wire import rpc
from douane.wire.codes import METHOD_NOT_FOUND, MISSING_CAPABILITY, UNSUPPORTED_VERSION

ANNA = Principal("anna")
VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
CLIENT = "io.modelcontextprotocol/clientInfo"
LEVEL = "io.modelcontextprotocol/logLevel"
META = {VERSION: "2026-07-28", CAPABILITIES: {}}
OURS = Envelope({"name": "douane"}, {})


def read(method: str, params: dict[str, Any]) -> Call | Refused:
    return stateless.read_call(rpc.Request(7, method, params), id="c", root=None, principal=ANNA, conversation="k")


def call(method: str = "tools/call", params: dict[str, Any] | None = None, **members: Any) -> Call:
    given = {"name": "t"} if params is None else params
    return Call(id="c", root="c", method=method, params=given, principal=ANNA, conversation="k", **members)


def test_a_call_is_everything_its_request_says_less_what_belongs_to_the_hop() -> None:
    meta = {
        VERSION: "2026-07-28",
        CAPABILITIES: {"elicitation": {}},
        CLIENT: {"name": "host"},
        LEVEL: "warning",
        "io.modelcontextprotocol/later": 1,
        "progressToken": "p",
        "traceparent": "00-1-2-03",
        "com.example/tag": {"a": [1]},
    }
    params = {"name": "t", "arguments": {"x": 1}, "later": True, "_meta": meta}
    assert read("tools/call", params | {"inputResponses": {"q": {}}, "requestState": "s"}) == call(
        params={
            "name": "t",
            "arguments": {"x": 1},
            "later": True,
            "_meta": {"traceparent": "00-1-2-03", "com.example/tag": {"a": [1]}},
        },
        target="t",
        capabilities={"elicitation": {}},
        answers={"q": {}},
        state="s",
        log_level="warning",
        wants_progress=True,
    )


def test_the_next_hop_gets_our_envelope_and_what_is_end_to_end() -> None:
    sent = call(
        params={"name": "t", "_meta": {"traceparent": "00", VERSION: "forged"}},
        state="s",
        answers={"q": {"action": "accept"}},
        wants_progress=True,
        log_level="debug",
    )
    assert json.loads(stateless.write_call(41, sent, OURS)) == {
        "jsonrpc": "2.0",
        "id": 41,
        "method": "tools/call",
        "params": {
            "name": "t",
            "_meta": {
                "traceparent": "00",
                VERSION: "2026-07-28",
                CLIENT: {"name": "douane"},
                CAPABILITIES: {},
                "progressToken": 41,
                LEVEL: "debug",
            },
            "inputResponses": {"q": {"action": "accept"}},
            "requestState": "s",
        },
    }


@given(st.dictionaries(st.sampled_from(["cursor", "x", "y"]), st.just("v")), st.booleans(), st.booleans())
def test_what_we_write_for_a_call_is_read_back_as_that_call(
    params: dict[str, Any], wants_progress: bool, traced: bool
) -> None:
    kept = {**params, "_meta": {"traceparent": "00"}} if traced else params
    sent = call("tools/list", kept, wants_progress=wants_progress)
    frame = rpc.read(stateless.write_call(3, sent, OURS))
    assert isinstance(frame, rpc.Request)
    assert stateless.read_call(frame, id="c", root=None, principal=ANNA, conversation="k") == sent


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, 'needs a string "io.modelcontextprotocol/protocolVersion"'),
        ({"_meta": {}}, 'needs a string "io.modelcontextprotocol/protocolVersion"'),
        ({"_meta": []}, 'needs a string "io.modelcontextprotocol/protocolVersion"'),
        ({"_meta": {VERSION: 20260728, CAPABILITIES: {}}}, 'needs a string "io.modelcontextprotocol/protocolVersion"'),
        ({"_meta": {VERSION: "2026-07-28"}}, 'needs an object "io.modelcontextprotocol/clientCapabilities"'),
        ({"_meta": META | {CAPABILITIES: []}}, 'needs an object "io.modelcontextprotocol/clientCapabilities"'),
        ({"_meta": META | {LEVEL: "loud"}}, "must be one of debug"),
        ({"_meta": META | {LEVEL: []}}, "must be one of debug"),
        ({"_meta": META | {"progressToken": True}}, "progressToken must be a string or an integer"),
        ({"_meta": META | {"progressToken": 1.5}}, "progressToken must be a string or an integer"),
        ({"_meta": META, "name": 1}, "params.name must be a string"),
        ({"_meta": META, "name": None}, "params.name must be a string"),
        ({"_meta": META, "arguments": []}, "params.arguments must be an object"),
        ({"_meta": META, "inputResponses": []}, "inputResponses must be an object"),
        ({"_meta": META, "requestState": 1}, "requestState a string"),
        ({"_meta": META, "Arguments": {}}, 'the member is spelled "arguments"'),
        ({"_meta": META, "NAME": "other"}, 'the member is spelled "name"'),
        ({"_meta": META, "RequestState": "s"}, 'the member is spelled "requestState"'),
        ({"_meta": META, "_Meta": {}}, 'the member is spelled "_meta"'),
        ({"_meta": META, "argumentſ": {}}, 'the member is spelled "arguments"'),
    ],
)
def test_a_request_without_its_papers_in_order_is_invalid_params(params: dict[str, Any], reason: str) -> None:
    refused = read("tools/call", {"name": "t"} | params)
    assert isinstance(refused, Refused)
    assert (refused.code, reason in refused.reason) == (-32602, True), refused.reason
    assert refused.reason.startswith("client: ")


def test_a_revision_not_spoken_here_is_told_which_are() -> None:
    assert read("tools/list", {"_meta": META | {VERSION: "2025-11-25"}}) == Refused(
        UNSUPPORTED_VERSION,
        "client: revision '2025-11-25' is not spoken here",
        {"supported": ["2026-07-28"], "requested": "2025-11-25"},
    )


@pytest.mark.parametrize(
    "method", ["initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/list", "tools/Call", ""]
)
def test_methods_of_older_revisions_and_unknown_ones_do_not_exist(method: str) -> None:
    refused = read(method, {"_meta": META, "name": "t"})
    assert refused == Refused(METHOD_NOT_FOUND, f"client: unknown method {method!r}")


def test_only_the_envelope_says_that_a_request_is_of_this_era() -> None:
    assert stateless.is_enveloped({"_meta": {VERSION: "anything"}})
    for params in ({}, {"_meta": {}}, {"_meta": []}, {"_meta": {"protocolVersion": "2026-07-28"}}, {VERSION: "x"}):
        assert not stateless.is_enveloped(params)


@pytest.mark.parametrize(
    ("ref", "target"),
    [
        ({"type": "ref/prompt", "name": "greet"}, "greet"),
        ({"type": "ref/resource", "uri": "file:///{p}"}, "file:///{p}"),
        ({"type": "ref/resource", "uri": "file:///{p}", "name": "greet"}, "file:///{p}"),
        ({"type": "ref/prompt", "name": "greet", "uri": "file:///{p}"}, "greet"),
        ({"type": "ref/resource", "name": "greet"}, None),
        ({"name": "greet"}, None),
    ],
)
def test_a_completion_is_about_what_its_reference_says_by_type(ref: dict[str, Any], target: str | None) -> None:
    got = read("completion/complete", {"_meta": META, "ref": ref, "argument": {"name": "a", "value": ""}})
    assert isinstance(got, Call)
    assert got.target == target


def test_a_null_progress_token_is_no_wish_for_progress() -> None:
    got = read("tools/list", {"_meta": META | {"progressToken": None}})
    assert got == call("tools/list", {})


# --- headers that mirror the body ---


def mirrored(method: str = "tools/call", **changes: bytes | None) -> str | None:
    headers = {b"mcp-protocol-version": b"2026-07-28", b"mcp-method": method.encode(), b"mcp-name": b"t"}
    for name, value in changes.items():
        key = name.replace("_", "-").encode()
        headers.pop(key)
        if value is not None:
            headers[key] = value
    return stateless.mirror_fault(rpc.Request(1, method, {"name": "t", "_meta": META}), headers)


def test_headers_that_mirror_the_body_pass_in_either_form() -> None:
    assert mirrored() is None
    assert mirrored(mcp_name=b"=?base64?dA==?=") is None
    assert mirrored("tools/list", mcp_name=None) is None


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"mcp_protocol_version": None}, "MCP-Protocol-Version"),
        ({"mcp_protocol_version": b"2025-11-25"}, "MCP-Protocol-Version"),
        ({"mcp_method": None}, "Mcp-Method"),
        ({"mcp_method": b"tools/list"}, "Mcp-Method"),
        ({"mcp_method": b"Tools/Call"}, "Mcp-Method"),
        ({"mcp_name": None}, "Mcp-Name"),
        ({"mcp_name": b"other"}, "Mcp-Name"),
        ({"mcp_name": b"=?base64?%%?="}, "Mcp-Name"),
        ({"mcp_name": b"=?BASE64?dA==?="}, "Mcp-Name"),
        ({"mcp_name": b"t\xe9"}, "Mcp-Name"),
    ],
)
def test_a_header_that_says_another_thing_than_the_body_is_named(changes: dict[str, bytes | None], names: str) -> None:
    fault = mirrored(**changes)
    assert fault is not None
    assert names in fault


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_headers_we_send_mirror_the_body_we_send(uri: str) -> None:
    params = {"uri": uri, "_meta": META}
    headers = dict(stateless.http_headers("resources/read", params))
    assert stateless.mirror_fault(rpc.Request(1, "resources/read", params), headers) is None


# --- outcomes ---


def written(outcome: Any, method: str = "tools/call") -> Any:
    return json.loads(stateless.write_outcome("id", call(method), outcome))


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (Complete({"content": []}), {"resultType": "complete", "content": []}),
        (Complete({}), {"resultType": "complete"}),
        (Complete({}, b"{}"), {"resultType": "complete"}),
        (Complete({"a": 1}, b'{"a":1}'), {"resultType": "complete", "a": 1}),
        (Complete({"resultType": "complete", "a": 1}), {"resultType": "complete", "a": 1}),
        (
            InputRequired({"q": {"method": "elicitation/create"}}, "s"),
            {
                "resultType": "input_required",
                "inputRequests": {"q": {"method": "elicitation/create"}},
                "requestState": "s",
            },
        ),
        (InputRequired({}, "s"), {"resultType": "input_required", "requestState": "s"}),
        (Deferred({"taskId": "t"}), {"resultType": "task", "taskId": "t"}),
    ],
)
def test_every_result_says_what_kind_it_is(outcome: Any, result: Any) -> None:
    assert written(outcome) == {"jsonrpc": "2.0", "id": "id", "result": result}


@pytest.mark.parametrize(
    "outcome", [Refused(1403, "policy: no", {"rule": "r"}), Failed(1403, "policy: no", "unknown", {"rule": "r"})]
)
def test_a_no_is_an_error_with_our_code(outcome: Any) -> None:
    error = {"code": 1403, "message": "policy: no", "data": {"rule": "r"}}
    assert written(outcome) == {"jsonrpc": "2.0", "id": "id", "error": error}


def test_a_cacheable_answer_without_hints_may_be_kept_by_nobody() -> None:
    result = {"contents": []}
    assert written(Complete(result, b'{"contents":[]}'), "resources/read")["result"] == {
        "resultType": "complete",
        "contents": [],
        "ttlMs": 0,
        "cacheScope": "private",
    }
    hinted = {"contents": [], "ttlMs": 9, "cacheScope": "private"}
    assert written(Complete(hinted), "resources/read")["result"] == {"resultType": "complete", **hinted}


def test_an_event_bears_the_token_of_the_caller_who_wants_it() -> None:
    progress = Event("notifications/progress", {"progress": 1})
    assert json.loads(stateless.write_event(progress, "mine"))["params"] == {"progress": 1, "progressToken": "mine"}
    log = Event("notifications/message", {"level": "info"})
    assert json.loads(stateless.write_event(log, "mine"))["params"] == {"level": "info"}


QUESTION = {"method": "elicitation/create", "params": {"message": "who?", "requestedSchema": {"type": "object"}}}
ASKS = {"resultType": "input_required", "inputRequests": {"q": QUESTION}, "requestState": "s"}


def response(result: dict[str, Any]) -> rpc.Response:
    frame = rpc.read(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode())
    assert isinstance(frame, rpc.Response)
    return frame


def test_a_servers_answer_is_complete_in_its_own_bytes() -> None:
    for result in ({"resultType": "complete", "a": 1}, {"a": 1}):
        answer = response(result)
        assert stateless.read_outcome(answer, call()) == Complete(result, answer.encoded)


def test_a_question_counts_only_where_it_was_declared_and_may_be_asked() -> None:
    declared = {"elicitation": {}}
    asked = stateless.read_outcome(response(ASKS), call(capabilities=declared))
    assert asked == InputRequired({"q": QUESTION}, "s")
    for capabilities in ({}, {"sampling": {}}, {"elicitation": {"url": {}}}):
        got = stateless.read_outcome(response(ASKS), call(capabilities=capabilities))
        assert isinstance(got, Failed)
        assert got.message.startswith("upstream: asks for input that nobody offered to give")
    listing = stateless.read_outcome(response(ASKS), call("tools/list", capabilities=declared))
    assert listing == Failed(1502, "upstream: answers with an unknown kind of result", "yes")


@pytest.mark.parametrize(
    "odd",
    [
        {"inputRequests": []},
        {"inputRequests": {}},
        {},
        {"requestState": 7},
        {"requestState": ""},
        {"inputRequests": {"q": "who?"}},
        {"inputRequests": {"q": {"method": "tools/call"}}},
        {"inputRequests": {"q": {"method": "elicitation/create", "params": []}}},
    ],
)
def test_a_round_that_is_none_is_a_broken_upstream(odd: dict[str, Any]) -> None:
    answer = response({"resultType": "input_required", **odd})
    got = stateless.read_outcome(answer, call(capabilities={"elicitation": {}}))
    assert isinstance(got, Failed)
    assert (got.code, got.sent) == (1502, "yes")


def test_each_set_of_capabilities_has_an_envelope_of_its_own_and_none_is_the_plain_one() -> None:
    envelope = stateless.Envelope({"name": "c"}, {})
    assert envelope.offering({}) is envelope
    asked = envelope.offering({"elicitation": {}})
    assert asked is envelope.offering({"elicitation": {}})
    assert asked.base == {**envelope.base, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}


@pytest.mark.parametrize("kind", ["task", "partial", "Complete", None, 1, []])
def test_a_kind_of_result_nobody_agreed_on_is_a_broken_upstream(kind: Any) -> None:
    assert stateless.read_outcome(response({"resultType": kind}), call(capabilities={"elicitation": {}})) == Failed(
        1502, "upstream: answers with an unknown kind of result", "yes"
    )


def test_an_error_of_the_server_is_passed_on_but_not_its_quarrel_with_our_envelope() -> None:
    def said(code: int) -> Any:
        return stateless.read_outcome(rpc.Error(1, code, "m", {"d": 1}), call())

    assert said(-32602) == Failed(-32602, "m", "yes", {"d": 1})
    assert said(-32002) == Failed(-32602, "m", "yes", {"d": 1})
    for code in (-32020, UNSUPPORTED_VERSION):
        got = said(code)
        assert (got.code, got.message) == (-32603, "gateway: the upstream refused our envelope: m")
    # What is declared is the caller's own; a revision is refused before anything is run.
    missing = Failed(MISSING_CAPABILITY, "upstream: needs what was not offered to it: m", "yes", {"d": 1})
    assert said(MISSING_CAPABILITY) == missing
    assert said(UNSUPPORTED_VERSION).sent == "no"


def test_discovery_names_the_revision_that_carries_envelopes() -> None:
    assert stateless.discover_result({"tools": {}}, {"name": "d"}, "be kind", 5) == {
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}},
        "ttlMs": 5,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "d"}},
        "instructions": "be kind",
    }
