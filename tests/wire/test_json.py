"""What is read here can be read in one way only: the table of parser disagreements, and what holds for any bytes."""

import json as python_json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.wire import json, rpc
from douane.wire.codes import INVALID_REQUEST, PARSE_ERROR
from douane.wire.json import FrameError, Limits

DISAGREEMENTS = {
    "NaN": b'{"a":NaN}',
    "minus infinity": b'{"a":-Infinity}',
    "duplicate keys": b'{"a":1,"a":2}',
    "duplicate keys with white space": b'{ "a": 1, "a": 2 }',
    "duplicate keys deep inside": b'{"a":[{"b":{"c":1,"c":1}}]}',
    "duplicate keys hidden in an escape": rb'{"a":1,"\u0061":2}',
    "duplicate keys, both escaped": rb'{"\u0061":1,"\u0061":2}',
    "duplicate keys hidden in an escaped slash": rb'{"a/b":1,"a\/b":2}',
    "5000 digits": b"9" * 5000,
    "400 digits and an exponent": b"1e400",
    "escaped lone surrogate": rb'"\ud800"',
    "escaped lone surrogate as a key": rb'{"\udc00":1}',
    "surrogate as UTF-8": b'"\xed\xa0\x80"',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "UTF-16 without a mark": "{}".encode("utf-16-le"),
    "UTF-32": "{}".encode("utf-32-be"),
    "bad UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "control character in a string": b'"\x01"',
    "trailing comma": b'{"a":1,}',
    "comment": b"{}/**/",
    "two documents": b"{}{}",
    "single quotes": b"{'a':1}",
    "leading zero": b"01",
    "plus sign": b"+1",
    "hexadecimal": b"0x10",
    "form feed as white space": b"\x0c{}",
    "nothing": b"",
    "only white space": b" \n",
}


@pytest.mark.parametrize("data", DISAGREEMENTS.values(), ids=DISAGREEMENTS)
def test_what_parsers_disagree_about_is_not_json(data: bytes) -> None:
    with pytest.raises(FrameError) as refused:
        json.decode(data)
    assert refused.value.code == PARSE_ERROR


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"18446744073709551616", 2**64),
        (b"-9223372036854775809", -(2**63) - 1),
        (b"9" * 400, int("9" * 400)),
        (b"9007199254740993", 2**53 + 1),
        (rb'"\u0000"', "\0"),
        (b'{"a":18446744073709551617}', {"a": 2**64 + 1}),
    ],
)
def test_what_other_parsers_round_or_cut_is_kept_whole_and_written_so(data: bytes, value: object) -> None:
    assert json.parse(data) == (value, data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (b' { "a" : [ 1 , 2 ] }\r\n', {"a": [1, 2]}),
        (b"1E5", 100000.0),
        (rb'{"a":{"a":1},"\u0062":{"a":2}}', {"a": {"a": 1}, "b": {"a": 2}}),
    ],
)
def test_another_spelling_of_the_same_value_is_taken_and_written_in_ours(data: bytes, value: object) -> None:
    assert json.parse(data) == (value, json.encode(value))
    assert json.parse(data)[1] != data


