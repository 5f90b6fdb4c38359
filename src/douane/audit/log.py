"""The log as the event loop sees it: write, and wait until it is durable.

`write` fixes the bytes of a leaf at once, so what was asked is what is kept; its future is resolved when they
are on the disk. When that cannot be promised the log is *sealed*: everything that waits is refused within
half a second of the limit, also while the thread hangs in an fsync, and everything new is refused at once.

    open ⇄ degraded    commits take longer than `degraded_after_s`
    open → sealed      nothing committed for `sealed_after_s` while something waits; I/O error; rollback
    open ⇄ sealed      little disk space; outcomes of calls already sent are still written

Not here: unsealing by an operator. After an error the process is restarted and recovery looks at what is
there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Literal, ParamSpec

from douane.audit.actor import Pseudonyms
from douane.audit.checkpoint import Signer
from douane.audit.entry import VERSION, Epoch, Intent, Leaf, Outcome, encode
from douane.audit.errors import AuditBusy, AuditError, AuditSealed
from douane.audit.payload import Salts, packed_payload
from douane.audit.recover import Recovered, recovered
from douane.audit.writer import LOW_SPACE, AuditSettings, Item, Reports, Writer
from douane.stores.failpoint import ARMED, failpoint
from douane.stores.ports import Ledger, Row

P = ParamSpec("P")
State = Literal["open", "degraded", "sealed"]

_TICK_S = 0.25
_MILLISECONDS = tuple(f".{ms:03d}Z" for ms in range(1000))


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
        self.state: State = "open"
        self.reason: str | None = None
        self.leaves = 0
        """Committed since the start."""
        self.commits = 0
        self.last_commit_s = 0.0
        self.pending = 0
        self._origin = origin
        self._now_ns = now_ns
        self._settings = settings
        self._pseudonyms = Pseudonyms(actor_key)
        self._new_rows: list[Row] = []
        self._salts = Salts()
        self._now_ms = -1
        self._now_text = ""
        self._second = -1
        self._second_text = ""
        self._pending_bytes = 0
        self._waiting_since_s = 0.0
        self._closing = False
        self._final = False
        self._loop = asyncio.get_running_loop()
        self._watched_s = self._loop.time()
        self._tick: asyncio.TimerHandle | None = None
        self._writer = Writer(
            ledger,
            origin=origin,
            frontier=found.frontier,
            open_intents=dict(found.open_intents),
            signer=signer,
            settings=settings,
            reports=Reports(
                done=self._from_thread(self._done),
                refused=self._from_thread(self._refused),
                space=self._from_thread(self._space),
                broken=self._from_thread(self._broken),
            ),
        )

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
        self._writer.start()
        self._watch()
        try:
            await self._close_open_intents(list(found.open_intents))
            note = "recovered" if found.open_intents else "started"
            await self.write(Epoch(note=note, size=size, tree=root.hex(), closed=len(found.open_intents)))
        except BaseException:
            await self.aclose()
            raise
        return self

    def write(
        self, leaf: Leaf, payload: bytes | None = None, also: tuple[Row, ...] = (), *, keep: bool = True
    ) -> asyncio.Future[int]:
        """Append `leaf`; the future gives its index once it is durable, with its payload and the rows of `also`.

        Without `keep` only the commitment to the payload stays. Raises at once AuditSealed, AuditBusy, LeafRefused; the
        future raises AuditSealed, or AlreadyThere when a row of `also` had to be new and was not (then nothing was
        written).
        """
        future = self._loop.create_future()
        self._stage(leaf, payload, also, future, keep)
        return future

    def enqueue(self, leaf: Leaf, payload: bytes | None = None) -> None:
        """As `write`, for leaves nobody waits for (cancelled calls). Raises the same at once."""
        self._stage(leaf, payload, (), None)

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
    def size(self) -> int:
        """Leaves committed, as far as the writer has come."""
        return self._writer.size

    async def aclose(self) -> None:
        """Commit what waits, sign, release the ledger. Bounded: a writer that hangs is left behind, its
        leaves refused."""
        self._closing = True
        self._writer.close()
        ended = await asyncio.to_thread(self._writer.join, self._settings.sealed_after_s + 2 * _TICK_S)
        self._seal("the audit log is closed" if ended else "the audit log was closed while its disk hung")

    # For every leaf.

    def _stage(
        self,
        leaf: Leaf,
        payload: bytes | None,
        also: tuple[Row, ...],
        future: asyncio.Future[int] | None,
        keep: bool = True,
    ) -> None:
        if ARMED:
            failpoint("audit.before_stage")
        call, does = _place(leaf)
        if self.state == "sealed" or self.pending >= self._settings.max_pending or self._closing:
            self._require_room(call, closes=does == "closes")
        now_ms = self._now_ns() // 1_000_000
        if now_ms != self._now_ms:
            self._now_ms = now_ms
            self._now_text = self._time(now_ms)
        leaf.v = VERSION
        leaf.log = self._origin
        leaf.t = self._now_text
        record = None
        if payload is not None:
            size = len(payload)
            if self._pending_bytes + size > self._settings.max_pending_bytes:
                self._require_empty()
            salt, commitment = self._salts.commit(payload)
            leaf.commit(commitment, size)
            if not keep and isinstance(leaf, Intent | Outcome):
                leaf.bare, payload = 1, b""
            raw = encode(leaf)
            record = packed_payload(salt, payload)
            self._pending_bytes += len(record)
        else:
            raw = encode(leaf)
        if self._new_rows:
            also = (*also, *self._new_rows)
            self._new_rows.clear()
        if not self.pending:
            self._waiting_since_s = self._loop.time()
        self.pending += 1
        self._writer.put(Item(future, raw, now_ms * 1_000_000, call, does, record, also))
        if ARMED:
            failpoint("audit.after_stage")

    def _require_room(self, call: str, *, closes: bool) -> None:
        closes = closes and call in self._writer.open_intents
        if self._final or self._closing:
            raise AuditSealed(self.reason or "the audit log is closing")
        if self.state == "sealed" and not closes:
            raise AuditSealed(self.reason)
        if self.pending >= self._settings.max_pending * (2 if closes else 1):
            raise AuditBusy(f"{self.pending} audit leaves wait for the disk: ask again in a moment")

    def _require_empty(self) -> None:
        """One payload larger than the limit may wait alone."""
        if self._pending_bytes:
            raise AuditBusy(f"{self._pending_bytes} bytes of payloads wait for the disk: ask again in a moment")

    def _time(self, now_ms: int) -> str:
        second, ms = divmod(now_ms, 1000)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return self._second_text + _MILLISECONDS[ms]

    # What the thread reports, delivered on the loop.

    def _from_thread(self, deliver: Callable[P, None]) -> Callable[P, None]:
        def later(*args: P.args, **kwargs: P.kwargs) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                self._loop.call_soon_threadsafe(partial(deliver, *args, **kwargs))

        return later

    def _done(self, batch: list[Item], first: int, took_s: float) -> None:
        for index, item in enumerate(batch, first):
            future = item.future
            if future is not None and not future.done():
                future.set_result(index)
        self.leaves += len(batch)
        self.commits += 1
        self.last_commit_s = took_s
        if self._final:
            return
        self._left(batch)
        if took_s > self._settings.degraded_after_s:
            self._degrade(took_s)
        elif self.state == "degraded":
            self.state, self.reason = "open", None

    def _refused(self, item: Item, fault: Exception) -> None:
        if item.future is not None and not item.future.done():
            item.future.set_exception(fault)
        if not self._final:
            self._left([item])

    def _left(self, items: list[Item]) -> None:
        self.pending -= len(items)
        self._waiting_since_s = self._loop.time()
        if self._pending_bytes:
            self._pending_bytes -= sum([len(item.payload) for item in items if item.payload is not None])

    def _space(self, low: bool) -> None:
        if self._final:
            return
        if low:
            self.state, self.reason = "sealed", LOW_SPACE
            return
        self.state, self.reason = "open", None
        with suppress(AuditSealed):
            self.enqueue(Epoch(note="resumed: there is space again", size=self._writer.size))

    def _broken(self, fault: Exception) -> None:
        self._seal(f"the audit cannot be written ({fault}): restart once the cause is gone")

    # Sealing.

    def _watch(self) -> None:
        now_s = self._loop.time()
        if now_s - self._watched_s > 2 * _TICK_S:
            # The loop or the whole process stood still; what the thread reported meanwhile may come after
            # this timer.
            # One more tick, no more: a loop that often stalls must not keep callers waiting for ever.
            grace_since_s = now_s - self._settings.sealed_after_s + _TICK_S
            self._waiting_since_s = max(self._waiting_since_s, grace_since_s)
        self._watched_s = now_s
        waited_s = now_s - self._waiting_since_s if self.pending else 0.0
        if waited_s > self._settings.sealed_after_s:
            self._seal(f"nothing could be committed for {self._settings.sealed_after_s} s: the audit's disk hangs")
            return
        if waited_s > self._settings.degraded_after_s:
            self._degrade(waited_s)
        self._tick = self._loop.call_later(_TICK_S, self._watch)

    def _degrade(self, took_s: float) -> None:
        if self.state == "open":
            self.state, self.reason = "degraded", f"a commit of the audit takes {took_s:.1f} s"

    def _seal(self, reason: str) -> None:
        """For good."""
        if self._final:
            return
        self._final = True
        self.state, self.reason = "sealed", reason
        if self._tick is not None:
            self._tick.cancel()
        for item in self._writer.halt():
            if item.future is not None and not item.future.done():
                item.future.set_exception(AuditSealed(reason))
        self.pending = self._pending_bytes = 0

    async def _close_open_intents(self, calls: list[str]) -> None:
        at_once = self._settings.max_batch_leaves
        for at in range(0, len(calls), at_once):
            closing = (
                Outcome(call=call, status="unknown", cause="crash", sent="unknown") for call in calls[at : at + at_once]
            )
            await asyncio.gather(*[self.write(outcome) for outcome in closing])


def _place(leaf: Leaf) -> tuple[str, Literal["opens", "closes", ""]]:
    """The call a leaf belongs to, and what it does to it."""
    if isinstance(leaf, Intent):
        return leaf.call, "opens"
    if isinstance(leaf, Outcome):
        return leaf.call, "closes"
    return "", ""
