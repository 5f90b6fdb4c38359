"""One suite over every Records, and what only the SQLite file must do."""

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from douane.stores.memory import MemoryRecords
from douane.stores.ports import NEW, Conflict, Record, Records, StoreFailed
from douane.stores.records import SqliteRecords


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
async def records(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Records]:
    made: Records
    made = MemoryRecords(clock) if request.param == "memory" else SqliteRecords(tmp_path / "records.db", clock)
    yield made
    await made.aclose()


async def test_what_was_put_is_there(records: Records) -> None:
    assert await records.get("grant", "a") is None
    assert await records.put("grant", "a", b"one", version=NEW) == 1
    assert await records.get("grant", "a") == Record("a", b"one", 1, None)
    assert await records.get("key", "a") is None


async def test_only_who_has_seen_it_as_it_is_changes_it(records: Records) -> None:
    await records.put("grant", "a", b"one", version=NEW)
    assert await records.put("grant", "a", b"two", version=1, expires_s=2000.0) == 2
    for version in (NEW, 1, 3):
        with pytest.raises(Conflict):
            await records.put("grant", "a", b"three", version=version)
    with pytest.raises(Conflict):
        await records.put("grant", "b", b"one", version=1)
    assert await records.get("grant", "a") == Record("a", b"two", 2, 2000.0)


async def test_of_many_that_take_one_succeeds(records: Records) -> None:
    await records.put("code", "a", b"one", version=NEW)
    ends = await asyncio.gather(*(records.take("code", "a", version=1) for _ in range(50)), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [Conflict] * 49
    assert await records.get("code", "a") is None


async def test_of_many_that_put_one_succeeds(records: Records) -> None:
    async def put(n: int) -> int:
        return await records.put("grant", "a", b"%d" % n, version=NEW)

    ends = await asyncio.gather(*(put(n) for n in range(50)), return_exceptions=True)
    assert [end for end in ends if isinstance(end, int)] == [1]


async def test_what_has_expired_is_not_there_and_may_be_put_anew(records: Records, clock: Clock) -> None:
    await records.put("code", "a", b"one", version=NEW, expires_s=1010.0)
    clock.s = 1010.0
    assert await records.get("code", "a") is None
    assert await records.find("code") == []
    with pytest.raises(Conflict):
        await records.take("code", "a", version=1)
    with pytest.raises(Conflict):
        await records.put("code", "a", b"two", version=1)
    assert await records.put("code", "a", b"two", version=NEW) == 1
    assert await records.get("code", "a") == Record("a", b"two", 1, None)


async def test_records_are_found_in_order_a_page_at_a_time(records: Records) -> None:
    for key in ("b/1", "a/2", "é", "a/10", "a", "a%", "A/1"):
        await records.put("grant", key, key.encode(), version=NEW)
    await records.put("key", "a/3", b"", version=NEW)
    keys: Callable[[object], list[str]] = lambda found: [record.key for record in found]  # type: ignore[attr-defined] # noqa: E731
    assert keys(await records.find("grant")) == ["A/1", "a", "a%", "a/10", "a/2", "b/1", "é"]
    assert keys(await records.find("grant", "a/")) == ["a/10", "a/2"]
    assert keys(await records.find("grant", "a/", after="a/10")) == ["a/2"]
    assert keys(await records.find("grant", "a%")) == ["a%"]
    assert keys(await records.find("grant", most=2)) == ["A/1", "a"]


async def test_a_file_is_its_owners_and_survives(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    first, second = SqliteRecords(path), SqliteRecords(path)
    await first.put("grant", "a", b"one", version=NEW)
    assert await second.get("grant", "a") == Record("a", b"one", 1, None)
    await first.aclose()
    await first.aclose()
    await second.put("grant", "a", b"two", version=1)
    await second.aclose()
    third = SqliteRecords(path)
    assert await third.get("grant", "a") == Record("a", b"two", 2, None)
    await third.aclose()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(StoreFailed, match="closed"):
        await third.get("grant", "a")


def test_what_is_no_such_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "records.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreFailed, match=r"records\.db"):
        SqliteRecords(tmp_path / "records.db")
    with pytest.raises(StoreFailed, match=r"records\.db"):
        SqliteRecords(tmp_path / "nowhere" / "records.db")