def nested(depth: int, inside: bytes = b"1") -> bytes:
    return (
        b'{"a":' * (depth // 2)
        + b"[" * (depth - depth // 2)
        + inside
        + b"]" * (depth - depth // 2)
        + (b"}" * (depth // 2))
    )


@pytest.mark.parametrize("inside", [b"1", rb'"[{[{[{\"]}[{[{[{\\"', b'"' + b"[" * 200 + b'"'])
def test_sixty_four_levels_are_read_and_sixty_five_are_not(inside: bytes) -> None:
    assert json.parse(nested(64, inside))[1] == nested(64, inside)
    with pytest.raises(FrameError, match="nested deeper than 64") as refused:
        json.decode(nested(65, inside))
    assert refused.value.code == INVALID_REQUEST


def test_brackets_beside_each_other_are_not_depth() -> None:
    flat = b"[" + b",".join([b"[{}]"] * 500) + b"]"
    assert json.parse(flat)[1] == flat


@pytest.mark.parametrize("data", [b'"' + b"[" * 65 + b'"', b'"' + b"{}" * 500 + b'"'])
def test_brackets_in_a_text_that_stands_alone_are_no_depth_at_all(data: bytes) -> None:
    assert json.decode(data) == data.decode().strip('"')
    with pytest.raises(FrameError, match="not a JSON-RPC message"):
        rpc.read(data)


@pytest.mark.parametrize("depth", [1000, 1024, 1025, 100_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"a":1,"a":', b'[{"":'])
def test_hostile_depth_is_a_refusal_and_not_a_crash(depth: int, opening: bytes) -> None:
    closing = opening.translate(bytes.maketrans(b"[{", b"]}"), delete=b'":1,a')[::-1]
    for data in (opening * depth, opening * depth + b"1" + closing * depth):
        with pytest.raises(FrameError):
            json.decode(data)


def test_depth_that_a_duplicate_key_would_hide_is_refused() -> None:
    with pytest.raises(FrameError):
        json.decode(b'{"a":' + nested(900) + b',"a":1}')


def keys(count: int) -> bytes:
    return json.encode([{"": n} for n in range(count)])


def test_ten_thousand_keys_are_read_and_one_more_is_not() -> None:
    assert json.parse(keys(10_000))[1] == keys(10_000)
    with pytest.raises(FrameError, match="more than 10000 keys") as refused:
        json.decode(keys(10_001))
    assert refused.value.code == INVALID_REQUEST


def test_what_looks_like_a_key_inside_a_string_is_not_counted() -> None:
    text = json.encode(['":' * 60_000, "a" * 60_000])
    assert json.parse(text)[1] == text


def test_four_mebibytes_are_read_and_one_byte_more_is_not() -> None:
    most = b'"' + b"x" * (4 * 1024 * 1024 - 2) + b'"'
    assert json.decode(most) == "x" * (4 * 1024 * 1024 - 2)
    with pytest.raises(FrameError, match="larger than 4194304 bytes"):
        json.decode(most + b" ")


def test_limits_are_what_the_operator_says() -> None:
    tight = Limits(max_bytes=20, max_depth=2, max_keys=2)
    assert json.decode(b'{"a":{"b":1}}', tight) == {"a": {"b": 1}}
    for data in (b'{"a":{"b":{}}}', b'{"":1,"a":2,"b":3}', b'"' + b"x" * 20 + b'"'):
        with pytest.raises(FrameError):
            json.decode(data, tight)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary() | st.text().map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_value_or_a_frame_error(data: bytes) -> None:
    try:
        value, canonical = json.parse(data)
    except FrameError:
        return
    assert canonical == json.encode(value)


@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_parser_reads_what_we_write_as_what_we_judged(value: object, indent: Any, ascii_only: bool) -> None:
    spelled = python_json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        judged, sent = json.parse(spelled)
    except FrameError:
        assert b"\xed" in spelled or b"\\ud" in spelled
        return
    assert judged == python_json.loads(sent) == msgspec.json.decode(sent) == value


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "ab", "é", "/"]), VALUES), max_size=5), st.data())
def test_an_object_is_read_exactly_when_its_keys_differ_however_they_are_spelled(
    members: list[tuple[str, Any]], data: st.DataObject
) -> None:
    spelled = [_spell(key, data) + b":" + json.encode(value) for key, value in members]
    text = b"{" + b",".join(spelled) + b"}"
    if len({key for key, _ in members}) == len(members):
        assert json.decode(text) == dict(members)
    else:
        with pytest.raises(FrameError, match="duplicate key"):
            json.decode(text)


def _spell(key: str, data: st.DataObject) -> bytes:
    escaped = data.draw(st.booleans())
    return b'"' + b"".join(b"\\u%04x" % ord(c) if escaped else c.encode() for c in key) + b'"'
