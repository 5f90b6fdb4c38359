"""One message is one of four values, or a FrameError that says what to answer."""

import json as python_json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.wire import json, rpc
from douane.wire.codes import INVALID_REQUEST, PARSE_ERROR
from douane.wire.rpc import Error, FrameError, Notification, Request, Response

from .test_json import VALUES


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', Request(1, "ping", {})),
        (b'{"jsonrpc":"2.0","id":"1","method":"m","params":{"a":1}}', Request("1", "m", {"a": 1})),
        (b'{"jsonrpc":"2.0","id":0,"method":"m"}', Request(0, "m", {})),
        (b'{"jsonrpc":"2.0","id":18446744073709551616,"method":"m"}', Request(2**64, "m", {})),
        (b'{"jsonrpc":"2.0","method":"m"}', Notification("m", {})),
        (b'{"jsonrpc":"2.0","method":"m","extra":[1]}', Notification("m", {})),
        (b'{"jsonrpc":"2.0","id":1,"result":{"a":1}}', Response(1, {"a": 1}, b'{"a":1}')),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m"}}', Error(1, -1, "m")),
        (b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"","data":[]}}', Error(None, 1, "", [])),
        (b'{"jsonrpc":"2.0","error":{"code":1,"message":""}}', Error(None, 1, "")),
    ],
)
def test_a_message_is_read_as_what_it_says(data: bytes, frame: rpc.Frame) -> None:
    assert rpc.read(data) == frame


@pytest.mark.parametrize(
    ("data", "id_"),
    [
        (b"[]", None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', None),
        (b"1", None),
        (b"null", None),
        (b'"ping"', None),
        (b"{}", None),
        (b'{"id":1,"method":"m"}', 1),
        (b'{"jsonrpc":2.0,"id":1,"method":"m"}', 1),
        (b'{"jsonrpc":"1.0","id":"a","method":"m"}', "a"),
        (b'{"jsonrpc":"2.0"}', None),
        (b'{"jsonrpc":"2.0","id":1}', 1),
        (b'{"jsonrpc":"2.0","id":null,"method":"m"}', None),
        (b'{"jsonrpc":"2.0","id":true,"method":"m"}', None),
        (b'{"jsonrpc":"2.0","id":1.0,"method":"m"}', None),
        (b'{"jsonrpc":"2.0","id":[1],"method":"m"}', None),
        (b'{"jsonrpc":"2.0","id":1,"method":1}', 1),
        (b'{"jsonrpc":"2.0","id":1,"method":null}', 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":[]}', 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":null}', 1),
        (b'{"jsonrpc":"2.0","method":"m","params":"x"}', None),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","result":{}}', 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","error":{"code":1,"message":""}}', 1),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}', 1),
        (b'{"jsonrpc":"2.0","result":{}}', None),
        (b'{"jsonrpc":"2.0","id":null,"result":{}}', None),
        (b'{"jsonrpc":"2.0","id":false,"result":{}}', None),
        (b'{"jsonrpc":"2.0","id":1,"result":[]}', 1),
        (b'{"jsonrpc":"2.0","id":1,"result":null}', 1),
        (b'{"jsonrpc":"2.0","id":1,"result":"x"}', 1),
        (b'{"jsonrpc":"2.0","id":1,"error":"x"}', 1),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}', 1),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":true,"message":""}}', 1),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":1}}', 1),
        (b'{"jsonrpc":"2.0","id":1.5,"error":{"code":1,"message":""}}', None),
    ],
)
def test_anything_else_is_an_invalid_request_that_names_the_id_it_could_read(data: bytes, id_: object) -> None:
    with pytest.raises(FrameError) as refused:
        rpc.read(data)
    assert (refused.value.code, refused.value.id) == (INVALID_REQUEST, id_)


