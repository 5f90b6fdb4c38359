"""What `douane revoke` writes: it loads, forbids what it says and nothing else, and goes again without a trace."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.interceptors.policy import PolicyError, Revocable, Rules, reinstate, revocations, revoke
from douane.interceptors.policy.revocations import revocation_text
from douane.interceptors.policy.rules import Decision, Subject

ALL = ("policy.cedar", '@id("all")\npermit (principal, action, resource);\n')
CALL = Subject("alice", frozenset({"dev"}), "acme", "call", "Tool", "git_log", "git", "log", reads=True, client="cli")
KINDS: dict[Revocable, str] = {
    "user": "alice", "group": "dev", "client": "cli", "tenant": "acme", "server": "git", "tool": "git_log",
}  # fmt: skip


def judged(text: str, subject: Subject = CALL) -> Decision:
    decision = Rules([ALL, ("revoked.cedar", text)]).judge(subject)
    assert isinstance(decision, Decision), "it depends on no argument"
    return decision


@pytest.mark.parametrize(("kind", "name"), KINDS.items())
def test_a_revocation_forbids_what_it_names_and_nothing_else(kind: Revocable, name: str) -> None:
    assert judged(revocation_text(kind, name)) == Decision(False, f"revoked {kind} {name}")
    assert judged(revocation_text(kind, name + "x")).allowed
    for other, its in KINDS.items():
        if its != name:
            assert judged(revocation_text(other, name)).allowed, other


def test_a_revocation_with_an_end_ends() -> None:
    text = revocation_text("user", "alice", until=datetime(1970, 1, 1, 0, 1, tzinfo=UTC), why='left "us"')
    question = Rules([ALL, ("revoked.cedar", text)]).question(CALL)
    assert [question.ask({}, at_s).allowed for at_s in (59.0, 60.0)] == [False, True]
    with pytest.raises(ValueError, match="time zone"):
        revocation_text("user", "alice", until=datetime(2030, 1, 1))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.text(max_size=20).filter(str.isprintable))
def test_whatever_the_name_the_rule_says_that_name(name: str, why: str) -> None:
    text = revocation_text("user", name, why=why)
    subject = Subject(name, frozenset(), "t", "call", "Tool", "x", "s", "x", reads=True)
    assert judged(text, subject) == Decision(False, f"revoked user {name}")


def test_what_is_revoked_is_listed_and_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "revoked.cedar"
    assert not reinstate(path, "user", "eve")
    assert revoke(path, "user", "eve", why="left")
    assert not revoke(path, "user", "eve", why="left")
    assert revoke(path, "tool", 'a"\n;//b')
    assert revoke(path, "user", "eve", until=datetime(2030, 1, 1, tzinfo=UTC))
    assert sorted(what for what, _ in revocations(path)) == ['tool a"\n;//b', "user eve"]
    assert not reinstate(path, "group", "eve")
    assert reinstate(path, "tool", 'a"\n;//b')
    assert [what for what, _ in revocations(path)] == ["user eve"]
    assert reinstate(path, "user", "eve")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "revoked.cedar"
    path.write_text("forbid(")
    for change in (lambda: revoke(path, "user", "eve"), lambda: reinstate(path, "user", "eve")):
        with pytest.raises(PolicyError):
            change()
    assert path.read_text() == "forbid("


def test_a_revocation_that_cannot_be_replaced_stays_in_force(tmp_path: Path) -> None:
    path = tmp_path / "revoked.cedar"
    assert revoke(path, "user", "eve", why="left")
    before = path.read_text()
    with pytest.raises((PolicyError, UnicodeError)):
        revoke(path, "user", "eve", why="not UTF-8 on the command line: \udcff")
    assert path.read_text() == before
