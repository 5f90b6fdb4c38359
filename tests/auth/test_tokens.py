"""Who a header belongs to, and what failing costs."""

import pytest

from douane.auth.tokens import Bearer, Denied, Identity, exposure_fault

TOKEN = "dn_" + "a" * 43
OWNER = Identity("owner")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def bearer(clock: Clock | None = None) -> Bearer:
    return Bearer({TOKEN: OWNER}, clock or Clock())


def denied(result: Identity | Denied) -> Denied:
    assert isinstance(result, Denied)
    return result


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_the_token_is_its_owner_however_the_scheme_is_written(header: str) -> None:
    assert bearer().verify(header.encode(), "1.1.1.1") == OWNER


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        TOKEN.encode(),
        f"Basic {TOKEN}".encode(),
        f"Bearer {TOKEN[:-1]}".encode(),
        f"Bearer {TOKEN}, Bearer {TOKEN}".encode(),
        f"Bearer {TOKEN}\0".encode(),
        b"Bearer \xff\xfe",
        b"Bearer " + b"x" * 100_000,
    ],
)
def test_anything_else_is_nobody(header: bytes) -> None:
    outcome = denied(bearer().verify(header, "1.1.1.1"))
    assert (outcome.status, outcome.challenge) == (401, 'Bearer error="invalid_token"')


def test_who_sends_nothing_is_told_what_to_send() -> None:
    outcome = denied(bearer().verify(None, "1.1.1.1"))
    assert (outcome.status, outcome.challenge) == (401, "Bearer")
    assert "Authorization: Bearer" in outcome.reason


def test_failures_are_limited_by_address_and_the_limit_passes() -> None:
    clock = Clock()
    door = bearer(clock)
    statuses = [denied(door.verify(b"Bearer x", "1.1.1.1")).status for _ in range(25)]
    assert statuses == [401] * 20 + [429] * 5
    assert denied(door.verify(b"Bearer x", "2.2.2.2")).status == 401
    limited = denied(door.verify(b"Bearer x", "1.1.1.1"))
    clock.now_s += limited.retry_after_s
    assert denied(door.verify(b"Bearer x", "1.1.1.1")).status == 401


def test_the_right_token_passes_from_an_address_that_failed_too_often() -> None:
    door = bearer()
    for _ in range(50):
        door.verify(b"Bearer x", "1.1.1.1")
    assert door.verify(f"Bearer {TOKEN}".encode(), "1.1.1.1") == OWNER


def test_one_ipv6_household_is_one_source() -> None:
    door = bearer()
    statuses = [denied(door.verify(b"Bearer x", f"2001:db8::{i:x}")).status for i in range(30)]
    assert statuses.count(429) == 10
    assert denied(door.verify(b"Bearer x", "2001:db8:0:1::1")).status == 401


def test_a_failure_is_recorded_once_a_source_and_second_and_a_flood_of_sources_is_bounded() -> None:
    clock = Clock()
    door = bearer(clock)
    assert [denied(door.verify(None, "1.1.1.1")).recorded for _ in range(3)] == [True, False, False]
    flood = sum(denied(door.verify(None, f"10.0.{i // 256}.{i % 256}")).recorded for i in range(5_000))
    assert flood == 63
    clock.now_s += 1
    assert denied(door.verify(None, "1.1.1.1")).recorded


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_needs_no_more_than_the_first_token(host: str) -> None:
    assert exposure_fault(host, real_authentication=False) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.2", "example.org", "localhost.example.org"])
def test_any_other_host_needs_real_authentication(host: str) -> None:
    fault = exposure_fault(host, real_authentication=False)
    assert fault is not None
    assert "listen on 127.0.0.1" in fault
    assert exposure_fault(host, real_authentication=True) is None
