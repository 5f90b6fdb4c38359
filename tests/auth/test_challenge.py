"""What a server demands, read from its headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.auth.challenge import Demand, demand_of, read_demands, scopes_of


@pytest.mark.parametrize(
    ("header", "demands"),
    [
        ("Bearer", [("bearer", {})]),
        (
            'bearer realm="a, b", scope="x y",resource_metadata="https://h/p?q=1,2"',
            [("bearer", {"realm": "a, b", "scope": "x y", "resource_metadata": "https://h/p?q=1,2"})],
        ),
        (
            'Bearer error="invalid_token", DPoP algs="ES256"',
            [("bearer", {"error": "invalid_token"}), ("dpop", {"algs": "ES256"})],
        ),
        ("Basic abc==, Bearer error=invalid_token", [("basic", {}), ("bearer", {"error": "invalid_token"})]),
        (
            "Bearer resource_metadata=https://a/b, Scope=x, scope=y",
            [("bearer", {"resource_metadata": "https://a/b", "scope": "x"})],
        ),
        (r'Bearer realm="say \"no\""', [("bearer", {"realm": 'say "no"'})]),
        ('Bearer scope="unterminated', [("bearer", {})]),
        ("=,=", []),
        ("", []),
    ],
)
def test_every_way_to_write_a_challenge_is_read(header: str, demands: list[tuple[str, dict[str, str]]]) -> None:
    assert read_demands([header]) == [Demand(scheme, params) for scheme, params in demands]


def test_the_stricter_of_two_schemes_is_followed_wherever_it_stands() -> None:
    assert demand_of(["Basic", "Bearer scope=a, DPoP scope=b"]) == Demand("dpop", {"scope": "b"})
    assert demand_of(["Negotiate"]) is None


@given(st.text())
def test_no_header_is_too_strange_to_be_read(header: str) -> None:
    for demand in read_demands([header]):
        assert demand.scheme == demand.scheme.lower()


def test_scopes_are_words_each_once() -> None:
    assert scopes_of('a  b a "c" d') == ("a", "b", "d")
    assert scopes_of(None) == ()
