"""The writer: gathers leaves, packs them into a batch, has it committed, tells who waits.

All of it happens on the event loop, and one batch is under way at a time: while it is on its way to the disk, the
next gathers by itself. Leaves that come while nothing is under way wait for the end of this turn of the loop, so
that those written in one turn share a commit.

A ledger that is `instant` spares nothing when the process ends, so a leaf is as safe gathered as committed: who wrote
it is answered at once, and batches are large.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, ParamSpec

import msgspec

from douane.audit.batch import Batch, Item, Stamp, claimant, fitting, packed, weight
from douane.audit.checkpoint import Signer
from douane.audit.commit import Committer, InstantCommitter, Reports, ThreadCommitter
from douane.audit.entry import Leaf
from douane.audit.errors import AuditSealed
from douane.audit.recover import Recovered
from douane.audit.signing import Signing
from douane.stores.failpoint import ARMED, failpoint
from douane.stores.ports import AlreadyThere, Ledger, Row

P = ParamSpec("P")

_LINGER_S = 0.05
"""How long a leaf may stay out of a ledger in memory."""
LOW_SPACE = "the disk of the audit is nearly full: free some space, calls resume by themselves"


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


class Told(NamedTuple):
    """Whom the writer tells what concerns the log as a whole."""

    committed: Callable[[int, float], None]
    """Leaves, and the seconds they took."""
    space: Callable[[bool], None]
    broken: Callable[[Exception], None]


class Writer:
    def __init__(
        self,
        ledger: Ledger,
        found: Recovered,
        *,
        origin: str,
        signer: Signer | None,
        settings: AuditSettings,
        told: Told,
    ) -> None:
        self.pending = 0
        self.pending_bytes = 0
        """Of payload records."""
        self.waiting_since_s = 0.0
        """In the loop's time: when what waits began to, or last saw something committed."""
        self._settings = settings
        self._max_batch_leaves, self._max_batch_bytes = settings.max_batch_leaves, settings.max_batch_bytes
        self._told = told
        self._stamp = Stamp(origin)
        self._frontier = found.frontier
        self._open_intents = dict(found.open_intents)
        self._gathered: list[Item] = []
        self._orphans: list[Row] = []
        """Rows that came with a leaf that was refused, and are owed to the leaves after it."""
        self._lingers = ledger.instant
        self._linger: asyncio.TimerHandle | None = None
        self._under_way: Batch | None = None
        self._low = False
        self._closing = False
        self._halted = ""
        """Why nothing more is taken."""
        self._loop = asyncio.get_running_loop()
        signing = Signing(ledger, signer, origin, found.frontier.size, settings.checkpoint_every_s)
        self._committer: Committer
        if ledger.instant:
            self._committer = InstantCommitter(
                ledger, signing, found.frontier, Reports(self._committed, self._returned, self._space, told.broken)
            )
        else:
            reports = Reports(
                self._then_go_on(self._committed),
                self._then_go_on(self._returned),
                self._then_go_on(self._space),
                told.broken,
            )
            self._committer = ThreadCommitter(ledger, signing, found.frontier, settings.min_free_bytes, reports)

    @property
    def size(self) -> int:
        """Leaves that are as safe as they will be."""
        return self._frontier.size + (len(self._gathered) if self._lingers else 0)

    def is_open(self, call: str) -> bool:
        """Whether `call` has an intent, committed or under way, and no outcome."""
        self.flush()
        return call in self._open_intents or (self._under_way is not None and call in self._under_way.opened)

    def take(
        self, leaf: Leaf, payload: bytes | None, keep: bool, at_ms: int, rows: tuple[Row, ...], size: int
    ) -> int | asyncio.Future[int]:
        """A leaf: its index, if it need not wait; else a future of it. `size` is the payload's."""
        if rows or not self._lingers:
            return self._wait_for((self._loop.create_future(), leaf, payload, keep, at_ms, rows))
        gathered = self._gathered
        index = self._frontier.size + len(gathered)
        gathered.append((None, leaf, payload, keep, at_ms, rows))
        self.pending = count = len(gathered)
        self.pending_bytes += size
        if count >= self._max_batch_leaves or self.pending_bytes > self._max_batch_bytes:
            self._go_on()
        elif self._linger is None:
            self.waiting_since_s = self._loop.time()
            self._linger = self._loop.call_later(_LINGER_S, self.flush)
        return index

    def _wait_for(self, item: Item) -> asyncio.Future[int]:
        # A row may have been there already: then its leaf alone is refused, and nothing before or after it.
        self.flush()
        if self._halted:
            raise AuditSealed(self._halted)
        if not self.pending:
            self.waiting_since_s = self._loop.time()
            if not self._lingers:
                self._loop.call_soon(self._go_on)
        self.pending += 1
        self.pending_bytes += weight(item)
        self._gathered.append(item)
        self.flush()
        future = item[0]
        assert future is not None
        return future

    def flush(self) -> None:
        """Commit what lingers; for whoever looks into the ledger."""
        if self._lingers:
            self._go_on()

    def close(self) -> None:
        """Commit what waits, sign, close the ledger, end. Returns at once."""
        self._closing = True
        self._go_on()

    def halt(self, reason: str) -> None:
        """Take nothing more, and refuse what was not seen to be committed. A commit under way may still
        succeed."""
        self._halted = reason
        waiting = [*(self._under_way.items if self._under_way else ()), *self._gathered]
        self._gathered.clear()
        for item in waiting:
            self._refuse(item, AuditSealed(reason))
        self._committer.end(sign=False)

    async def ended(self, timeout_s: float) -> bool:
        return await self._committer.ended(timeout_s)

    @property
    def gone(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._committer.gone

    def _go_on(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        try:
            while self._gathered and self._under_way is None:
                if self._low:
                    self._refuse_all_but_closing()
                else:
                    self._hand_over()
        except Exception as fault:
            self._told.broken(fault)
        if self._closing and self._under_way is None and not self._halted:
            self._committer.end(sign=True)

    def _then_go_on(self, step: Callable[P, None]) -> Callable[P, None]:
        def both(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                step(*args, **kwargs)
            except Exception as fault:
                self._told.broken(fault)
            self._go_on()

        return both

    def _hand_over(self) -> None:
        settings = self._settings
        items = self._gathered
        if len(items) > settings.max_batch_leaves or self.pending_bytes > settings.max_batch_bytes:
            end = fitting(items, settings.max_batch_leaves, settings.max_batch_bytes)
            items, self._gathered = items[:end], items[end:]
            size = sum(map(weight, items))
        else:
            self._gathered = []
            size = self.pending_bytes
        try:
            self._commit(items, size)
        except Exception:
            if self._under_way is None:
                # Whoever waits for one of them is refused with the rest (`halt`), and not forgotten.
                self._gathered[:0] = items
            raise

    def _commit(self, items: list[Item], size: int) -> None:
        stamped = self._stamp(items)
        for item, fault in stamped.refused:
            items.remove(item)
            size -= weight(item)
            self._refuse(item, fault)
            if item[0] is None:
                # Its call is on its way already.
                raise fault
        if items:
            if self._orphans:
                future, leaf, payload, keep, at_ms, rows = items[0]
                items[0] = (future, leaf, payload, keep, at_ms, (*rows, *self._orphans))
                self._orphans.clear()
            self._under_way = batch = packed(items, size, stamped, self._frontier, self._open_intents)
            self._committer.commit(batch)

    def _committed(self, took_s: float) -> None:
        if ARMED:
            failpoint("audit.before_ack")
        batch = self._under_way
        assert batch is not None
        self._frontier = batch.frontier
        for call in batch.closed:
            self._open_intents.pop(call, None)
        self._open_intents.update(batch.opened)
        if batch.items[0][0] is not None:
            # Where the first is waited for, all are: those of a ledger that is instant have had their answer.
            for index, (future, *_) in enumerate(batch.items, batch.bundle.first):
                if future is not None and not future.done():
                    future.set_result(index)
        self._under_way = None
        if not self._halted:
            self._left(len(batch.items), batch.payload_bytes)
        self._told.committed(len(batch.items), took_s)
        if ARMED:
            failpoint("audit.after_ack")

    def _returned(self, refusal: AlreadyThere | None) -> None:
        batch, self._under_way = self._under_way, None
        assert batch is not None
        if self._halted:
            return
        items = batch.items
        if refusal is not None:
            self._refuse(items.pop(claimant(items, refusal.row)), refusal)
        self._gathered[:0] = items

    def _space(self, low: bool) -> None:
        self._low = low
        self._told.space(low)

    def _refuse_all_but_closing(self) -> None:
        """On a nearly full disk the outcomes of what already left are still written."""
        items, self._gathered = self._gathered, []
        for item in items:
            leaf = item[1]
            if leaf.does == "closes" and self.is_open(leaf.call):
                self._gathered.append(item)
            else:
                self._refuse(item, AuditSealed(LOW_SPACE))
        if self._gathered:
            self._hand_over()

    def _refuse(self, item: Item, fault: Exception) -> None:
        future = item[0]
        if future is not None and not future.done():
            future.set_exception(fault)
        self._orphans += [row for row in item[5] if not row.must_be_new]
        self._left(1, weight(item))

    def _left(self, leaves: int, payload_bytes: int) -> None:
        self.pending -= leaves
        self.pending_bytes -= payload_bytes
        self.waiting_since_s = self._loop.time()
