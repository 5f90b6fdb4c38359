"""Revisions 2024-11-05 to 2025-11-25: what their peers write, and what they must not be shown."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from douane.protocol.call import Call, Principal
from douane.protocol.eras import differences, handshake
from douane.protocol.outcome import Complete, Deferred, Failed, InputRequired, Refused
from douane.wire import rpc
from douane.wire.codes import METHOD_NOT_FOUND

ANNA = Principal("anna")


def read(method: str, params: dict[str, Any]) -> Call | Refused:
    return handshake.read_call(
        rpc.Request(7, method, params),
        id="c",
        principal=ANNA,
        conversation="k",
        capabilities={"roots": {}},
        log_level="info",
    )


def call(method: str = "tools/call", params: dict[str, Any] | None = None, **members: Any) -> Call:
    given = {"name": "t"} if params is None else params
    return Call(id="c", root="c", method=method, params=given, principal=ANNA, **members)


def test_a_call_takes_over_what_its_session_knows() -> None:
    params = {"name": "t", "arguments": {}, "_meta": {"progressToken": 0, "traceparent": "00"}, "later": 1}
    assert read("tools/call", params) == call(
        params={"name": "t", "arguments": {}, "_meta": {"traceparent": "00"}, "later": 1},
        target="t",
        conversation="k",
        capabilities={"roots": {}},
        log_level="info",
        wants_progress=True,
    )


def test_answers_and_states_of_the_newer_era_mean_nothing_here() -> None:
    got = read("tools/call", {"name": "t", "inputResponses": {"q": {}}, "requestState": "s"})
    assert isinstance(got, Call)
    assert (got.params, got.answers, got.state) == ({"name": "t"}, {}, None)


@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen", "tasks/update", "x"])
def test_methods_of_the_newer_era_do_not_exist(method: str) -> None:
    assert read(method, {}) == Refused(METHOD_NOT_FOUND, f"client: unknown method {method!r}")


def test_a_null_progress_token_is_no_wish_for_progress() -> None:
    got = read("tools/list", {"_meta": {"progressToken": None}})
    assert isinstance(got, Call)
    assert not got.wants_progress


@pytest.mark.parametrize(
    ("asked", "settled"),
    [
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2024-10-07", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("tomorrow", "2025-11-25"),
    ],
)
def test_initialize_settles_on_the_asked_revision_or_the_newest_of_its_era(asked: str, settled: str) -> None:
    hello = rpc.Request(1, "initialize", {"protocolVersion": asked, "capabilities": {"roots": {}}})
    assert handshake.read_hello(hello) == (settled, {"roots": {}})


@pytest.mark.parametrize(
    "params", [{}, {"protocolVersion": 1, "capabilities": {}}, {"protocolVersion": "2025-11-25", "capabilities": []}]
)
def test_an_initialize_that_says_nothing_is_invalid_params(params: dict[str, Any]) -> None:
    refused = handshake.read_hello(rpc.Request(1, "initialize", params))
    assert isinstance(refused, Refused)
    assert refused.code == -32602


def test_a_server_that_settles_on_what_we_do_not_speak_has_no_welcome() -> None:
    for revision in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"):
        assert handshake.read_welcome({"protocolVersion": revision}) == revision
    for revision in ("2024-10-07", "2026-07-28", 1, None, []):
        assert handshake.read_welcome({"protocolVersion": revision}) is None


def test_a_server_gets_the_call_without_an_envelope_under_our_token() -> None:
    meta = {"traceparent": "00", "io.modelcontextprotocol/logLevel": "debug"}
    sent = call(params={"name": "t", "arguments": {"a": 1}, "_meta": meta}, wants_progress=True, state="s")
    assert json.loads(handshake.write_call(9, sent, "2025-11-25")) == {
        "jsonrpc": "2.0",
        "id": 9,
        "method": "tools/call",
        "params": {"name": "t", "arguments": {"a": 1}, "_meta": {"traceparent": "00", "progressToken": 9}},
    }
    assert json.loads(handshake.write_call(9, call(params={"name": "t"}), "2024-11-05"))["params"] == {"name": "t"}


@pytest.mark.parametrize(("revision", "sent"), [("2025-03-26", False), ("2025-06-18", True)])
def test_a_server_is_not_told_the_context_of_a_completion_before_it_knows_one(revision: str, sent: bool) -> None:
    params = {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": "v"}, "context": {}}
    frame = json.loads(handshake.write_call(9, call("completion/complete", params), revision))
    assert ("context" in frame["params"]) is sent
    assert frame["params"]["ref"] == params["ref"]


def written(outcome: Any, method: str = "tools/call", revision: str = "2025-11-25") -> Any:
    frame = json.loads(handshake.write_outcome(1, call(method), outcome, revision))
    return frame["result"] if "result" in frame else frame["error"]


def test_a_result_loses_what_its_reader_does_not_know() -> None:
    result = {
        "resultType": "complete",
        "ttlMs": 5,
        "cacheScope": "private",
        "content": [],
        "structuredContent": {"a": 1},
        "_meta": {"io.modelcontextprotocol/serverInfo": {}, "traceparent": "00"},
    }
    assert written(Complete(result, b"ours")) == {
        "content": [],
        "structuredContent": {"a": 1},
        "_meta": {"traceparent": "00"},
    }
    assert written(Complete({"_meta": {"io.modelcontextprotocol/serverInfo": {}}})) == {}


@pytest.mark.parametrize("structured", [[1], "text", 1, None, True])
def test_structured_content_that_is_no_object_is_left_to_the_text(structured: Any) -> None:
    said = {"type": "text", "text": "in words"}
    assert written(Complete({"content": [said], "structuredContent": structured})) == {"content": [said]}
    in_json = {"type": "text", "text": json.dumps(structured)}
    assert written(Complete({"content": [], "structuredContent": structured})) == {"content": [in_json]}


def test_a_result_with_nothing_newer_in_it_goes_out_in_the_bytes_we_have() -> None:
    assert handshake.write_outcome(1, call(), Complete({"a": 1}, b'{"a":1}'), "2025-11-25") == (
        b'{"jsonrpc":"2.0","id":1,"result":{"a":1}}'
    )


@pytest.mark.parametrize(
    ("code", "method", "older"),
    [
        (-32602, "resources/read", -32002),
        (-32602, "tools/call", -32602),
        (-32020, "tools/call", -32603),
        (-32021, "prompts/get", -32603),
        (-32022, "tools/call", -32603),
        (1403, "tools/call", 1403),
    ],
)
def test_errors_are_told_in_the_codes_of_the_era(code: int, method: str, older: int) -> None:
    for outcome in (Refused(code, "why", {"uri": "u"}), Failed(code, "why", "yes", {"uri": "u"})):
        assert written(outcome, method) == {"code": older, "message": "why", "data": {"uri": "u"}}


def test_a_tool_that_cannot_ask_has_failed_in_words_for_the_model() -> None:
    frame = handshake.write_outcome(1, call("tools/call"), Refused(-32021, "client: cannot be asked"), "2025-11-25")
    result = json.loads(frame)["result"]
    assert result == {"content": [{"type": "text", "text": "client: cannot be asked"}], "isError": True}


def test_an_error_that_names_no_missing_resource_keeps_its_code() -> None:
    assert written(Failed(-32602, "no such parameter", "yes"), "resources/read")["code"] == -32602


def test_a_task_is_nested_and_its_members_have_their_older_names() -> None:
    task = {"taskId": "t", "status": "working", "ttlMs": 5, "pollIntervalMs": 1, "statusMessage": "soon"}
    older = {"taskId": "t", "status": "working", "ttl": 5, "pollInterval": 1, "statusMessage": "soon"}
    assert written(Deferred(task)) == {"task": older}


def test_what_cannot_be_said_in_this_era_is_said_to_be_so() -> None:
    assert written(InputRequired({"q": {}}))["code"] == -32603


def test_an_answer_of_a_server_is_complete_or_failed() -> None:
    assert handshake.read_outcome(rpc.Response(1, {"a": 1}, b'{"a":1}'), {}) == Complete({"a": 1}, b'{"a":1}')
    assert handshake.read_outcome(rpc.Error(1, -32002, "gone", {"uri": "u"}), {}) == Failed(
        -32602, "gone", "yes", {"uri": "u"}
    )


def test_a_server_of_this_era_cannot_speak_in_the_newer_ones_words() -> None:
    said = {"resultType": "input_required", "inputRequests": {"q": {}}, "ttlMs": 9, "cacheScope": "public", "a": 1}
    assert handshake.read_outcome(rpc.Response(1, said, b"{}"), {}) == Complete({"inputRequests": {"q": {}}, "a": 1})


PAGE = {"mode": "url", "url": "https://example.org/consent", "message": "Agree?", "elicitationId": "e-1"}


def test_pages_that_a_call_needs_visited_are_questions_and_the_call_is_made_again_when_all_were() -> None:
    needed = rpc.Error(1, -32042, "consent first", {"elicitations": [PAGE]})
    asked = handshake.read_outcome(needed, {"elicitation": {"form": {}, "url": {}}})
    assert isinstance(asked, InputRequired)
    page = {key: value for key, value in PAGE.items() if key != "elicitationId"}
    assert asked.asks == {"page-1": {"method": "elicitation/create", "params": page}}
    again = call(state=asked.state, answers={"page-1": {"action": "accept"}})
    assert handshake.retry_fault(again) is None
    for answers in ({}, {"page-1": {"action": "decline"}}, {"page-1": {"action": "cancel"}}, {"page-1": "accept"}):
        assert handshake.retry_fault(replace(again, answers=answers)) is not None
    assert handshake.retry_fault(replace(again, state="made up")) is not None


def test_a_client_that_cannot_show_a_page_is_told_what_is_missing_and_not_where_it_is() -> None:
    needed = rpc.Error(1, -32042, "consent first", {"elicitations": [PAGE]})
    for declared in ({}, {"elicitation": {}}, {"elicitation": {"form": {}}}):
        got = handshake.read_outcome(needed, declared)
        assert isinstance(got, Failed)
        assert (got.code, got.data) == (-32021, {"requiredCapabilities": {"elicitation": {"url": {}}}})
        assert "example.org" not in got.message


@pytest.mark.parametrize("data", [None, {}, {"elicitations": []}, {"elicitations": "here"}, {"elicitations": ["here"]}])
def test_a_page_that_is_none_is_a_broken_upstream(data: Any) -> None:
    got = handshake.read_outcome(rpc.Error(1, -32042, "consent first", data), {"elicitation": {"url": {}}})
    assert isinstance(got, Failed)
    assert got.code == 1502


TOOL = {
    "name": "t",
    "inputSchema": {"type": "object"},
    "icons": [],
    "execution": {},
    "outputSchema": {"type": "array"},
    "x": 1,
}


@pytest.mark.parametrize(
    ("revision", "lost"),
    [
        ("2025-06-18", {"icons", "execution", "outputSchema"}),
        ("2025-11-25", {"outputSchema"}),
        ("2026-07-28", {"execution"}),
    ],
)
def test_a_tool_loses_what_each_revision_does_not_know(revision: str, lost: set[str]) -> None:
    assert differences.strip_item("tools", TOOL, revision) == {k: v for k, v in TOOL.items() if k not in lost}


def test_an_item_that_is_known_throughout_is_the_same_object() -> None:
    plain = {"name": "t", "outputSchema": {"type": "object"}}
    assert differences.strip_item("tools", plain, "2025-06-18") is plain
    assert differences.strip_item("resources", {"uri": "u", "icons": []}, "2025-06-18") == {"uri": "u"}
