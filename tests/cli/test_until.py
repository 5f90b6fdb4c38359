"""`douane allow --until`: the end as people write it, and a rule that ends then."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from gateway_clients import http, text_of
from gateway_world import gateway, hostile

from douane.cli.until import EndFault, end_of

ZONE = timezone(timedelta(hours=2))
SUMMER = timezone(timedelta(hours=3))
NOW = datetime(2026, 11, 25, 9, 30, 15, 500, tzinfo=ZONE)


def local(moment: datetime) -> datetime:
    return moment.replace(tzinfo=SUMMER if 4 <= moment.month <= 10 else ZONE)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("90m", datetime(2026, 11, 25, 11, 0, 15, tzinfo=ZONE)),
        ("12h", datetime(2026, 11, 25, 21, 30, 15, tzinfo=ZONE)),
        ("7d", datetime(2026, 12, 2, 9, 30, 15, tzinfo=ZONE)),
        ("2w", datetime(2026, 12, 9, 9, 30, 15, tzinfo=ZONE)),
        ("1d12h30s", datetime(2026, 11, 26, 21, 30, 45, tzinfo=ZONE)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=ZONE)),
        ("2027-01-31T12:00", datetime(2027, 1, 31, 12, tzinfo=ZONE)),
        ("2027-07-31T12:00", datetime(2027, 7, 31, 12, tzinfo=SUMMER)),
        ("2027-01-31 12:00:05", datetime(2027, 1, 31, 12, 0, 5, tzinfo=ZONE)),
        ("2027-01-31T12:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00:00-05:00", datetime(2027, 1, 31, 17, tzinfo=UTC)),
    ],
)
def test_an_end_is_a_moment_or_how_long_from_now(text: str, end: datetime) -> None:
    assert end_of(text, NOW, local) == end


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no time; write 2027-01-31"),
        ("tomorrow", "is no time; write 2027-01-31"),
        ("7", "is no time"),
        ("-7d", "is no time"),
        ("1.5h", "is no time"),
        ("7 d", "is no time"),
        ("1h1h", "gives hours twice"),
        ("20270131", "is no time"),
        ("2027-13-01", "is no time (month must be in 1..12)"),
        ("2027-02-30", "is no time (day is out of range for month)"),
        ("2027-01-31T25:00", "is no time (hour must be in 0..23)"),
        ("٢٠٢٧-٠١-٣١", "is no time"),
        ("0s", "which has passed"),
        ("2020-01-01", "is 2020-01-01T00:00:00+02:00, which has passed"),
        ("2026-11-25T07:30:15Z", "which has passed"),
        ("999999999w", "lies outside the years 1 to 9999"),
        ("9999-12-31T23:59-05:00", "lies outside the years 1 to 9999"),
        ("2027-01-31T12:00+24:00", "is no time; write 2027-01-31"),
        ("2027-01-31T12:00-99:00", "is no time; write 2027-01-31"),
        ("2027-01-31T12:00+05:99", "is no time; write 2027-01-31"),
    ],
)
def test_what_cannot_be_read_or_has_passed_is_refused_with_the_way_to_write_it(text: str, why: str) -> None:
    with pytest.raises(EndFault) as refused:
        end_of(text, NOW, local)
    assert why in str(refused.value)


@pytest.mark.slow
async def test_a_rule_that_ends_is_written_taken_and_ends(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile(reads={})}) as running, http(running) as client:
        world = running.world
        assert (await client.call("hostile_echo", text="x"))["error"]["code"] == 1403
        ran = await world.run("allow", "hostile_echo", "--until", "2099-01-31T12:00Z")
        assert ran.code == 0, ran.err
        assert "until 2099-01-31 12:00:00+00:00" in ran.out
        assert 'when { context.now < datetime("2099-01-31T12:00:00Z") }' in world.paths.allowed.read_text()

        async def answered() -> str:
            answer = await client.call("hostile_echo", text="x")
            return text_of(answer) if "result" in answer else answer["error"]["message"]

        # Within a second, says the documentation.
        async with asyncio.timeout(5.0):
            while await answered() != "x":
                pass
        # Time passes.
        rule = world.paths.allowed.read_text()
        world.paths.allowed.write_text(rule.replace("2099", "2020"))
        async with asyncio.timeout(5.0):
            while "no rule permits it" not in await answered():
                pass


@pytest.mark.slow
@pytest.mark.parametrize("end", ["yesterday", "2020-01-01", "1h1h", "-1d"])
async def test_an_end_that_cannot_be_meant_writes_nothing_and_starts_nothing(tmp_path: Path, end: str) -> None:
    async with gateway(tmp_path, {"hostile": hostile(reads={})}) as running:
        ran = await running.world.run("allow", "hostile_echo", f"--until={end}")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"douane: --until: '{end}' ")
        assert not running.world.paths.allowed.exists()


@pytest.mark.slow
async def test_a_rule_without_an_end_beside_it_is_pointed_out(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile(reads={})}) as running:
        assert (await running.world.run("allow", "hostile_echo")).err == ""
        ran = await running.world.run("allow", "hostile_echo", "--until", "7d")
        assert ran.code == 0
        assert "a rule without an end permits this too" in ran.err
