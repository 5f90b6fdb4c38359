"""Sessions of older clients: few, bound to who opened them, and gone when idle. The clock is ours."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from douane.protocol.call import Principal
from douane.registry.catalog import Catalog, Item
from douane.sdk.client_sessions import ClientSession, Sessions
from douane.transports.http_server import Reply
from douane.wire.rpc import Notification

ANNA, BERT = Principal("anna"), Principal("bert")


@dataclass
class Stream:
    """What a listening client hears, in place of a socket."""

    heard: list[bytes] = field(default_factory=list)
    ended: bool = False
    gone: Any = None

    def open(self, status: int, headers: Any) -> None:
        assert status == 200

    def write(self, data: bytes, *, max_unsent_bytes: int | None = None) -> None:
        self.heard += [line[6:] for line in data.split(b"\n") if line.startswith(b"data: {")]

    def end(self) -> None:
        self.ended = True


class House:
    def __init__(self, **options: Any) -> None:
        self.now_s = 100.0
        self.catalog = Catalog()
        self.sessions = Sessions(self.catalog, lambda: self.now_s, **options)

    def open(self, principal: Principal = ANNA) -> ClientSession:
        session = self.try_open(principal)
        assert isinstance(session, ClientSession)
        return session

    def try_open(self, principal: Principal = ANNA) -> ClientSession | str:
        return self.sessions.open(principal, "2025-11-25", {})

    def left(self, *sessions: ClientSession) -> list[bool]:
        return [self.sessions.find(session.id, session.principal) is session for session in sessions]


def listening(session: ClientSession) -> Stream:
    stream = Stream()
    session.listen(cast("Reply", stream))
    return stream


def test_a_session_goes_on_with_a_token_of_the_same_person_and_client_that_is_good_for_more() -> None:
    house = House()
    session = house.open()
    stepped_up = Principal("anna", groups=frozenset({"b"}), scopes=frozenset({"write"}))
    assert house.sessions.find(session.id, stepped_up) is session
    assert house.sessions.find(session.id, Principal("anna", client="other")) is None


def test_a_session_is_found_by_who_opened_it_and_does_not_exist_for_others() -> None:
    at = House()
    session = at.open(ANNA)
    assert at.sessions.find(session.id, ANNA) is session
    for other in (BERT, Principal("anna", tenant="x"), Principal("anna", client="x")):
        assert at.sessions.find(session.id, other) is None
    assert at.sessions.find("guess", ANNA) is None


def test_ids_are_long_visible_and_never_alike() -> None:
    at = House()
    ids = {at.open().id for _ in range(100)}
    assert len(ids) == 100
    assert all(len(id_) >= 43 and id_.isascii() and id_.isprintable() for id_ in ids)


def test_the_longest_unused_makes_room() -> None:
    at = House(max_sessions=2)
    first, second = at.open(), at.open()
    at.sessions.find(first.id, ANNA)
    third = at.open()
    assert len(at.sessions) == 2
    assert [at.sessions.find(s.id, ANNA) for s in (first, second, third)] == [first, None, third]


def test_one_principal_can_take_no_more_than_its_share() -> None:
    at = House(max_sessions=10, max_per_principal=2)
    bert = at.open(BERT)
    first, second = at.open(), at.open()
    at.sessions.find(first.id, ANNA)
    third = at.open(Principal("anna", client="another"))
    assert at.left(bert, first, second, third) == [True, True, False, True]
    assert len(at.sessions) == 3


def test_what_is_in_use_makes_no_room_and_the_refusal_says_what_would() -> None:
    at = House(max_sessions=10, max_per_principal=2)
    held = [at.open(), at.open()]
    streams = [listening(session) for session in held]
    refused = at.try_open()
    assert isinstance(refused, str)
    assert "2 sessions" in refused
    assert isinstance(at.try_open(BERT), ClientSession)
    streams[1].gone()
    third = at.open()
    assert at.left(*held, third) == [True, False, True]


def test_nobody_elses_session_that_is_in_use_makes_room_either() -> None:
    at = House(max_sessions=2)
    busy, idle = at.open(BERT), at.open(BERT)
    stream = listening(busy)
    mine = at.open()
    assert at.left(busy, idle, mine) == [True, False, True]
    listening(mine)
    refused = at.try_open()
    assert isinstance(refused, str)
    assert "of all clients" in refused
    stream.gone()
    assert isinstance(at.try_open(), ClientSession)


def test_a_session_that_ended_counts_no_more() -> None:
    at = House(max_sessions=10, max_per_principal=1, idle_s=60.0)
    ended, again = at.open(), None
    listening(ended)
    at.sessions.end(ended)
    at.sessions.end(ended)
    again = at.open()
    at.now_s += 60
    listening(at.open())
    assert at.left(again) == [False]
    assert isinstance(at.try_open(), str)


def test_a_session_nobody_uses_is_gone_after_a_while() -> None:
    at = House(idle_s=60.0)
    session = at.open()
    at.now_s += 59
    assert at.sessions.find(session.id, ANNA) is session
    at.now_s += 59
    assert at.sessions.find(session.id, ANNA) is session
    at.now_s += 60
    assert at.sessions.find(session.id, ANNA) is None
    assert len(at.sessions) == 0


def test_another_principals_look_does_not_keep_a_session_alive() -> None:
    at = House(idle_s=60.0)
    session = at.open(ANNA)
    at.now_s += 59
    at.sessions.find(session.id, BERT)
    at.now_s += 1
    assert at.sessions.find(session.id, ANNA) is None


async def test_a_busy_session_is_not_idle() -> None:
    at = House(idle_s=60.0)
    calling, hearing, idle = at.open(), at.open(), at.open()
    calling.open[1] = asyncio.create_task(asyncio.Event().wait())  # type: ignore[assignment]
    listening(hearing)
    at.now_s += 1000
    assert at.sessions.find(idle.id, ANNA) is None
    assert at.sessions.find(calling.id, ANNA) is calling
    assert at.sessions.find(hearing.id, ANNA) is hearing
    at.sessions.close_all()


@pytest.mark.parametrize("idle_s", [0.0, -1.0, float("nan")])
def test_a_time_that_makes_every_session_idle_at_once_is_refused(idle_s: float) -> None:
    with pytest.raises(ValueError, match="idle_s must be more than 0"):
        House(idle_s=idle_s)


async def test_only_the_id_itself_cancels_a_call() -> None:
    at = House()
    session = at.open()
    session.open[1] = call = asyncio.create_task(asyncio.Event().wait())  # type: ignore[assignment]
    for wrong in ("1", True, 1.0, None, [1], {}):
        session.hear(Notification("notifications/cancelled", {"requestId": wrong}))
    await asyncio.sleep(0)
    assert not call.done()
    session.hear(Notification("notifications/cancelled", {"requestId": 1}))
    await asyncio.wait({call})
    assert call.cancelled()
    at.sessions.close_all()


async def test_the_end_of_a_session_cancels_its_calls_and_ends_its_stream() -> None:
    at = House()
    session = at.open()
    task = session.open[1] = asyncio.create_task(asyncio.Event().wait())  # type: ignore[assignment]
    stream = listening(session)
    at.sessions.end(session)
    at.sessions.end(session)
    await asyncio.wait({task})
    assert (task.cancelled(), stream.ended, len(at.sessions)) == (True, True, 0)


def test_notifications_go_to_the_newest_stream() -> None:
    session = House().open()
    old, new = listening(session), listening(session)
    session.tell(b"{}")
    assert (old.ended, old.heard, new.heard) == (True, [], [b"{}"])
    new.gone()
    session.tell(b"{}")
    assert len(new.heard) == 1


@pytest.mark.parametrize("changes", [True, False])
def test_every_session_that_listens_is_told_of_changed_lists(changes: bool) -> None:
    at = House()
    streams = [listening(at.open()), listening(at.open(BERT))]
    at.open()
    items = [Item(kind, "files", "x", "x", {}, "d") for kind in ("tools", "resources", "resourceTemplates") if changes]
    at.catalog.publish("files", items, frozenset())
    told = [
        b'{"jsonrpc":"2.0","method":"notifications/resources/list_changed","params":{}}',
        b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{}}',
    ]
    assert [stream.heard for stream in streams] == [told if changes else []] * 2
