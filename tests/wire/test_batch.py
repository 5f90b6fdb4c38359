"""Batches: one array becomes messages that are read like any other, or is refused whole."""

import json

import pytest

from douane.wire.batch import MAX_MESSAGES, is_batch, split, write_batch
from douane.wire.codes import INVALID_REQUEST, PARSE_ERROR
from douane.wire.json import FrameError, Limits
from douane.wire.rpc import Notification, Request, read

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


@pytest.mark.parametrize(
    ("data", "claim"), [(b"[]", True), (b" \t\r\n [1]", True), (PING, False), (b"", False), (b'"["', False)]
)
def test_a_batch_begins_as_an_array_does(data: bytes, claim: bool) -> None:
    assert is_batch(data) is claim


def test_its_messages_come_out_in_order_and_are_read_one_by_one() -> None:
    note = b'{"jsonrpc": "2.0", "method": "n"}'
    frames = [read(one) for one in split(b"[" + PING + b" , " + note + b"]")]
    assert frames == [Request(1, "ping", {}), Notification("n", {})]


@pytest.mark.parametrize("element", [b"1", b"null", b'"x"', b"[]", b"[" + PING + b"]"])
def test_an_element_that_is_no_message_costs_only_itself(element: bytes) -> None:
    broken, ping = split(b"[" + element + b"," + PING + b"]")
    assert read(ping) == Request(1, "ping", {})
    with pytest.raises(FrameError) as fault:
        read(broken)
    assert fault.value.code == INVALID_REQUEST


@pytest.mark.parametrize(
    ("data", "limits", "code", "reason"),
    [
        (b"[]", Limits(), INVALID_REQUEST, "at least one"),
        (PING, Limits(), INVALID_REQUEST, "not a batch"),
        (b"[" + b",".join([PING] * (MAX_MESSAGES + 1)) + b"]", Limits(), INVALID_REQUEST, f"at most {MAX_MESSAGES}"),
        (b"[" + PING, Limits(), PARSE_ERROR, "not JSON"),
        (b'[{"a":1,"a":2}]', Limits(), PARSE_ERROR, "duplicate key"),
        (b"[" + PING + b"]", Limits(max_bytes=10), INVALID_REQUEST, "larger than 10"),
        (b"[" * 80 + b"]" * 80, Limits(), INVALID_REQUEST, "deeper than 64"),
        (b'[{"a":1,"b":2,"c":3}]', Limits(max_keys=2), INVALID_REQUEST, "more than 2 keys"),
    ],
)
def test_an_array_beyond_the_limits_is_refused_whole(data: bytes, limits: Limits, code: int, reason: str) -> None:
    with pytest.raises(FrameError, match=reason) as fault:
        split(data, limits)
    assert fault.value.code == code


def test_what_is_written_can_be_split_again() -> None:
    frames = [PING, b'{"jsonrpc":"2.0","id":2,"result":{}}']
    assert split(write_batch(frames)) == frames
    assert json.loads(write_batch(frames[:1])) == [json.loads(PING)]
