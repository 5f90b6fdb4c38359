"""Server-sent events: what the HTML standard says, whatever the chunking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.wire.sse import Event, EventTooLarge, Reader, encode


def read(stream: bytes) -> list[Event]:
    return Reader().feed(stream)


def test_an_event_ends_with_an_empty_line() -> None:
    assert read(b"data: a\n\n") == [Event(b"a")]
    assert read(b"data: a\n") == []


def test_several_data_lines_are_one_text() -> None:
    assert read(b"data: a\ndata:b\ndata\n\n") == [Event(b"a\nb\n")]


def test_only_one_space_after_the_colon_is_taken_away() -> None:
    assert read(b"data:  a\n\n") == [Event(b" a")]


def test_lines_end_with_cr_lf_or_both() -> None:
    assert read(b"data: a\r\rdata: b\n\ndata: c\r\n\r\n") == [Event(b"a"), Event(b"b"), Event(b"c")]


def test_comments_and_unknown_fields_are_passed_over() -> None:
    assert read(b": ping\n\nnoise: x\ndata: a\n: ping\n\n") == [Event(b"a")]


def test_an_id_lives_on_and_one_with_nul_is_no_id() -> None:
    events = read(b"id: 1\ndata: a\n\ndata: b\n\nid: 2\x00\ndata: c\n\nid\ndata: d\n\n")
    assert [event.id for event in events] == ["1", "1", "1", ""]


def test_a_block_without_data_is_no_event_but_sets_the_id_and_the_delay() -> None:
    reader = Reader()
    assert reader.feed(b"event: x\nid: 7\nretry: 1500\n\ndata: a\n\n") == [Event(b"a", id="7")]
    assert (reader.last_event_id, reader.retry_ms) == ("7", 1500)


def test_an_empty_data_field_is_an_event_as_servers_use_it_to_prime_a_stream() -> None:
    assert read(b"id: 7\nretry: 10\ndata:\n\n") == [Event(b"", id="7", retry_ms=10)]


def test_a_delay_that_is_no_number_is_passed_over() -> None:
    assert read(b"retry: 1s\ndata: a\n\nretry: -1\ndata: b\n\n") == [Event(b"a"), Event(b"b")]


def test_a_byte_order_mark_is_taken_away_once() -> None:
    assert read(b"\xef\xbb\xbfdata: a\n\n") == [Event(b"a")]
    assert read(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n") == []


@pytest.mark.parametrize("stream", [b"data: " + b"a" * 100, b"data: aaaaaaaaaa\n" * 10, b": " + b"a" * 100])
def test_an_event_beyond_the_bound_is_refused_before_it_ends(stream: bytes) -> None:
    reader = Reader(max_event_bytes=64)
    for at in range(64):
        reader.feed(stream[at : at + 1])
    with pytest.raises(EventTooLarge):
        reader.feed(stream[64:])


def test_many_events_may_be_larger_together_than_one_may_be() -> None:
    assert len(Reader(max_event_bytes=64).feed(b"data: aaaaaaaaaa\n\n" * 100)) == 100


_lines = st.lists(
    st.sampled_from(
        [b"data: a", b"data", b"data:{}", b"id: 1", b"id", b"event: x", b"retry: 5", b": c", b"", b"\xef\xbb\xbf"]
    )
)
_ends = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(st.data(), _lines)
def test_any_chunking_gives_the_same_events(data: st.DataObject, lines: list[bytes]) -> None:
    stream = b"".join(line + data.draw(_ends) for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    reader = Reader()
    events: list[Event] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += reader.feed(stream[begin:end])
    assert events == read(stream)


@given(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])),
    st.none() | st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])),
    st.none() | st.integers(0, 10**9),
)
def test_what_is_written_is_read(data: str, name: str | None, retry_ms: int | None) -> None:
    written = encode(data.encode(), id=name, event=name, retry_ms=retry_ms)
    assert read(written) == [Event(data.encode(), name or "message", name or "", retry_ms)]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b"])
def test_a_field_of_more_than_one_line_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        encode(b"{}", id=text)
    with pytest.raises(ValueError, match="one line"):
        encode(b"{}", event=text)
    with pytest.raises(ValueError, match="one line"):
        encode(b"a\nb")
