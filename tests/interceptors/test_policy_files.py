"""The files of the policy: taken when they change, and written by `douane allow`."""

import re
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.interceptors.policy import PolicyError, PolicyFiles, Rules, append_permit, default_policy, permit_text
from douane.interceptors.policy.rules import Decision, Subject

PERMIT = "permit(principal, action, resource);"


def subject(name: str, user: str = "alice", *groups: str) -> Subject:
    return Subject(user, frozenset(groups), "default", "call", "Tool", name, "s", name, reads=False)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_changed_file_is_taken_within_a_second(tmp_path: Path) -> None:
    policy, allowed, clock = tmp_path / "policy.cedar", tmp_path / "allowed.cedar", Clock()
    policy.write_text(default_policy())
    files = PolicyFiles([policy], [allowed], clock)
    before = files()
    assert before.judge(subject("x")) == Decision(False, "default")
    append_permit(allowed, permit_text("call", "Tool", "x", None, None))
    assert files() is before
    clock.now_s = 1.0
    assert files().judge(subject("x")) != Decision(False, "default")
    allowed.unlink()
    clock.now_s = 2.0
    assert files().epoch == before.epoch


def test_a_change_that_cannot_be_used_leaves_the_old_rules_in_force_and_says_so(tmp_path: Path) -> None:
    policy, clock = tmp_path / "policy.cedar", Clock()
    policy.write_text(PERMIT)
    files = PolicyFiles([policy], [], clock)
    before = files()
    policy.write_text("permit(")
    clock.now_s = 1.0
    assert files() is before
    assert files.fault is not None
    assert "policy.cedar:1: is not Cedar" in files.fault
    policy.unlink()
    clock.now_s = 2.0
    assert files() is before
    policy.write_text("forbid(principal, action, resource);")
    clock.now_s = 3.0
    assert files().epoch != before.epoch
    assert files.fault is None


def test_a_file_that_is_not_there_or_not_text_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"policy\.cedar"):
        PolicyFiles([tmp_path / "policy.cedar"], [], Clock())
    (tmp_path / "policy.cedar").write_bytes(b"\xff")
    with pytest.raises(PolicyError, match="cannot be read"):
        PolicyFiles([tmp_path / "policy.cedar"], [], Clock())


def test_a_permit_is_for_a_user_or_a_group_or_everyone() -> None:
    for user, group, who in (("alice", None, {"alice"}), (None, "dev", {"bob"}), (None, None, {"alice", "bob", "eve"})):
        rules = Rules([("a", permit_text("call", "Tool", "x", user, group))])
        asked = {"alice": subject("x", "alice"), "bob": subject("x", "bob", "dev"), "eve": subject("x", "eve", "ops")}
        assert {name for name, about in asked.items() if rules.judge(about) != Decision(False, "default")} == who
    with pytest.raises(ValueError, match="either a user or a group"):
        permit_text("call", "Tool", "x", "alice", "dev")


def test_a_permit_may_end() -> None:
    text = permit_text("call", "Tool", "x", None, None, until=datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    question = Rules([("a", text)]).judge(subject("x"))
    assert not isinstance(question, Decision)
    assert question.ask({}, 59.0).allowed
    assert not question.ask({}, 60.0).allowed


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.text(max_size=5))
def test_a_permit_is_for_one_name_whatever_it_holds(name: str, more: str) -> None:
    rules = Rules([("a", permit_text("call", "Tool", name, None, None))])
    assert len(rules.names) == 1
    assert rules.judge(subject(name)) == Decision(True, rules.names[0])
    if more:
        assert rules.judge(subject(name + "x" + more.encode("ascii", "replace").decode())) == Decision(False, "default")


def test_a_permit_is_written_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "allowed.cedar"
    first, second = permit_text("call", "Tool", "x", None, None), permit_text("call", "Tool", "y", None, None)
    assert append_permit(path, first)
    assert append_permit(path, second)
    assert not append_permit(path, first)
    assert path.read_text().count("permit (") == 2
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["allowed.cedar"]
    Rules([(path.name, path.read_text())])


def test_a_permit_added_by_hand_without_a_line_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "allowed.cedar"
    path.write_text(f'@id("mine") {PERMIT}')
    append_permit(path, permit_text("call", "Tool", "x", None, None))
    assert len(Rules([("a", path.read_text())]).names) == 2


def test_what_is_no_rule_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        append_permit(tmp_path / "allowed.cedar", "permit(")
    assert list(tmp_path.iterdir()) == []


def test_of_many_that_add_at_once_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "allowed.cedar"
    names = [f"tool_{i}" for i in range(12)]
    adding = [
        threading.Thread(target=append_permit, args=(path, permit_text("call", "Tool", name, None, None)))
        for name in names
    ]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join(10)
    rules = Rules([("allowed.cedar", path.read_text())])
    assert all(rules.judge(subject(name)) != Decision(False, "default") for name in names)


def test_the_rules_in_the_documentation_can_be_loaded() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
    (example,) = re.findall(r"```cedar\n(.*?)```", page, re.DOTALL)
    assert Rules([("policy.md", example)]).names == ("dev-git", "srv-only", "contractor")
