import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.wire.headers import HeaderError, decode_value, encode_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("get_weather", b"get_weather"),
        ("with inner space", b"with inner space"),
        ("file:///a%20b", b"file:///a%20b"),
        ("Grüße", b"=?base64?R3LDvMOfZQ==?="),
        (" padded ", b"=?base64?IHBhZGRlZCA=?="),
        ("line\nbreak", b"=?base64?bGluZQpicmVhaw==?="),
        ("=?base64?eA==?=", b"=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
        ("", b"=?base64??="),
    ],
)
def test_a_name_stands_in_a_header_as_the_specification_spells_it(text: str, value: bytes) -> None:
    assert encode_value(text) == value
    assert decode_value(value) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_crosses_a_header_as_safe_ascii(text: str) -> None:
    value = encode_value(text)
    assert value.isascii()
    assert not any(byte < 0x20 and byte != 9 for byte in value)
    assert decode_value(value) == text


@given(st.binary())
def test_any_value_is_text_or_a_header_error(value: bytes) -> None:
    try:
        decode_value(value)
    except HeaderError:
        return


@pytest.mark.parametrize(
    "value",
    [
        b"=?base64?!!?=",
        b"=?base64?/w==?=",
        b"=?base64?YQ?=",
        b"caf\xc3\xa9",
        b" leading",
        b"trailing\t",
        b"nul\x00",
        b"cr\rlf",
    ],
)
def test_a_value_no_peer_may_send_is_an_error(value: bytes) -> None:
    with pytest.raises(HeaderError):
        decode_value(value)


def test_the_markers_are_case_sensitive() -> None:
    assert decode_value(b"=?BASE64?eA==?=") == "=?BASE64?eA==?="
