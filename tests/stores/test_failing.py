"""Every Ledger again, with its n-th operation failing, for every n.

Spec: what SQLite's own I/O-error loops ask. After a failure the ledger is dead, and reopening finds a prefix
that holds all that was acknowledged and at most the one bundle whose fate was unknown.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from douane.stores.memory import MemoryLedger
from douane.stores.ports import Bundle, Ledger, Row, StoredCheckpoint, StoreFailed
from douane.stores.sqlite import SqliteLedger


def bundle(first: int) -> Bundle:
    return Bundle(first, 1, 1, first, b"r" * 32, b"e" * 3000, b"h" * 32, b"p" * 9000)


def use(ledger: Ledger, acknowledged: list[int]) -> None:
    for first in range(8):
        ledger.append(bundle(first), [Row("spent", (f"t{first}",), must_be_new=True)] if first % 2 else ())
        acknowledged.append(first)
        if first % 3 == 0:
            ledger.save_checkpoint(StoredCheckpoint(first + 1, "note", b"f"))
        ledger.tidy(idle=True)


class _Failing(apsw.VFS):
    def __init__(self, name: str, n: int, number: int) -> None:
        self.name = name
        self.left = n
        self.number = number
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _FailingFile:
        return _FailingFile(self, name, flags)

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise (apsw.FullError if self.number == errno.ENOSPC else apsw.IOError)("the test's disk")


class _FailingFile(apsw.VFSFile):
    def __init__(self, disk: _Failing, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:
        self._disk.step()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._disk.step()
        super().xSync(flags)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_a_file_whose_nth_write_or_sync_fails_keeps_what_it_acknowledged(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("douane.stores.sqlite.WAL_IDLE_BYTES", 60_000)  # so that checkpoints fail too
    failed = 0
    for n in range(1, 400):
        path = tmp_path / f"{n}.db"
        disk = _Failing(f"failing-{number}-{n}", n, number)
        acknowledged: list[int] = []
        try:
            ledger = SqliteLedger(path, vfs=disk.name, exclusive=True)
        except StoreFailed:
            failed += 1
            disk.unregister()
            continue
        try:
            use(ledger, acknowledged)
        except StoreFailed:
            failed += 1
            for again in (
                lambda ledger=ledger: ledger.append(bundle(99)),
                lambda ledger=ledger: ledger.tidy(idle=True),
            ):
                with pytest.raises(StoreFailed):
                    again()
        ledger.close()
        untouched = disk.left > 0
        disk.unregister()
        reopened = SqliteLedger(path)
        found = [one.first for one in reopened.bundles()]
        reopened.close()
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) <= len(acknowledged) + 1
        if untouched:
            break
    else:
        pytest.fail("the loop never reached its end")
    assert failed > 50


class _FailingMemory(MemoryLedger):
    """A store whose n-th operation fails, and every later one: as the file does."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.left = n

    def _step(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise StoreFailed("the test's memory")

    def append(self, bundle: Bundle, also: Sequence[Row] = ()) -> None:
        self._step()
        super().append(bundle, also)

    def save_checkpoint(self, checkpoint: StoredCheckpoint, instead_of: int | None = None) -> None:
        self._step()
        super().save_checkpoint(checkpoint, instead_of)


def test_a_memory_whose_nth_operation_fails_keeps_what_it_acknowledged() -> None:
    for n in range(1, 11):
        ledger = _FailingMemory(n)
        acknowledged: list[int] = []
        with pytest.raises(StoreFailed):
            use(ledger, acknowledged)
        assert [one.first for one in ledger.bundles()] == acknowledged
