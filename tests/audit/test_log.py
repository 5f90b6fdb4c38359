"""What writing promises, and what it refuses."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from douane.audit.checkpoint import Mark, Verifier
from douane.audit.entry import Denied, Epoch, Intent, Outcome
from douane.audit.errors import AuditBusy, AuditError, AuditSealed, LeafRefused, RollbackDetected
from douane.audit.read import entries, follow, last_index
from douane.audit.writer import AuditSettings
from douane.stores.memory import MemoryLedger
from douane.stores.ports import AlreadyThere, Bundle, Row, StoreFailed
from douane.stores.sqlite import SqliteLedger, SqliteReader

from .kit import ORIGIN, ROOMY, calls_in, intent, opened, outcome, signer_in, verified, write_call


class HeldLedger(MemoryLedger):
    """Commits wait while the gate is closed: a disk that hangs in fsync."""

    instant = False

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def append(self, bundle: Bundle, also: Sequence[Row] = ()) -> None:
        self.entered.set()
        assert self.gate.wait(10)
        super().append(bundle, also)


async def test_a_call_is_two_leaves_with_their_payloads(tmp_path: Path) -> None:
    log = await opened(SqliteLedger(tmp_path / "audit.db"))
    first = await log.write(intent("c1"), b"asked")
    second = await log.write(outcome("c1"), b"answered")
    await log.aclose()

    reader = SqliteReader(tmp_path / "audit.db")
    found = list(entries(reader))
    assert [first, second] == [1, 2]
    assert last_index(reader) == 2
    assert isinstance(found[0].leaf, Epoch)
    asked, answered = found[1].leaf, found[2].leaf
    assert isinstance(asked, Intent)
    assert isinstance(answered, Outcome)
    assert (asked.v, asked.log, asked.args_n, answered.res_n) == (2, ORIGIN, 5, 8)
    assert (found[1].payload, found[2].payload) == (b"asked", b"answered")
    assert verified(reader).finding is None
    reader.close()


async def test_who_came_with_a_leaf_that_was_refused_is_still_named_by_the_leaves_after_it(tmp_path: Path) -> None:
    log = await opened(SqliteLedger(tmp_path / "audit.db"))
    for subject in ("mallory", "eve"):
        too_long = Intent(call=f"{subject}1", actor=log.actor(subject), tool="x" * 70_000)
        results = [log.write(too_long), log.write(Intent(call=f"{subject}2", actor=log.actor(subject)))]
        refused, written = await asyncio.gather(*results, return_exceptions=True)
        assert (type(refused), type(written)) == (LeafRefused, int)
    with pytest.raises(LeafRefused):
        await log.write(Intent(call="c1", actor=log.actor("bob"), tool="x" * 70_000))
    await log.write(Intent(call="c2", actor=log.actor("bob")))
    names = {subject: log.actor(subject) for subject in ("mallory", "eve", "bob")}
    await log.aclose()

    reader = SqliteReader(tmp_path / "audit.db")
    assert {subject: reader.subject(name) for subject, name in names.items()} == {name: name for name in names}
    reader.close()


async def test_when_a_batch_cannot_be_made_all_who_wait_for_it_are_refused(tmp_path: Path) -> None:
    log = await opened(SqliteLedger(tmp_path / "audit.db"))
    odd: Any = "no bytes"
    waiting = [log.write(intent("c1"), b"asked"), log.write(intent("c2"), odd), log.write(intent("c3"))]
    async with asyncio.timeout(5):
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [AuditSealed] * 3
    assert (log.state, log.pending) == ("sealed", 0)
    await log.aclose()


class BreakingLedger(MemoryLedger):
    broken = False

    def append(self, bundle: Bundle, also: Sequence[Row] = ()) -> None:
        if self.broken:
            raise StoreFailed("broken")
        super().append(bundle, also)


async def test_an_instant_ledger_that_breaks_before_a_leaf_that_must_wait_refuses_it() -> None:
    ledger = BreakingLedger()
    log = await opened(ledger)
    log.take(intent("c1"))
    ledger.broken = True
    # The row makes its leaf one that waits, and what was gathered before it is committed first.
    log.actor("bob")
    with pytest.raises(AuditSealed):
        log.take(intent("c2"))
    await log.aclose()


async def test_leaves_keep_the_order_they_were_written_in_and_share_commits() -> None:
    ledger = HeldLedger()
    log = await opened(ledger)
    ledger.gate.clear()
    ledger.entered.clear()
    written = [log.write(intent("c0"))]
    await asyncio.to_thread(ledger.entered.wait, 5)
    written += [log.write(intent(f"c{n}")) for n in range(1, 300)]
    ledger.gate.set()
    assert await asyncio.gather(*written) == list(range(1, 301))
    assert [bundle.n for bundle in ledger.bundles()] == [1, 1, 256, 43]
    assert (log.leaves, log.commits, log.pending) == (301, 4, 0)
    await log.aclose()


async def test_an_instant_ledger_answers_at_once_commits_in_large_batches_and_needs_no_thread() -> None:
    ledger = MemoryLedger()
    log = await opened(ledger)
    assert [log.take(intent(f"c{n}"), b"x") for n in range(300)] == list(range(1, 301))
    assert log.size == 301
    assert "audit-committer" not in {thread.name for thread in threading.enumerate()}
    await log.aclose()
    assert [bundle.n for bundle in ledger.bundles()] == [256, 45]
    assert verified(ledger, live=True).finding is None


async def test_what_an_instant_ledger_was_given_is_in_it_after_a_twentieth_of_a_second() -> None:
    class Telling(MemoryLedger):
        appended = asyncio.Event()

        def append(self, bundle: Bundle, also: Sequence[Row] = ()) -> None:
            super().append(bundle, also)
            self.appended.set()

    ledger = Telling()
    log = await opened(ledger)
    log.take(intent("c1"))
    await asyncio.wait_for(ledger.appended.wait(), 5)
    assert (sum(bundle.n for bundle in ledger.bundles()), log.pending) == (2, 0)
    await log.aclose()


async def test_a_batch_ends_at_its_bytes_too() -> None:
    ledger = HeldLedger()
    log = await opened(ledger, settings=msgspec.structs.replace(ROOMY, max_batch_bytes=1300))
    ledger.gate.clear()
    ledger.entered.clear()
    written = [log.write(intent("c0"))]
    await asyncio.to_thread(ledger.entered.wait, 5)
    written += [log.write(intent(f"c{n}"), b"x" * 600) for n in range(1, 5)]
    ledger.gate.set()
    await asyncio.gather(*written)
    assert [bundle.n for bundle in ledger.bundles()] == [1, 1, 2, 2]
    await log.aclose()


async def test_time_is_that_of_the_argument() -> None:
    ledger = MemoryLedger()
    from douane.audit.log import AuditLog

    log = await AuditLog.open(
        ledger, signer=None, origin=ORIGIN, actor_key=b"k" * 32, now_ns=lambda: 1_795_248_000_007_999_999
    )
    await log.aclose()
    leaf = next(entries(ledger)).leaf
    assert leaf is not None
    assert leaf.t == "2026-11-21T08:00:00.007Z"
    assert verified(ledger).finding is None


async def test_people_are_pseudonyms_and_the_mapping_lies_beside_the_log() -> None:
    ledger = MemoryLedger()
    log = await opened(ledger)
    alice = log.actor("alice@example.org")
    await log.write(Intent(call="c1", actor=alice))
    await log.write(Outcome(call="c1", status="ok"))
    assert log.actor("alice@example.org") == alice != log.actor("bob@example.org")
    await log.aclose()
    assert ledger.subject(alice) == "alice@example.org"
    assert all(b"alice" not in bundle.entries for bundle in ledger.bundles())


async def test_a_leaf_that_can_never_be_written_is_refused_and_harms_no_other() -> None:
    ledger = HeldLedger()
    log = await opened(ledger)
    for bad in (Intent(call="x" * 70_000), Intent(call="\udc00")):
        with pytest.raises(LeafRefused):
            await log.write(bad, b"payload")
    mixed = log.write(intent("c0")), log.write(Denied(reason="no token"), b"payload"), log.write(outcome("c0"))
    results = await asyncio.gather(*mixed, return_exceptions=True)
    assert [type(result) for result in results] == [int, LeafRefused, int]
    assert "no payload" in str(results[1])
    await write_call(log, "c1")
    await log.write(Denied(reason="no token", count=3))
    await log.aclose()
    assert verified(ledger).finding is None


async def test_a_row_that_must_be_new_refuses_its_leaf_and_no_other() -> None:
    ledger = HeldLedger()
    log = await opened(ledger)
    token = (Row("spent", ("approval-1",), must_be_new=True),)
    ledger.gate.clear()
    ledger.entered.clear()
    first = log.write(intent("c0"))
    await asyncio.to_thread(ledger.entered.wait, 5)
    race = [log.write(intent(f"c{n}"), b"x", also=token) for n in range(1, 4)]
    bystander = log.write(intent("c9"))
    ledger.gate.set()
    results = await asyncio.gather(*race, return_exceptions=True)
    assert [type(result) for result in results] == [int, AlreadyThere, AlreadyThere]
    assert [await first, results[0], await bystander] == [1, 2, 3]
    with pytest.raises(AlreadyThere):
        await log.write(intent("c10"), also=token)
    assert log.pending == 0
    await log.aclose()
    assert verified(ledger, live=True).finding is None
    assert verified(ledger, live=True).open_intents == 3


async def test_a_row_that_must_be_new_refuses_its_leaf_and_no_other_at_once_too() -> None:
    ledger = MemoryLedger()
    log = await opened(ledger)
    token = (Row("spent", ("approval-1",), must_be_new=True),)
    race = [log.write(intent(f"c{n}"), b"x", also=token) for n in range(3)]
    bystander = log.write(intent("c9"))
    results = await asyncio.gather(*race, return_exceptions=True)
    assert [type(result) for result in results] == [int, AlreadyThere, AlreadyThere]
    assert [results[0], await bystander] == [1, 2]
    await log.aclose()
    assert verified(ledger, live=True).open_intents == 2


async def test_a_cancelled_writer_leaves_the_others_and_its_leaf_alone() -> None:
    ledger = HeldLedger()
    log = await opened(ledger)
    ledger.gate.clear()
    cancelled, other = log.write(intent("c1")), log.write(intent("c2"))
    cancelled.cancel()
    log.enqueue(Outcome(call="c1", status="cancelled"))
    ledger.gate.set()
    assert await other == 2
    await log.aclose()
    assert ("outcome", "c1") in set(calls_in(ledger))


# Refusing.


async def test_a_full_queue_refuses_at_once_but_not_the_outcome_of_what_was_sent() -> None:
    ledger = HeldLedger()
    log = await opened(ledger, settings=msgspec.structs.replace(ROOMY, max_pending=10))
    await log.write(intent("sent"))
    ledger.gate.clear()
    waiting = [log.write(intent(f"c{n}")) for n in range(10)]
    with pytest.raises(AuditBusy, match="10 audit leaves wait"):
        log.write(intent("c11"))
    waiting.append(log.write(outcome("sent")))
    ledger.gate.set()
    await asyncio.gather(*waiting)
    await log.write(intent("c12"))
    await log.aclose()


async def test_the_bytes_that_wait_are_bounded_too() -> None:
    ledger = HeldLedger()
    log = await opened(ledger, settings=msgspec.structs.replace(ROOMY, max_pending_bytes=1000))
    ledger.gate.clear()
    waiting = [log.write(intent("c1"), b"x" * 5000)]
    with pytest.raises(AuditBusy, match="bytes of payloads"):
        log.write(intent("c2"), b"x")
    waiting.append(log.write(intent("c3")))
    ledger.gate.set()
    await asyncio.gather(*waiting)
    await log.write(intent("c2"), b"x")
    await log.aclose()


async def test_a_disk_that_hangs_is_denied_within_two_and_a_half_seconds() -> None:
    ledger = HeldLedger()
    log = await opened(ledger)
    ledger.gate.clear()
    started = time.monotonic()
    results = await asyncio.wait_for(
        asyncio.gather(*[log.write(intent(f"c{n}"), b"x") for n in range(300)], return_exceptions=True), 5
    )
    assert time.monotonic() - started <= 2.5
    assert {type(result) for result in results} == {AuditSealed}
    assert (log.state, log.pending) == ("sealed", 0)
    started = time.monotonic()
    with pytest.raises(AuditSealed, match="disk hangs"):
        log.write(intent("later"))
    assert time.monotonic() - started < 0.1
    assert not log.lost.done(), "the writer still hangs"
    ledger.gate.set()
    assert "disk hangs" in await asyncio.wait_for(log.lost, 5)
    await log.aclose()
    assert log.size <= 257, "nothing but the commit under way was written after the denial"


async def test_closing_does_not_wait_for_a_disk_that_hangs() -> None:
    ledger = HeldLedger()
    log = await opened(ledger, settings=msgspec.structs.replace(ROOMY, sealed_after_s=0.3))
    ledger.gate.clear()
    waiting = log.write(intent("c1"))
    await asyncio.wait_for(log.aclose(), 3)
    with pytest.raises(AuditSealed):
        await waiting
    ledger.gate.set()
    assert await log._writer.ended(5)  # pyright: ignore[reportPrivateUsage]


async def test_a_slow_commit_degrades_and_a_quick_one_mends() -> None:
    ledger = HeldLedger()
    log = await opened(ledger, settings=msgspec.structs.replace(ROOMY, degraded_after_s=0.05))
    ledger.gate.clear()
    slow = log.write(intent("c1"))
    asyncio.get_running_loop().call_later(0.1, ledger.gate.set)
    await slow
    assert log.state == "degraded"
    assert log.reason is not None
    await log.write(outcome("c1"))
    assert (log.state, log.reason) == ("open", None)
    await log.aclose()
    assert not log.lost.done()


async def test_a_leaf_given_to_a_ledger_in_memory_after_a_long_rest_has_not_waited_for_long() -> None:
    log = await opened(MemoryLedger())
    await write_call(log, "c0")
    log._writer.flush()
    log._writer.waiting_since_s -= 3600.0  # an hour later
    log.take(intent("c1"))
    log._watch()
    assert (log.state, log.pending) == ("open", 1)
    await log.aclose()


async def test_a_leaf_that_an_instant_ledger_cannot_take_seals_the_log() -> None:
    log = await opened(MemoryLedger())
    log.take(Intent(call="x" * 70_000))
    for n in range(ROOMY.max_batch_leaves - 2):
        log.take(intent(f"c{n}"))
    with pytest.raises(AuditSealed, match="shorten the names"):
        log.take(intent("last"))
    await log.aclose()


async def test_an_error_of_the_store_seals_for_good() -> None:
    class Broken(MemoryLedger):
        instant = False
        broken = False

        def append(self, bundle: Bundle, also: Sequence[Row] = ()) -> None:
            if self.broken:
                raise StoreFailed("audit.db: IOError: disk I/O error")
            super().append(bundle, also)

    ledger = Broken()
    log = await opened(ledger)
    ledger.broken = True
    with pytest.raises(AuditSealed, match="disk I/O error"):
        await log.write(intent("c1"))
    ledger.broken = False
    with pytest.raises(AuditSealed):
        log.write(intent("c2"))
    assert await asyncio.wait_for(log.lost, 5) == log.reason
    await log.aclose()
    assert log.size == 1


class SmallDisk(MemoryLedger):
    instant = False
    free: int = 1 << 40

    def free_bytes(self) -> int | None:
        return self.free


async def test_little_space_refuses_calls_but_not_the_outcomes_of_those_sent_and_lifts_by_itself() -> None:
    ledger = SmallDisk()
    log = await opened(ledger, settings=AuditSettings())
    await log.write(intent("sent"))
    ledger.free = 1 << 20
    async with asyncio.timeout(5):
        while log.state != "sealed":
            try:
                await write_call(log, f"c{log.leaves}")
            except AuditSealed as refused:
                assert "nearly full" in str(refused)  # noqa: PT017
    await log.write(outcome("sent"))
    with pytest.raises(AuditSealed):
        log.write(Outcome(call="refused", status="refused"))
    ledger.free = 1 << 40
    async with asyncio.timeout(5):
        async for entry in follow(ledger, 1, poll_s=0.02):
            if isinstance(entry.leaf, Epoch):
                break
    assert log.state == "open"
    await write_call(log, "again")
    await log.aclose()
    assert verified(ledger, live=True).finding is None


async def test_a_batch_that_finds_the_disk_full_writes_what_closes_and_refuses_the_rest() -> None:
    ledger = SmallDisk()
    log = await opened(ledger, settings=AuditSettings())
    await log.write(intent("sent"))
    ledger.free = 1 << 20
    async with asyncio.timeout(5):
        while log.state != "sealed":
            kept, n = list(calls_in(ledger)), log.commits
            log.enqueue(outcome(f"refused{n}"))
            results = await asyncio.gather(
                log.write(intent(f"new{n}")), log.write(outcome(f"new{n}")), return_exceptions=True
            )
    assert {type(result) for result in results} == {AuditSealed}
    assert list(calls_in(ledger)) == kept
    await log.write(outcome("sent"))
    ledger.free = 1 << 40
    await log.aclose()
    assert verified(ledger, live=True).finding is None


async def test_a_signature_that_cannot_be_kept_seals_the_log_of_an_instant_ledger(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    log = await opened(MemoryLedger(), signer, msgspec.structs.replace(ROOMY, checkpoint_every_s=0.01))
    signer.mark = Mark(1000, b"r" * 32)

    async def write_until_refused() -> None:
        for n in range(1 << 30):
            await write_call(log, f"c{n}")
            await asyncio.sleep(0.001)

    with pytest.raises(AuditSealed, match="1000 leaves were signed"):
        await asyncio.wait_for(write_until_refused(), 5)
    assert log.state == "sealed"
    await log.aclose()


async def test_a_closed_log_refuses_and_closing_again_is_harmless() -> None:
    log = await opened(MemoryLedger())
    await log.aclose()
    await log.aclose()
    with pytest.raises(AuditSealed, match="closed"):
        log.write(intent("c1"))


# Opening again.


async def test_what_a_crash_left_open_is_closed_as_unknown(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    log = await opened(ledger)
    await log.write(intent("lost"))
    await write_call(log, "done")
    await log.write(intent("lost too"))
    await log.aclose()
    assert verified(ledger, live=True).open_intents == 2

    again = await opened(ledger)
    await again.aclose()
    report = verified(ledger)
    assert (report.open_intents, report.finding) == (0, None)
    last = [entry.leaf for entry in entries(ledger, 5)]
    assert [(leaf.call, leaf.status, leaf.cause) for leaf in last[:2] if isinstance(leaf, Outcome)] == [
        ("lost", "unknown", "crash"),
        ("lost too", "unknown", "crash"),
    ]
    epoch = last[2]
    assert isinstance(epoch, Epoch)
    assert (epoch.closed, epoch.size, epoch.note) == (2, 5, "recovered")


async def test_more_open_intents_than_a_batch_are_all_closed() -> None:
    ledger = MemoryLedger()
    log = await opened(ledger)
    await asyncio.gather(*[log.write(intent(f"c{n}")) for n in range(700)])
    await log.aclose()
    await (await opened(ledger)).aclose()
    report = verified(ledger)
    assert (report.leaves, report.finding) == (1402, None)


async def test_every_checkpoint_is_signed_and_the_last_tells_of_all_leaves(tmp_path: Path) -> None:
    ledger, signer = MemoryLedger(), signer_in(tmp_path)
    log = await opened(ledger, signer)
    for n in range(5):
        await write_call(log, f"c{n}")
    await log.aclose()
    stored = ledger.last_checkpoint()
    assert stored is not None
    assert Verifier(signer.vkey).checked(stored.note).size == 11 == log.size
    report = verified(ledger, vkey=signer.vkey, mark=signer.mark)
    assert (report.finding, report.leaves) == (None, 11)


async def test_an_old_copy_is_not_opened(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    log = await opened(ledger, signer_in(tmp_path))
    await write_call(log, "c1")
    await log.aclose()
    kept = [list(ledger.bundles()), list(ledger.checkpoints())]
    log = await opened(ledger, signer_in(tmp_path))
    await write_call(log, "c2")
    await log.aclose()

    restored = MemoryLedger()
    for bundle in kept[0]:
        restored.append(bundle)  # type: ignore[arg-type]
    for checkpoint in kept[1]:
        restored.save_checkpoint(checkpoint)  # type: ignore[arg-type]
    with pytest.raises(RollbackDetected, match="cut, or an old copy restored"):
        await opened(restored, signer_in(tmp_path))


async def test_another_history_of_the_same_length_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    ours = await opened(MemoryLedger(), signer_in(tmp_path / "ours"))
    await write_call(ours, "ours")
    await ours.aclose()
    forged = MemoryLedger()
    theirs = await opened(forged)
    await write_call(theirs, "theirs")
    await theirs.aclose()
    forged._checkpoints.clear()  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(RollbackDetected, match="not those that were signed"):
        await opened(forged, signer_in(tmp_path / "ours"))


async def test_a_key_of_another_log_is_refused(tmp_path: Path) -> None:
    from douane.audit.log import AuditLog

    with pytest.raises(AuditError, match="is of the log"):
        await AuditLog.open(MemoryLedger(), signer=signer_in(tmp_path), origin="other", actor_key=b"k" * 32)


async def test_a_follower_sees_each_leaf_once_and_in_order(tmp_path: Path) -> None:
    log = await opened(SqliteLedger(tmp_path / "audit.db"))
    reader = SqliteReader(tmp_path / "audit.db")
    seen: list[int] = []

    async def look() -> None:
        async for entry in follow(reader, poll_s=0.01):
            seen.append(entry.index)
            if len(seen) == 41:
                return

    following = asyncio.create_task(look())
    for n in range(20):
        await write_call(log, f"c{n}")
    await asyncio.wait_for(following, 5)
    assert seen == list(range(41))
    reader.close()
    await log.aclose()
