import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.transports.lines import Lines


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


streams = st.lists(st.sampled_from([b"a", b"{}", b"\n", b"\r\n", b"\r", b"abcdefgh", b"\n\n"]), max_size=30).map(
    b"".join
)


@given(streams, st.lists(st.integers(0, 7), max_size=40), st.integers(1, 12))
def test_any_cutting_gives_the_same_frames(data: bytes, sizes: list[int], cap: int) -> None:
    whole, pieces = Lines(cap), Lines(cap)
    at_once = whole.feed(data)
    assert [frame for piece in cut(data, sizes) for frame in pieces.feed(piece)] == at_once
    assert pieces.overlong == whole.overlong
    assert all(0 < len(frame) <= cap for frame in at_once)


def test_both_line_ends_serve_and_empty_lines_are_no_frames() -> None:
    assert Lines().feed(b'{"a":1}\r\n\n\r\n{"b":2}\n{"c"') == [b'{"a":1}', b'{"b":2}']


@pytest.mark.parametrize(("length", "passes"), [(63, True), (64, True), (65, False)])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_cap_counts_the_line_without_its_end(length: int, end: bytes, passes: bool) -> None:
    lines = Lines(64)
    assert lines.feed(b"x" * length + end) == ([b"x" * length] if passes else [])
    assert lines.overlong is not passes


def test_what_came_before_an_overlong_line_is_delivered_and_nothing_after() -> None:
    lines = Lines(4)
    assert lines.feed(b"one\ntwo\nthree\nfour\n") == [b"one", b"two"]
    assert lines.overlong
    assert lines.feed(b"five\n") == []


def test_a_giant_line_in_small_pieces_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        lines, piece = Lines(size), b"x" * 512
        start_s = time.process_time()
        for _ in range(size // 512):
            lines.feed(piece)
        assert lines.feed(b"\n") == [b"x" * size]
        return time.process_time() - start_s

    seconds(1 << 18)
    # Quadratic would be 64 times as long for 8 times the bytes.
    assert seconds(1 << 22) < 24 * max(seconds(1 << 19), 0.002)


def test_a_cap_below_one_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="max_frame_bytes"):
        Lines(0)
