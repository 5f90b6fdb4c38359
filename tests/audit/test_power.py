"""Power cuts and failing disks, below the real ledger and the real log."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import apsw
import pytest

from douane.audit.errors import AuditSealed
from douane.audit.verify import Report
from douane.stores.ports import StoreError, StoreFailed
from douane.stores.sqlite import SqliteLedger, SqliteReader

from .kit import calls_in, intent, opened, outcome, signer_in, verified, write_call
from .power import Disk, Op, cut


async def _recorded(disk: Disk, folder: Path, calls: int, synchronous: str = "FULL") -> list[tuple[int, int]]:
    """Write `calls` calls; what was acknowledged by when, as (operations so far, leaves)."""
    ledger = SqliteLedger(folder / "audit.db", vfs=disk.name, exclusive=True)
    if synchronous != "FULL":
        ledger._db.execute(f"PRAGMA synchronous={synchronous}")  # pyright: ignore[reportPrivateUsage]
    log = await opened(ledger)
    acknowledged: list[tuple[int, int]] = []
    for call in range(calls):
        for leaf in (intent(f"c{call}"), outcome(f"c{call}")):
            index = await log.write(leaf, b"x" * (call * 37 % 700))
            acknowledged.append((len(disk.log), index + 1))
    await log.aclose()
    return acknowledged


async def _cuts_that_lost(folder: Path, trial: str, cuts: int, synchronous: str = "FULL") -> list[Report | None]:
    """Of `cuts` power cuts at random moments, what was found where something acknowledged was gone or
    wrong."""
    chance = random.Random(trial)
    (folder / trial).mkdir()
    disk = Disk(f"power-{trial}")
    acknowledged = await _recorded(disk, folder / trial, 60, synchronous)
    lost: list[Report | None] = []
    for _ in range(cuts):
        upto = chance.randrange(acknowledged[0][0], len(disk.log))
        promised = max(leaves for operations, leaves in acknowledged if operations <= upto)
        cut(disk.log, upto, folder / "found", chance)
        try:
            ledger = SqliteLedger(folder / "found" / "audit.db")
        except StoreFailed:
            lost.append(None)
            continue
        report = verified(ledger, live=True)
        ledger.close()
        if report.finding is not None or report.leaves < promised:
            lost.append(report)
    disk.unregister()
    return lost


@pytest.mark.slow
async def test_three_hundred_power_cuts_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    for trial in "abc":
        assert await _cuts_that_lost(tmp_path, trial, 100) == []


async def test_the_simulator_sees_the_loss_when_commits_are_not_synced(tmp_path: Path) -> None:
    assert len(await _cuts_that_lost(tmp_path, "n", 30, "NORMAL")) > 15


class _FailsAt:
    """Raises at the n-th operation of one kind, and at every later one; counts operations."""

    def __init__(self, n: int, kind: str, number: int) -> None:
        self._n = n
        self._kind = kind
        self._number = number
        self.seen = 0

    def __call__(self, op: Op) -> None:
        if op.kind == self._kind:
            self.seen += 1
            if self.seen == self._n:
                fault = apsw.FullError if self._number == errno.ENOSPC else apsw.IOError
                raise fault(f"{self._kind} {self._n}")


@pytest.mark.parametrize(("kind", "number"), [("sync", errno.EIO), ("write", errno.EIO), ("write", errno.ENOSPC)])
async def test_a_disk_that_fails_once_seals_the_log_and_nothing_is_acknowledged_after(
    tmp_path: Path, kind: str, number: int
) -> None:
    sealed = 0
    for n in range(1, 40):
        folder = tmp_path / f"{n}"
        folder.mkdir()
        disk = Disk(f"fails-{kind}-{number}-{n}")
        failing = disk.fault = _FailsAt(n, kind, number)
        acknowledged: list[str] = []
        refused_at: int | None = None
        try:
            log = await opened(SqliteLedger(folder / "audit.db", vfs=disk.name, exclusive=True))
        except (StoreError, AuditSealed):
            sealed += 1
            continue
        for call in range(6):
            try:
                await write_call(log, f"c{call}")
                assert refused_at is None, "acknowledged after a refusal"
                acknowledged.append(f"c{call}")
            except AuditSealed:
                refused_at = call
        if refused_at is not None:
            sealed += 1
            assert log.state == "sealed"
            assert log.reason is not None
            assert "cannot be written" in log.reason
        await log.aclose()
        disk.fault = None
        reopened = await opened(SqliteLedger(folder / "audit.db"))
        await reopened.aclose()
        reader = SqliteReader(folder / "audit.db")
        assert {("outcome", call) for call in acknowledged} <= set(calls_in(reader))
        report = verified(reader)
        reader.close()
        assert report.finding is None
        disk.unregister()
        if failing.seen < n:
            break
    assert sealed > 5


async def test_a_signed_log_survives_a_cut_between_signing_and_keeping_the_checkpoint(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    log = await opened(SqliteLedger(tmp_path / "audit.db"), signer)
    await write_call(log, "c0")
    await log.aclose()
    with apsw.Connection(str(tmp_path / "audit.db")) as database:
        database.execute("DELETE FROM checkpoint")
    database.close()

    again = await opened(SqliteLedger(tmp_path / "audit.db"), signer_in(tmp_path))
    await again.aclose()
    reader = SqliteReader(tmp_path / "audit.db")
    assert verified(reader, vkey=signer.vkey, mark=signer_in(tmp_path).mark).finding is None
    reader.close()
