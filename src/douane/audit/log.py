"""The log as the event loop sees it: write, and wait until it is durable.

The future that `write` gives is resolved when the leaf is on the disk. When that cannot be promised the log is *sealed* (`condition`): everything that waits is refused
within half a second of the limit, also while the thread hangs in an fsync, and everything new is refused at once.

Not here: unsealing by an operator. What sealed for good is `lost`: the process ends, and at the next start recovery
looks at what is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from douane.audit.actor import Pseudonyms
from douane.audit.checkpoint import Signer
from douane.audit.condition import Condition, State
from douane.audit.entry import Epoch, Leaf, Outcome
from douane.audit.errors import AuditBusy, AuditError, AuditSealed
from douane.audit.recover import Recovered, recovered
from douane.audit.writer import LOW_SPACE, AuditSettings, Told, Writer
from douane.stores.failpoint import ARMED, failpoint
from douane.stores.ports import Ledger, Row

_TICK_S = 0.25


class AuditLog:
    """One log, one writer. Made by `open`; every method is called from the loop it was opened in."""

    def __init__(
        self,
        ledger: Ledger,
        found: Recovered,
        *,
        signer: Signer | None,
        origin: str,
        actor_key: bytes,
        now_ns: Callable[[], int],
        settings: AuditSettings,
    ) -> None:
        self.leaves = 0
        """Committed since the start."""
        self.commits = 0
        self.last_commit_s = 0.0
        self._origin = origin
        self._settings = settings
        self._max_pending, self._max_pending_bytes = settings.max_pending, settings.max_pending_bytes
        self._condition = Condition()
        self._pseudonyms = Pseudonyms(actor_key)
        self._new_rows: list[Row] = []
        self._now_ns = now_ns
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        """Why, once it has sealed itself for good and the writer has let go of the ledger: then it can be opened anew.
        A disk that hangs holds the writer; nobody could recover on it. Closing ends the wait."""
        self._loss: str | None = None
        self._watched_s = self._loop.time()
        self._tick: asyncio.TimerHandle | None = None
        told = Told(self._committed, self._space, self._broken)
        self._writer = Writer(ledger, found, origin=origin, signer=signer, settings=settings, told=told)

    @classmethod
    async def open(
        cls,
        ledger: Ledger,
        *,
        signer: Signer | None,
        origin: str,
        actor_key: bytes,
        now_ns: Callable[[], int] = time.time_ns,
        settings: AuditSettings = AuditSettings(),  # noqa: B008 - frozen
    ) -> AuditLog:
        """Recover, close what a crash left open, begin an epoch. The ledger belongs to the log, also when
        this raises.

        Raises RollbackDetected, AuditError (damaged), AuditSealed (cannot be written), StoreFailed (cannot be
        read).
        """
        try:
            if signer is not None and signer.origin != origin:
                raise AuditError(f"the signing key is of the log {signer.origin!r}, not {origin!r}")
            found = await asyncio.to_thread(recovered, ledger, origin, signer)
        except BaseException:
            ledger.close()
            raise
        size, root = found.frontier.size, found.frontier.root()
        self = cls(ledger, found, signer=signer, origin=origin, actor_key=actor_key, now_ns=now_ns, settings=settings)
        self._watch()
        try:
            await self._close_open_intents(list(found.open_intents))
            note = "recovered" if found.open_intents else "started"
            await self.write(Epoch(note=note, size=size, tree=root.hex(), closed=len(found.open_intents)))
        except BaseException:
            await self.aclose()
            raise
        return self

    def take(
        self, leaf: Leaf, payload: bytes | None = None, also: tuple[Row, ...] = (), *, keep: bool = True
    ) -> int | asyncio.Future[int]:
        """Append `leaf`: its index if it is as safe as it will ever be, else a future that gives the index once it is
        durable, with its payload and the rows of `also`.

        The leaf is the log's from here on. Without `keep` only the commitment to the payload stays. Raises at once
        AuditSealed, AuditBusy; the future raises AuditSealed, LeafRefused, or AlreadyThere when a row of `also` had to be
        new and was not (then nothing was written).
        """
        if ARMED:
            failpoint("audit.before_stage")
        writer = self._writer
        size = 0 if payload is None else len(payload)
        if (
            self._condition.state == "sealed"
            or writer.pending >= self._max_pending
            or writer.pending_bytes + size > self._max_pending_bytes
            or self._closing
        ):
            self._require_room(leaf, size)
        if self._new_rows:
            also = (*also, *self._new_rows)
            self._new_rows.clear()
        taken = writer.take(leaf, payload, keep, self._now_ns() // 1_000_000, also, size)
        if ARMED:
            failpoint("audit.after_stage")
        return taken

    def write(
        self, leaf: Leaf, payload: bytes | None = None, also: tuple[Row, ...] = (), *, keep: bool = True
    ) -> asyncio.Future[int]:
        """As `take`, always with a future."""
        taken = self.take(leaf, payload, also, keep=keep)
        if not isinstance(taken, int):
            return taken
        future: asyncio.Future[int] = self._loop.create_future()
        future.set_result(taken)
        return future

    def enqueue(self, leaf: Leaf, payload: bytes | None = None) -> None:
        """As `write`, for leaves nobody waits for (cancelled calls). Raises the same at once."""
        self.write(leaf, payload).add_done_callback(_unheard)

    def actor(self, subject: str) -> str:
        """The pseudonym of `subject`. The mapping is stored no later than the next leaf."""
        known = self._pseudonyms.known(subject)
        if known is not None:
            return known
        if len(self._new_rows) >= self._settings.max_pending:
            raise AuditBusy("too many new actors wait to be recorded")
        pseudonym = self._pseudonyms.name(subject)
        self._new_rows.append(Row("actor", (pseudonym, subject), must_be_new=False))
        return pseudonym

    @property
    def state(self) -> State:
        return self._condition.state

    @property
    def reason(self) -> str | None:
        """Why the state is not open."""
        return self._condition.reason

    @property
    def pending(self) -> int:
        """Leaves that are not durable yet."""
        return self._writer.pending

    @property
    def size(self) -> int:
        """Leaves committed, as far as is known."""
        return self._writer.size

    async def aclose(self) -> None:
        """Commit what waits, sign, release the ledger. Bounded: a writer that hangs is left behind, its
        leaves refused."""
        self._closing = True
        self._writer.close()
        ended = await self._writer.ended(self._settings.sealed_after_s + 2 * _TICK_S)
        if self._tick is not None:
            self._tick.cancel()
        if self._loss is not None and not self.lost.done():
            self.lost.set_result(self._loss)
        self._seal("the audit log is closed" if ended else "the audit log was closed while its disk hung")

    def _require_room(self, leaf: Leaf, payload_bytes: int) -> None:
        condition, pending = self._condition, self._writer.pending
        closes = leaf.does == "closes" and self._writer.is_open(leaf.call)
        if condition.final or self._closing:
            raise AuditSealed(condition.reason or "the audit log is closing")
        if condition.state == "sealed" and not closes:
            raise AuditSealed(condition.reason)
        if pending >= self._settings.max_pending * (2 if closes else 1):
            raise AuditBusy(f"{pending} audit leaves wait for the disk: ask again in a moment")
        waiting = self._writer.pending_bytes
        # One payload larger than the limit may wait alone.
        if payload_bytes and waiting and waiting + payload_bytes > self._max_pending_bytes:
            raise AuditBusy(f"{waiting} bytes of payloads wait for the disk: ask again in a moment")

    # What the writer tells.

    def _committed(self, leaves: int, took_s: float) -> None:
        self.leaves += leaves
        self.commits += 1
        self.last_commit_s = took_s
        self._condition.took(took_s > self._settings.degraded_after_s, took_s)

    def _space(self, low: bool) -> None:
        self._condition.space(LOW_SPACE if low else None)
        if not low:
            with suppress(AuditSealed):
                self.enqueue(Epoch(note="resumed: there is space again", size=self._writer.size))

    def _broken(self, fault: Exception) -> None:
        self._lose(f"the audit cannot be written ({fault})")

    # Sealing.

    def _watch(self) -> None:
        now_s = self._loop.time()
        writer, sealed_after_s = self._writer, self._settings.sealed_after_s
        if now_s - self._watched_s > 2 * _TICK_S:
            # The loop or the whole process stood still; what the thread reported meanwhile may come after
            # this timer.
            # One more tick, no more: a loop that often stalls must not keep callers waiting for ever.
            writer.waiting_since_s = max(writer.waiting_since_s, now_s - sealed_after_s + _TICK_S)
        self._watched_s = now_s
        waited_s = now_s - writer.waiting_since_s if writer.pending else 0.0
        if waited_s > sealed_after_s:
            self._lose(f"nothing could be committed for {sealed_after_s} s: the audit's disk hangs")
            return
        if waited_s > self._settings.degraded_after_s:
            self._condition.took(True, waited_s)
        self._tick = self._loop.call_later(_TICK_S, self._watch)

    def _lose(self, reason: str) -> None:
        if not self._condition.final:
            self._loss = reason
            self._seal(reason)
            self._watch_end(reason)

    def _watch_end(self, reason: str) -> None:
        if not self._writer.gone:
            self._tick = self._loop.call_later(_TICK_S, self._watch_end, reason)
        elif not self.lost.done():
            self.lost.set_result(reason)

    def _seal(self, reason: str) -> None:
        """For good."""
        if self._condition.final:
            return
        self._condition.seal(reason)
        if self._tick is not None:
            self._tick.cancel()
        self._writer.halt(reason)

    async def _close_open_intents(self, calls: list[str]) -> None:
        at_once = self._settings.max_batch_leaves
        for at in range(0, len(calls), at_once):
            closing = (
                Outcome(call=call, status="unknown", cause="crash", sent="unknown") for call in calls[at : at + at_once]
            )
            await asyncio.gather(*[self.write(outcome) for outcome in closing])


def _unheard(written: asyncio.Future[int]) -> None:
    """Nobody waits: that it failed is no fault of the program."""
    if not written.cancelled():
        written.exception()
