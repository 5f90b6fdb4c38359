"""One suite over every Ledger, and what only the SQLite file must do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from douane.stores import sqlite
from douane.stores.memory import MemoryLedger
from douane.stores.ports import AlreadyThere, Bundle, Ledger, Row, StoreBusy, StoredCheckpoint, StoreFailed
from douane.stores.sqlite import SqliteLedger, SqliteReader


def bundle(first: int, n: int = 2) -> Bundle:
    return Bundle(first, n, 1_000 + first, first, b"r" * 32, b"e" * n, b"h" * 32 * n, None if first else b"p")


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    made = MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "audit.db")
    yield made
    made.close()


def test_an_empty_ledger_has_nothing(ledger: Ledger) -> None:
    assert ledger.head() is None
    assert list(ledger.bundles()) == []
    assert ledger.last_checkpoint() is None
    assert ledger.subject("p") is None


def test_bundles_come_back_as_they_were_and_in_order(ledger: Ledger) -> None:
    written = [bundle(0), bundle(2, 3), bundle(5)]
    for one in written:
        ledger.append(one)
    assert list(ledger.bundles()) == written
    assert ledger.head() == written[-1]
    assert [one.end for one in written] == [2, 5, 7]


@pytest.mark.parametrize(("first", "starts"), [(0, 0), (1, 0), (2, 2), (4, 2), (5, 5), (6, 5), (99, 5)])
def test_reading_starts_at_the_bundle_that_holds_the_index(ledger: Ledger, first: int, starts: int) -> None:
    for one in (bundle(0), bundle(2, 3), bundle(5)):
        ledger.append(one)
    assert next(ledger.bundles(first)).first == starts


def test_an_index_is_given_once(ledger: Ledger) -> None:
    ledger.append(bundle(0))
    with pytest.raises(StoreFailed):
        ledger.append(bundle(0))
    assert list(ledger.bundles()) == [bundle(0)]


def test_rows_that_must_be_new_decide_over_the_whole_transaction(ledger: Ledger) -> None:
    spent = Row("spent", ("token",), must_be_new=True)
    other = Row("spent", ("other",), must_be_new=True)
    ledger.append(bundle(0), [spent])
    with pytest.raises(AlreadyThere) as refused:
        ledger.append(bundle(2), [other, spent])
    assert refused.value.row == spent
    assert ledger.head() == bundle(0)
    ledger.append(bundle(2), [other])
    with pytest.raises(AlreadyThere):
        ledger.append(bundle(4), [Row("spent", ("twice",), must_be_new=True)] * 2)
    assert ledger.head() == bundle(2)


def test_an_actor_is_recorded_once_and_may_be_recorded_again(ledger: Ledger) -> None:
    row = Row("actor", ("p", "alice"), must_be_new=False)
    ledger.append(bundle(0), [row])
    ledger.append(bundle(2), [row])
    assert ledger.subject("p") == "alice"


def test_a_checkpoint_can_take_the_place_of_another(ledger: Ledger) -> None:
    one, two, three = (StoredCheckpoint(size, f"note {size}", b"f") for size in (2, 4, 6))
    ledger.save_checkpoint(one)
    ledger.save_checkpoint(two)
    ledger.save_checkpoint(three, instead_of=two.size)
    assert list(ledger.checkpoints()) == [one, three]
    assert ledger.last_checkpoint() == three


def test_housekeeping_changes_nothing_that_can_be_read(ledger: Ledger) -> None:
    ledger.append(bundle(0)._replace(payloads=b"x" * (2 << 20)))
    before = list(ledger.bundles())
    ledger.tidy(idle=False)
    ledger.tidy(idle=True)
    assert list(ledger.bundles()) == before
    assert ledger.free_bytes() is None or ledger.free_bytes() > 0  # type: ignore[operator]


def test_closing_twice_is_harmless(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()


# Only the file.


def test_a_file_outlives_its_ledger_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    first = SqliteLedger(path)
    first.append(bundle(0))
    first.close()
    again = SqliteLedger(path)
    assert again.head() == bundle(0)
    again.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_reader_sees_what_the_writer_commits_and_cannot_write(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "audit.db")
    reader = SqliteReader(tmp_path / "audit.db")
    ledger.append(bundle(0))
    assert reader.head() == bundle(0)
    with pytest.raises(apsw.ReadOnlyError):
        reader._db.execute("DELETE FROM bundle")  # pyright: ignore[reportPrivateUsage]
    reader.close()
    ledger.close()


@pytest.mark.parametrize("content", [None, b"", b"not a database, whatever its name says" * 100])
def test_a_reader_of_what_is_no_ledger_says_so(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "audit.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreFailed, match=r"audit\.db"):
        SqliteReader(path)
    assert path.exists() == (content is not None)


def test_the_promises_to_the_disk_are_in_force(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "audit.db")
    names = ("journal_mode", "synchronous", "wal_autocheckpoint", "secure_delete")
    asked = {name: ledger._db.execute(f"PRAGMA {name}").get for name in names}  # pyright: ignore[reportPrivateUsage]
    ledger.close()
    assert asked == {"journal_mode": "wal", "synchronous": 2, "wal_autocheckpoint": 0, "secure_delete": 1}


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "OLDEST_SQLITE", (99, 0, 0))
    with pytest.raises(StoreFailed, match="WAL-reset"):
        SqliteLedger(tmp_path / "audit.db")


HOLDER = """
import sys
from pathlib import Path
from douane.stores.sqlite import SqliteLedger
ledger = SqliteLedger(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_on_the_same_data_is_refused_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        before = path.read_bytes()
        started = time.monotonic()
        with pytest.raises(StoreBusy, match=f"in use by process {holder.pid}"):
            SqliteLedger(path)
        assert time.monotonic() - started < 1
        assert path.read_bytes() == before
        holder.kill()
    SqliteLedger(path).close()


def test_the_same_process_is_refused_a_second_ledger_too(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "audit.db")
    with pytest.raises(StoreBusy, match=str(os.getpid())):
        SqliteLedger(tmp_path / "audit.db")
    ledger.close()


def test_a_directory_that_cannot_be_written_is_a_clear_failure(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match=r"audit\.db\.lock"):
        SqliteLedger(tmp_path / "absent" / "audit.db")
