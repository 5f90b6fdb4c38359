import pytest
from ear import Ear

from douane.transports.link import LinkClosed
from douane.transports.memory import pair


async def test_frames_cross_in_order_both_ways_and_never_during_send() -> None:
    left, right = pair()
    here, there = Ear(left), Ear(right)
    for number in range(3):
        left.send(b"%d" % number)
    right.send(b"back")
    assert there.frames.empty()
    assert [await there.frame() for _ in range(3)] == [b"0", b"1", b"2"]
    assert await here.frame() == b"back"
    await left.aclose()


async def test_frames_from_before_the_start_are_delivered_then_the_end() -> None:
    left, right = pair()
    left.send(b"early")
    await left.aclose()
    there = Ear(right)
    assert await there.end() == "closed by the peer"
    assert await there.frame() == b"early"


async def test_closing_tells_both_ends_once_and_refuses_what_follows() -> None:
    left, right = pair()
    here, there = Ear(left), Ear(right)
    await left.aclose()
    await left.aclose()
    await right.aclose()
    assert (here.ends, there.ends) == (["closed on this side"], ["closed by the peer"])
    for link in (left, right):
        with pytest.raises(LinkClosed):
            link.send(b"late")


async def test_a_peer_that_does_not_read_loses_the_line() -> None:
    left, right = pair(max_waiting_bytes=10)
    left.send(b"12345678")
    with pytest.raises(LinkClosed, match="does not read"):
        left.send(b"12345678")
    with pytest.raises(LinkClosed):
        left.send(b"x")
    await right.aclose()
