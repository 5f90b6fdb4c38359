"""What is kept of event streams has bounds: of a session, of all, and in time. What has left them is never half told."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from douane.protocol.call import Principal
from douane.sdk import Server
from douane.sdk.client_sessions import ClientSession, Sessions
from douane.sdk.event_store import Bounds, EventStore, Shelf, Stream, Unresumable
from douane.transports.http_server import Reply


@dataclass
class Told:
    """A connection, in place of a socket."""

    text: bytes = b""
    ended: bool = False
    gone: Any = None

    def open(self, status: int, headers: Any) -> None:
        assert status == 200

    def write(self, data: bytes, *, max_unsent_bytes: int | None = None) -> None:
        self.text += data

    def end(self) -> None:
        self.ended = True

    @property
    def ids(self) -> list[str]:
        return [line[4:].decode() for line in self.text.split(b"\n") if line.startswith(b"id: ")]

    @property
    def data(self) -> list[bytes]:
        return [line[6:] for line in self.text.split(b"\n") if line.startswith(b"data: ") and len(line) > 6]


class House:
    def __init__(self, **bounds: Any) -> None:
        self.now_s = 0.0
        self.shelf = Shelf(lambda: self.now_s, Bounds(**bounds))

    def store(self) -> EventStore:
        return EventStore(self.shelf, "2025-11-25")


def told(store: EventStore, *frames: bytes) -> tuple[Stream, Told]:
    """A stream that has said these."""
    stream, connection = store.begin(), Told()
    stream.open(cast("Reply", connection))
    for frame in frames:
        stream.say(frame)
    return stream, connection


def resumed(store: EventStore, event_id: str) -> Told:
    stream, after = store.find(event_id)
    connection = Told()
    stream.resume(cast("Reply", connection), after)
    return connection


def test_every_id_is_one_of_a_kind_and_leads_to_what_came_after_it() -> None:
    at = House()
    one, other = at.store(), at.store()
    connections = [told(store, b"1", b"2", b"3")[1] for store in (one, one, other)]
    ids = [id_ for connection in connections for id_ in connection.ids]
    assert len(ids) == len(set(ids)) == 12
    assert resumed(one, connections[0].ids[1]).data == [b"2", b"3"]
    with pytest.raises(Unresumable):
        resumed(other, connections[0].ids[1])


def test_a_session_keeps_so_many_events_and_never_tells_a_stream_with_a_hole() -> None:
    at = House(max_events=3)
    store = at.store()
    first, connection = told(store, b"1", b"2")
    _, later = told(store, b"3", b"4")
    with pytest.raises(Unresumable):
        resumed(store, connection.ids[0])
    assert resumed(store, connection.ids[1]).data == [b"2"]
    assert resumed(store, later.ids[0]).data == [b"3", b"4"]
    first.say(b"5")
    first.say(b"6")
    with pytest.raises(Unresumable):
        resumed(store, connection.ids[1])


def test_a_session_keeps_so_many_bytes_and_one_larger_than_that_is_told_and_not_kept() -> None:
    at = House(max_bytes=1_000)
    store = at.store()
    _, connection = told(store, b"x" * 400, b"y" * 400)
    assert store.size_bytes <= 1_000
    assert len(connection.data) == 2
    large, heard = told(store, b"z" * 2_000)
    assert (len(heard.data), store.size_bytes) == (1, 0)
    large.end(b"last")
    with pytest.raises(Unresumable):
        resumed(store, heard.ids[0])
    assert resumed(store, heard.ids[1]).data == [b"last"]


def test_what_all_sessions_keep_is_bounded_and_the_longest_silent_forgets_first() -> None:
    at = House(max_total_bytes=1_500)
    silent, busy = at.store(), at.store()
    _, first = told(silent, b"a" * 300)
    _, second = told(busy, b"b" * 300)
    assert at.shelf.size_bytes <= 1_500
    told(busy, b"c" * 300)
    assert (silent.size_bytes, at.shelf.size_bytes == busy.size_bytes) == (0, True)
    with pytest.raises(Unresumable):
        resumed(silent, first.ids[0])
    assert resumed(busy, second.ids[0]).data == [b"b" * 300]


def test_a_stream_that_is_over_is_kept_for_a_while() -> None:
    at = House(ttl_s=60.0)
    store = at.store()
    stream, connection = told(store, b"1")
    stream.end(b"2")
    at.now_s = 59.0
    told(store, b"3")
    assert resumed(store, connection.ids[0]).ended
    at.now_s = 61.0
    told(store, b"4")
    with pytest.raises(Unresumable):
        store.find(connection.ids[0])


@pytest.mark.parametrize("looked", ["for by a client", "at by the timer"])
def test_a_stream_that_is_over_is_not_kept_for_longer_where_nothing_more_is_said(looked: str) -> None:
    at = House(ttl_s=60.0)
    store = at.store()
    stream, connection = told(store, b"1")
    stream.end(b"2")
    at.now_s = 61.0
    if looked == "at by the timer":
        at.shelf.expire()
    else:
        with pytest.raises(Unresumable):
            resumed(store, connection.ids[0])
    assert (store.size_bytes, at.shelf.size_bytes) == (0, 0)


def test_streams_that_said_nothing_are_not_kept_for_ever() -> None:
    at = House(max_events=10)
    store = at.store()
    for _ in range(100):
        told(store)[0].end()
    assert len(store._streams) <= 11  # pyright: ignore[reportPrivateUsage]


def test_what_is_closed_leaves_nothing_behind() -> None:
    at = House()
    stores = [at.store() for _ in range(10)]
    for store in stores:
        _, connection = told(store, b"1", b"2")
        store.close()
        assert connection.ended
    assert at.shelf.size_bytes == 0


def test_who_comes_back_too_late_to_its_own_stream_is_told_that_anything_may_have_changed() -> None:
    server = Server("s")
    server.resource("x://a")(lambda: "a")
    sessions = Sessions(server.toolbox, lambda: 0.0, kept=Bounds(max_events=1))
    session = sessions.open(Principal("anna"), "2025-11-25", {})
    assert isinstance(session, ClientSession)
    first = Told()
    session.listen(cast("Reply", first))
    session.ear.uris["x://a"] = None
    for _ in range(3):
        session.tell(b"{}")
    again = Told()
    _, whole = session.resume(cast("Reply", again), first.ids[0])
    assert not whole
    sessions.refresh(session)
    assert first.ended
    assert [data.split(b'"method":"')[1].split(b'"')[0] for data in again.data] == [
        b"notifications/tools/list_changed",
        b"notifications/resources/list_changed",
        b"notifications/resources/updated",
    ]
