"""The writer thread: takes what waits, grows the tree, commits, reports.

One thread touches the ledger; the event loop only puts items into a queue and gets whole batches back.
Nothing here waits for more work than there is: while one commit is on its way to the disk, the next batch
gathers by itself.

The thread stops for good at the first fault. It never retries.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple

import msgspec

from douane.audit.checkpoint import Mark, Signer, body
from douane.audit.errors import AuditSealed
from douane.audit.payload import NO_PAYLOAD, packed_entries
from douane.audit.tree import Frontier
from douane.stores.failpoint import ARMED, failpoint
from douane.stores.ports import AlreadyThere, Bundle, Ledger, Row, StoredCheckpoint

_IDLE_S = 0.25
_HOUR_S = 3600
_SPACE_CHECK_S = 1.0


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    max_pending: int = 8192
    """Intents beyond this are refused at once; outcomes, of which there is at most one per intent, at twice
    as many."""
    max_pending_bytes: int = 64 << 20
    max_batch_leaves: int = 256
    max_batch_bytes: int = 4 << 20
    degraded_after_s: float = 0.5
    sealed_after_s: float = 2.0
    """Denials come within half a second more. *Precedent:* Vault waits for ever, and so do its users."""
    min_free_bytes: int = 256 << 20
    """Room for what is under way, and for whoever has to clean up."""
    checkpoint_every_s: float = 1.0


class Item(msgspec.Struct, gc=False):
    """A leaf on its way."""

    future: asyncio.Future[int] | None
    raw: bytes
    at_ns: int
    call: str
    does: Literal["opens", "closes", ""]
    """To its call."""
    payload: bytes | None
    """As it is stored."""
    also: tuple[Row, ...]


class Reports(NamedTuple):
    """How the thread tells the loop; each is called in the writer thread."""

    done: Callable[[list[Item], int, float], None]
    """Batch, index of its first leaf, seconds the commit took."""
    refused: Callable[[Item, Exception], None]
    space: Callable[[bool], None]
    broken: Callable[[Exception], None]


class Writer:
    def __init__(
        self,
        ledger: Ledger,
        *,
        origin: str,
        frontier: Frontier,
        open_intents: dict[str, int],
        signer: Signer | None,
        settings: AuditSettings,
        reports: Reports,
    ) -> None:
        self.open_intents = open_intents
        """Call id → index of its intent. Written by the thread alone; the loop may ask whether a call is in
        it."""
        self._ledger = ledger
        self._origin = origin
        self._frontier = frontier
        self._signer = signer
        self._settings = settings
        self._reports = reports
        self._pending: deque[Item] = deque()
        self._taken: list[Item] = []
        self._taking = threading.Lock()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._woken = False
        self._closing = False
        self._halted = False
        self._low = False
        self._space_checked_s = float("-inf")
        self._signed_size = frontier.size
        self._sign_at_s = 0.0
        self._replaceable: tuple[int, int] | None = None
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)

    @property
    def size(self) -> int:
        return self._frontier.size

    # From the loop.

    def start(self) -> None:
        self._thread.start()

    def put(self, item: Item) -> None:
        self._pending.append(item)
        if not self._woken:
            self._woken = True
            self._wake.put(None)

    def close(self) -> None:
        """Commit what waits, sign, close the ledger, end. Returns at once."""
        self._closing = True
        self._wake.put(None)

    def halt(self) -> list[Item]:
        """Take nothing more, and give back what was not seen to be committed. A commit under way may still
        succeed."""
        with self._taking:
            self._halted = True
            waiting = [*self._taken, *self._pending]
        self._wake.put(None)
        return waiting

    def join(self, timeout_s: float) -> bool:
        """Whether the thread ended. Blocks."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # In the thread.

    def _run(self) -> None:
        try:
            self._work()
            if not self._halted:
                self._sign()
        except Exception as fault:
            self._halted = True
            self._reports.broken(fault)
        finally:
            self._ledger.close()

    def _work(self) -> None:
        while not self._halted:
            batch = self._take()
            if batch:
                self._commit(batch)
            elif self._closing:
                return
            else:
                self._wait()
            if time.monotonic() >= self._sign_at_s:
                self._sign()

    def _wait(self) -> None:
        if self._frontier.size != self._signed_size:
            timeout_s = min(_IDLE_S, max(0.0, self._sign_at_s - time.monotonic()))
        else:
            timeout_s = _SPACE_CHECK_S if self._low else None
        try:
            self._wake.get(timeout=timeout_s)
        except Empty:
            self._ledger.tidy(idle=True)
            self._check_space()
        self._woken = False

    def _take(self) -> list[Item]:
        pending = self._pending
        with self._taking:
            if self._halted:
                return []
            batch = [pending.popleft() for _ in range(min(len(pending), self._settings.max_batch_leaves))]
            sizes = [len(item.payload) for item in batch if item.payload is not None]
            if sum(sizes) > self._settings.max_batch_bytes:
                self._put_back(batch)
            self._taken = batch
        return batch

    def _put_back(self, batch: list[Item]) -> None:
        """Leave in `batch` what just reaches its limit of bytes."""
        size = 0
        for at, item in enumerate(batch):
            size += len(item.payload or b"")
            if size > self._settings.max_batch_bytes and at:
                self._pending.extendleft(reversed(batch[at:]))
                del batch[at:]
                return

    def _commit(self, batch: list[Item]) -> None:
        self._check_space()
        if self._low:
            batch = self._only_closing(batch)
        while batch:
            started_s = time.monotonic()
            frontier, opened, bundle = self._bundle(batch)
            also = [row for item in batch for row in item.also]
            if ARMED:
                failpoint("audit.before_commit")
            try:
                self._ledger.append(bundle, also)
            except AlreadyThere as refusal:
                batch = self._without(refusal, batch)
                continue
            if ARMED:
                failpoint("audit.after_commit")
                failpoint("audit.before_ack")
            self._frontier, self.open_intents = frontier, opened
            self._reports.done(batch, bundle.first, time.monotonic() - started_s)
            if ARMED:
                failpoint("audit.after_ack")
            break
        self._taken = []
        self._ledger.tidy(idle=False)

    def _bundle(self, batch: list[Item]) -> tuple[Frontier, dict[str, int], Bundle]:
        first = self._frontier.size
        leaves = [item.raw for item in batch]
        hashes = [sha256(b"\0" + leaf).digest() for leaf in leaves]
        frontier = self._frontier.copy()
        frontier.extend(hashes)
        # Only a row that must be new can send this bundle back, so only then the old state is kept.
        opened = dict(self.open_intents) if any(item.also for item in batch) else self.open_intents
        for index, item in enumerate(batch, first):
            if item.does == "opens":
                opened[item.call] = index
            elif item.does == "closes":
                opened.pop(item.call, None)
        payloads = [item.payload or NO_PAYLOAD for item in batch]
        bundle = Bundle(
            first,
            len(batch),
            batch[-1].at_ns,
            next(iter(opened.values()), frontier.size),
            frontier.root(),
            packed_entries(leaves),
            b"".join(hashes),
            b"".join(payloads) if any(item.payload for item in batch) else None,
        )
        return frontier, opened, bundle

    def _without(self, refusal: AlreadyThere, batch: list[Item]) -> list[Item]:
        at = next(at for at, item in enumerate(batch) if refusal.row in item.also)
        # The last of several in one batch: the first of them was there first.
        for later in range(at + 1, len(batch)):
            if refusal.row in batch[later].also:
                at = later
        self._reports.refused(batch[at], refusal)
        return batch[:at] + batch[at + 1 :]

    def _only_closing(self, batch: list[Item]) -> list[Item]:
        """On a nearly full disk the outcomes of what already left are still written."""
        kept = [item for item in batch if item.does == "closes" and item.call in self.open_intents]
        others = [item for item in batch if not (item.does == "closes" and item.call in self.open_intents)]
        for item in others:
            self._reports.refused(item, AuditSealed(LOW_SPACE))
        return kept

    def _check_space(self) -> None:
        now_s = time.monotonic()
        if now_s - self._space_checked_s < _SPACE_CHECK_S:
            return
        self._space_checked_s = now_s
        free = self._ledger.free_bytes()
        low = free is not None and free < self._settings.min_free_bytes
        if low != self._low:
            self._low = low
            self._reports.space(low)

    def _sign(self) -> None:
        """Keep a checkpoint of what is committed, if there is more than last time."""
        now_s = time.monotonic()
        self._sign_at_s = now_s + self._settings.checkpoint_every_s
        mark = Mark(self._frontier.size, self._frontier.root())
        if mark.size == self._signed_size:
            return
        note = self._signer.sign(mark) if self._signer else body(self._origin, mark)
        hour = int(now_s) // _HOUR_S
        # One per hour stays: each second's would be 50 MB a day, and only the newest is asked for.
        instead_of = self._replaceable[0] if self._replaceable and self._replaceable[1] == hour else None
        self._ledger.save_checkpoint(StoredCheckpoint(mark.size, note, self._frontier.to_bytes()), instead_of)
        self._replaceable = (mark.size, hour)
        self._signed_size = mark.size


LOW_SPACE = "the disk of the audit is nearly full: free some space, calls resume by themselves"
