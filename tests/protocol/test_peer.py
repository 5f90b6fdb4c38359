"""One end of a line: an answer finds its call by our number, and what fits nothing is counted, never fatal."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.protocol.peer import Answered, Peer, Progressed, Stray
from douane.wire import rpc
from douane.wire.rpc import Error, Notification, Request, Response


def asking(*waiters: str) -> Peer[str]:
    peer: Peer[str] = Peer()
    for waiter in waiters:
        peer.ask(waiter, lambda id_: rpc.write_request(id_, "m", {}))
    return peer


def said(**message: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode()


def test_answers_find_their_calls_in_any_order_and_once() -> None:
    peer = asking("first", "second")
    assert peer.receive(said(id=2, result={})) == Answered("second", Response(2, {}, b"{}"))
    assert peer.receive(said(id=1, error={"code": 1, "message": "m"})) == Answered("first", Error(1, 1, "m"))
    assert peer.receive(said(id=2, result={})) == Stray("an answer to nothing that is open (id 2)")
    assert (peer.waiting, peer.strays) == (0, 1)


@pytest.mark.parametrize("id_", [0, 2, -1, "1", "x" * 1000, 2**70])
def test_an_id_that_is_not_ours_is_a_stray(id_: rpc.Id) -> None:
    peer = asking("first")
    got = peer.receive(said(id=id_, result={}))
    assert isinstance(got, Stray)
    assert len(got.reason) < 100
    assert peer.waiting == 1


def test_an_answer_that_comes_after_we_gave_up_is_a_stray() -> None:
    peer = asking("first")
    assert peer.forget(1)
    assert isinstance(peer.receive(said(id=1, result={})), Stray)
    assert not peer.forget(1)


@pytest.mark.parametrize(
    "broken", [{"result": []}, {"result": 1}, {"error": "x"}, {}, {"result": {}, "error": {}}, {"Result": {}}]
)
def test_a_broken_answer_ends_the_call_it_names_and_no_other(broken: dict[str, Any]) -> None:
    peer = asking("first", "second")
    got = peer.receive(said(id=1, **broken))
    assert isinstance(got, Answered)
    assert (got.waiter, isinstance(got.answer, Error), peer.waiting, peer.strays) == ("first", True, 1, 0)


@pytest.mark.parametrize("broken", [{"params": []}, {"params": 1}, {"result": {}}, {"Params": {}}, {"method": 1}])
def test_a_broken_request_of_the_server_ends_no_call_of_ours_that_bears_the_same_id(broken: dict[str, Any]) -> None:
    peer = asking("first")
    assert isinstance(peer.receive(said(id=1, **({"method": "roots/list"} | broken))), Stray)
    assert peer.waiting == 1


@pytest.mark.parametrize(
    "data", [b"", b"log line", b"[]", b'{"jsonrpc":"2.0","id":1,"id":1,"result":{}}', b'{"a":NaN}', b"[" * 5000]
)
def test_noise_is_a_stray_and_touches_no_call(data: bytes) -> None:
    peer = asking("first")
    assert isinstance(peer.receive(data), Stray)
    assert (peer.waiting, peer.strays) == (1, 1)


def test_progress_belongs_to_the_call_whose_number_is_its_token() -> None:
    peer = asking("first", "second")
    note = said(method="notifications/progress", params={"progressToken": 2, "progress": 1, "x": 1})
    assert peer.receive(note) == Progressed("second", {"progress": 1, "x": 1})
    for token in (3, "2", True, None, 2.0):
        note = said(method="notifications/progress", params={"progressToken": token, "progress": 1})
        assert isinstance(peer.receive(note), Stray)


def test_requests_and_other_notifications_come_through_as_they_are() -> None:
    peer = asking("first")
    assert peer.receive(said(id=1, method="ping")) == Request(1, "ping", {})
    assert peer.receive(said(method="notifications/x", params={"a": 1})) == Notification("notifications/x", {"a": 1})
    assert peer.waiting == 1


def test_when_the_line_is_gone_everybody_who_waits_is_named() -> None:
    peer = asking("first", "second", "third")
    peer.receive(said(id=2, result={}))
    assert peer.drop_all() == ["first", "third"]
    assert peer.waiting == 0


@given(st.lists(st.sampled_from([1, 2, 3, "1", 9]), max_size=8))
def test_every_call_is_answered_at_most_once_whatever_comes(ids: list[rpc.Id]) -> None:
    peer = asking("1", "2", "3")
    got = [peer.receive(said(id=id_, result={})) for id_ in ids]
    answered = [a.waiter for a in got if isinstance(a, Answered)]
    assert sorted(answered) == sorted({str(id_) for id_ in ids if id_ in (1, 2, 3)})
    assert peer.strays == len(ids) - len(answered)
