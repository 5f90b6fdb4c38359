"""Committing: on a thread of its own, or at once where the ledger is instant.

The thread runs as little Python as there can be, because each line of it takes the interpreter from the event
loop: it waits, executes one statement, reports. Signing, housekeeping and the space that is left are seen to
once a second and when idle. It stops for good at the first fault, and never retries.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol, TypeVarTuple

from douane.audit.batch import Batch
from douane.audit.signing import Signing
from douane.audit.tree import Frontier
from douane.stores.failpoint import ARMED, failpoint
from douane.stores.ports import AlreadyThere, Ledger

Ts = TypeVarTuple("Ts")

_IDLE_S = 0.25
_SPACE_CHECK_S = 1.0


class Reports(NamedTuple):
    """What becomes of a batch, and of the ledger. Called on the loop."""

    committed: Callable[[float], None]
    """Seconds it took."""
    returned: Callable[[AlreadyThere | None], None]
    """Nothing was written: because of a row, or because space has become low."""
    space: Callable[[bool], None]
    """Whether there is little of it."""
    broken: Callable[[Exception], None]


class Committer(Protocol):
    """One batch at a time; each is answered by one report. Called from the loop."""

    def commit(self, batch: Batch) -> None: ...

    def end(self, *, sign: bool) -> None:
        """After what is under way: sign unless told not to, and release the ledger. Returns at once."""
        ...

    async def ended(self, timeout_s: float) -> bool: ...

    @property
    def gone(self) -> bool:
        """Whether it has ended: nothing of it runs, nothing is under way."""
        ...


def _append(ledger: Ledger, batch: Batch) -> None:
    if ARMED:
        failpoint("audit.before_commit")
    ledger.append(batch.bundle, batch.also)
    if ARMED:
        failpoint("audit.after_commit")


class ThreadCommitter:
    def __init__(
        self, ledger: Ledger, signing: Signing, frontier: Frontier, min_free_bytes: int, reports: Reports
    ) -> None:
        self._ledger = ledger
        self._signing = signing
        self._frontier = frontier
        self._min_free_bytes = min_free_bytes
        self._reports = reports
        self._loop = asyncio.get_running_loop()
        self._batches: SimpleQueue[Batch | None] = SimpleQueue()
        self._signs_at_end = True
        self._low = False
        self._space_check_due_s = 0.0
        self._thread = threading.Thread(target=self._run, name="audit-committer", daemon=True)
        self._thread.start()

    def commit(self, batch: Batch) -> None:
        self._batches.put(batch)

    def end(self, *, sign: bool) -> None:
        self._signs_at_end = self._signs_at_end and sign
        self._batches.put(None)

    async def ended(self, timeout_s: float) -> bool:
        await asyncio.to_thread(self._thread.join, timeout_s)
        return self.gone

    @property
    def gone(self) -> bool:
        return not self._thread.is_alive()

    # In the thread.

    def _run(self) -> None:
        try:
            while (batch := self._next()) is not None:
                self._commit(batch)
            if self._signs_at_end:
                self._signing.keep(self._frontier)
        except Exception as fault:
            self._report(self._reports.broken, fault)
        finally:
            self._ledger.close()

    def _next(self) -> Batch | None:
        while True:
            try:
                return self._batches.get(timeout=self._patience_s())
            except Empty:
                self._ledger.tidy(idle=True)
                now_s = time.monotonic()
                self._turned_low(now_s)
                self._sign_if_due(now_s)

    def _patience_s(self) -> float | None:
        if self._frontier.size != self._signing.signed_size:
            return _IDLE_S
        return _SPACE_CHECK_S if self._low else None

    def _commit(self, batch: Batch) -> None:
        started_s = time.monotonic()
        if self._turned_low(started_s):
            self._report(self._reports.returned, None)
            return
        try:
            _append(self._ledger, batch)
        except AlreadyThere as refusal:
            self._report(self._reports.returned, refusal)
            return
        now_s = time.monotonic()
        self._frontier = batch.frontier
        self._report(self._reports.committed, now_s - started_s)
        self._ledger.tidy(idle=False)
        self._sign_if_due(now_s)

    def _turned_low(self, now_s: float) -> bool:
        if now_s < self._space_check_due_s:
            return False
        self._space_check_due_s = now_s + _SPACE_CHECK_S
        free = self._ledger.free_bytes()
        was, self._low = self._low, free is not None and free < self._min_free_bytes
        if self._low != was:
            self._report(self._reports.space, self._low)
        return self._low and not was

    def _sign_if_due(self, now_s: float) -> None:
        if now_s >= self._signing.due_s and self._signs_at_end:
            self._signing.keep(self._frontier)

    def _report(self, deliver: Callable[[*Ts], None], *args: *Ts) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(deliver, *args)


class InstantCommitter:
    """Reports before `commit` returns. Only signing, which syncs a file, goes to another thread."""

    def __init__(self, ledger: Ledger, signing: Signing, frontier: Frontier, reports: Reports) -> None:
        self._ledger = ledger
        self._signing = signing
        self._frontier = frontier
        self._reports = reports
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._signed: asyncio.Future[None] = self._loop.create_future()
        self._signed.set_result(None)
        self._signs_at_end = True

    def commit(self, batch: Batch) -> None:
        """Raises what the ledger raises, but for AlreadyThere."""
        try:
            _append(self._ledger, batch)
        except AlreadyThere as refusal:
            self._reports.returned(refusal)
            return
        self._frontier = batch.frontier
        if self._timer is None and self._signed.done():
            self._timer = self._loop.call_later(self._signing.every_s, self._sign)
        self._reports.committed(0.0)

    def end(self, *, sign: bool) -> None:
        self._signs_at_end = self._signs_at_end and sign
        if self._timer is not None:
            self._timer.cancel()

    async def ended(self, timeout_s: float) -> bool:
        await asyncio.wait([self._signed], timeout=timeout_s)
        if self._signs_at_end and self._signed.done():
            self._sign()
            await asyncio.wait([self._signed], timeout=timeout_s)
        self._ledger.close()
        return self._signed.done()

    @property
    def gone(self) -> bool:
        return self._signed.done()

    def _sign(self) -> None:
        self._timer = None
        self._signed = self._loop.run_in_executor(None, self._signing.keep, self._frontier)
        self._signed.add_done_callback(self._heard)

    def _heard(self, signed: asyncio.Future[None]) -> None:
        fault = None if signed.cancelled() else signed.exception()
        if isinstance(fault, Exception):
            self._reports.broken(fault)
