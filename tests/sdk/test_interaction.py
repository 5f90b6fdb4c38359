"""A state that callers keep for us: bound to its caller, its call, its door and its time."""

from typing import Any

import pytest
from msgspec.structs import replace

from douane.auth.seal import Seal
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Failed, InputRequired, Outcome, Refused
from douane.sdk.interaction import Interactions

ARGUMENTS = {"name": "pay", "arguments": {"to": "Bert", "much": 5}}
CALL = Call(
    id="c1",
    root="c1",
    method="tools/call",
    params=ARGUMENTS,
    principal=Principal("anna"),
    target="pay",
    capabilities={"elicitation": {}},
)
ASKED = InputRequired({"sure": {"method": "elicitation/create", "params": {"mode": "form"}}}, "inner")


class Door:
    def __init__(self, seal: Seal, place: str = "") -> None:
        self.now_s = 1000.0
        self.states = Interactions(seal, place, "server", lambda: self.now_s, within_s=300.0, max_rounds=2)

    def state(self, call: Call = CALL, asked: InputRequired = ASKED) -> str:
        out = self.states.outgoing(call, asked)
        assert isinstance(out, InputRequired)
        assert out.state is not None
        return out.state

    def back(self, state: str, **changes: Any) -> Call | Refused:
        return self.states.incoming(replace(CALL, id="c2", root="c2", state=state, **changes))


@pytest.fixture
def door() -> Door:
    return Door(Seal())


def why(said: Outcome | Call) -> str:
    assert isinstance(said, Refused)
    assert said.code == -32602
    return said.reason


def test_what_comes_back_goes_on_with_the_interaction_that_was_asked(door: Door) -> None:
    assert door.back(door.state()) == replace(CALL, id="c2", root="c1", round=1, state="inner")


def test_a_question_without_a_state_comes_back_as_a_call_with_none(door: Door) -> None:
    back = door.back(door.state(asked=InputRequired(ASKED.asks)))
    assert isinstance(back, Call)
    assert (back.state, back.root, back.round) == (None, "c1", 1)


def test_arguments_are_the_same_in_any_order_and_with_another_token_of_progress(door: Door) -> None:
    params = {"arguments": {"much": 5, "to": "Bert"}, "name": "pay", "_meta": {"progressToken": 7}}
    assert isinstance(door.back(door.state(), params=params), Call)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"principal": Principal("mallory")}, "given to somebody else"),
        ({"principal": Principal("anna", client="other")}, "given to somebody else"),
        ({"principal": Principal("anna", tenant="other")}, "given to somebody else"),
        ({"params": {"name": "pay", "arguments": {"to": "Mallory", "much": 5}}}, "for other arguments"),
        ({"params": {"name": "pay", "arguments": {"to": "Bert", "much": 5.5}}}, "for other arguments"),
        ({"method": "prompts/get"}, "for another call"),
    ],
)
def test_another_caller_or_call_is_refused(door: Door, changes: dict[str, Any], reason: str) -> None:
    assert reason in why(door.back(door.state(), **changes))


def test_a_change_of_groups_is_no_other_caller(door: Door) -> None:
    assert isinstance(door.back(door.state(), principal=Principal("anna", frozenset({"new"}))), Call)


def test_it_expires(door: Door) -> None:
    state = door.state()
    door.now_s += 300.0
    assert isinstance(door.back(state), Call)
    door.now_s += 0.1
    assert "has expired" in why(door.back(state))


def test_another_door_of_the_same_house_does_not_open_it() -> None:
    seal = Seal()
    state = Door(seal, "/mcp/one").state()
    assert "for another call" in why(Door(seal, "/mcp/two").back(state))
    assert isinstance(Door(seal, "/mcp/one").back(state), Call)


def test_what_the_caller_has_not_declared_is_not_asked_and_who_waits_is_told(door: Door) -> None:
    told: list[str] = []
    asked = InputRequired({"where": {"method": "roots/list"}, **ASKED.asks}, "s", lambda: told.append("over"))
    refused = door.states.outgoing(CALL, asked)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.data) == (-32021, {"requiredCapabilities": {"roots": {}}})
    assert told == ["over"]


def test_what_nobody_can_be_asked_is_not_asked(door: Door) -> None:
    for question in ({"method": "tools/call"}, {"method": "elicitation/create", "params": {"mode": "voice"}}, {}):
        assert isinstance(door.states.outgoing(CALL, InputRequired({"q": question}, "s")), Refused)


def test_rounds_that_ask_are_counted_and_those_that_only_wait_are_not(door: Door) -> None:
    waits = InputRequired({}, "s")
    call = CALL
    for _ in range(5):
        back = door.back(door.state(call, waits))
        assert isinstance(back, Call)
        call = back
    assert call.round == 0
    for _ in range(2):
        back = door.back(door.state(call))
        assert isinstance(back, Call)
        call = back
    assert door.states.outgoing(call, ASKED) == Failed(-32603, "server: still asking after 2 rounds", "yes")