@pytest.mark.parametrize("member", ["Method", "ID", "Params", "Result", "ERROR", "JsonRpc", "paramſ", "reſult"])
def test_a_member_in_another_letter_case_is_refused_because_some_peers_would_read_it(member: str) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "m", member: {}}
    with pytest.raises(FrameError, match="lower case") as refused:
        rpc.read(json.encode(message))
    assert refused.value.id == 1


def test_broken_json_is_a_parse_error_without_an_id() -> None:
    with pytest.raises(FrameError) as refused:
        rpc.read(b'{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}')
    assert (refused.value.code, refused.value.id) == (PARSE_ERROR, None)


MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "2.0", "2.0", 2, None]),
        "id": st.sampled_from([1, "a", None, True, 1.5, -(2**70), [], ""]),
        "method": st.sampled_from(["ping", "", 1, None]),
        "params": VALUES,
        "result": st.dictionaries(st.text(max_size=3), VALUES, max_size=3) | VALUES,
        "error": st.just({"code": 1, "message": "m"}) | VALUES,
        "Id": st.just(1),
        "other": VALUES,
    },
)


@given(st.binary() | MESSAGES.map(json.encode) | MESSAGES.map(lambda m: python_json.dumps(m, indent=1).encode()))
def test_any_bytes_are_a_frame_or_a_frame_error(data: bytes) -> None:
    try:
        frame = rpc.read(data)
    except FrameError as fault:
        frame = fault
    assert isinstance(frame, Request | Notification | Response | Error | FrameError)
    if not isinstance(frame, Notification):
        assert type(frame.id) in (str, int) or (frame.id is None and isinstance(frame, Error | FrameError))


@given(st.integers(-(2**70), 2**70) | st.text(st.characters(exclude_categories=["Cs"])), st.data())
def test_the_encoded_result_is_ours_whatever_the_order_of_members(id_: rpc.Id, data: st.DataObject) -> None:
    result = data.draw(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=3))
    members: list[tuple[str, Any]] = [("jsonrpc", "2.0"), ("id", id_), ("result", result), ("x", 1)]
    for order in (*permutations(members[:3]), tuple(members), tuple(reversed(members))):
        for text in (json.encode(dict(order)), python_json.dumps(dict(order), indent=1).encode()):
            assert rpc.read(text) == Response(id_, result, json.encode(result))


PARAMS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), VALUES, max_size=3)
IDS = st.integers(-(2**70), 2**70) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@given(IDS, st.text(st.characters(exclude_categories=["Cs"])), PARAMS)
def test_what_is_written_is_read_back_as_it_was(id_: rpc.Id, text: str, params: dict[str, Any]) -> None:
    assert rpc.read(rpc.write_request(id_, text, params)) == Request(id_, text, params)
    assert rpc.read(rpc.write_notification(text, params)) == Notification(text, params)
    encoded = json.encode(params)
    assert rpc.read(rpc.write_result(id_, encoded)) == Response(id_, params, encoded)
    assert rpc.read(rpc.write_error(id_, -32000, text, params)) == Error(id_, -32000, text, params)
    assert python_json.loads(rpc.write_request(id_, text, params)) == {
        "jsonrpc": "2.0",
        "id": id_,
        "method": text,
        "params": params,
    }


@given(IDS, PARAMS, st.sampled_from(["", "x" * 5000]))
def test_a_member_more_goes_before_the_others_of_a_result(id_: rpc.Id, params: dict[str, Any], long: str) -> None:
    result = params | ({"long": long} if long else {})
    written = rpc.write_result_and(id_, b'"first":1', json.encode(result))
    assert rpc.read(written) == Response(id_, {"first": 1, **result}, json.encode({"first": 1, **result}))


def test_an_error_without_data_has_no_data_member_and_may_have_no_id() -> None:
    assert rpc.write_error(None, -32700, "client: not JSON") == (
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"client: not JSON"}}'
    )


def test_a_message_within_tighter_limits_is_refused_by_them() -> None:
    with pytest.raises(FrameError, match="larger than 10 bytes"):
        rpc.read(b'{"jsonrpc":"2.0"}', rpc.Limits(max_bytes=10))
