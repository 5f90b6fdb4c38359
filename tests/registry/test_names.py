import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.registry.names import MAX_NAME, exposed


@pytest.mark.parametrize(
    ("prefix", "own", "shown"),
    [
        ("git_", "status", "git_status"),
        ("", "a.b-c_d", "a.b-c_d"),
        ("", "x" * 64, "x" * 64),
        ("git_", "x" * 61, "git_" + "x" * 51 + "_55a04e1e"),
        ("git_", "a/b", "git_a_b_33fa86b5"),
    ],
)
def test_a_plain_name_is_shown_as_it_is_and_another_ends_in_its_own_digest(prefix: str, own: str, shown: str) -> None:
    assert exposed(prefix, own) == shown


@given(st.text(max_size=100), st.text(max_size=100))
def test_every_name_is_one_that_clients_accept(prefix: str, own: str) -> None:
    shown = exposed(prefix, own)
    assert len(shown) <= MAX_NAME
    if prefix + own:
        assert re.fullmatch(r"[A-Za-z0-9_.\-]{1,64}", shown)


@given(st.lists(st.text("ab/é ", min_size=1, max_size=80) | st.text("a", min_size=60, max_size=90), unique=True))
def test_two_names_never_meet_by_being_shortened(names: list[str]) -> None:
    assert len({exposed("p_", name) for name in names}) == len(names)
