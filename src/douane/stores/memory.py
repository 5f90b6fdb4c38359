"""The promises kept in memory: for tests, and for measuring what durability costs. Nothing survives the
process."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from douane.stores.ports import NEW, AlreadyThere, Bundle, Conflict, Record, Row, StoredCheckpoint, StoreFailed

_first = attrgetter("first")


class MemoryLedger:
    """A Ledger that forgets."""

    instant: bool = True

    def __init__(self) -> None:
        self._bundles: list[Bundle] = []
        self._checkpoints: dict[int, StoredCheckpoint] = {}
        self._tables: dict[str, dict[str, tuple[str, ...]]] = {"actor": {}, "spent": {}}

    def append(self, bundle: Bundle, also: Sequence[Row] = ()) -> None:
        last = self.head()
        if last is not None and bundle.first <= last.first:
            raise StoreFailed(f"there is already a bundle at or after index {bundle.first}")
        claimed: set[tuple[str, str]] = set()
        for row in also:
            key = (row.table, row.values[0])
            if row.must_be_new and (row.values[0] in self._tables[row.table] or key in claimed):
                raise AlreadyThere(row)
            claimed.add(key)
        for row in also:
            self._tables[row.table].setdefault(row.values[0], row.values)
        self._bundles.append(bundle)

    def save_checkpoint(self, checkpoint: StoredCheckpoint, instead_of: int | None = None) -> None:
        if instead_of is not None:
            self._checkpoints.pop(instead_of, None)
        self._checkpoints[checkpoint.size] = checkpoint

    def head(self) -> Bundle | None:
        return self._bundles[-1] if self._bundles else None

    def bundles(self, first: int = 0) -> Iterator[Bundle]:
        at = bisect_right(self._bundles, first, key=_first)
        yield from self._bundles[max(0, at - 1) :]

    def checkpoints(self) -> Iterator[StoredCheckpoint]:
        for size in sorted(self._checkpoints):
            yield self._checkpoints[size]

    def last_checkpoint(self) -> StoredCheckpoint | None:
        return self._checkpoints[max(self._checkpoints)] if self._checkpoints else None

    def subject(self, pseudonym: str) -> str | None:
        row = self._tables["actor"].get(pseudonym)
        return row[1] if row else None

    def tidy(self, *, idle: bool) -> None:
        pass

    def free_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        pass


class MemoryRecords:
    """Records that are forgotten."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """`now`: Unix seconds."""
        self._now = now
        self._kinds: dict[str, dict[str, Record]] = {}

    async def get(self, kind: str, key: str) -> Record | None:
        return self._there(self._kinds.get(kind, {}).get(key))

    async def put(self, kind: str, key: str, value: bytes, *, version: int, expires_s: float | None = None) -> int:
        found = await self.get(kind, key)
        if version != (NEW if found is None else found.version):
            raise Conflict(f"{kind} has changed")
        self._kinds.setdefault(kind, {})[key] = Record(key, value, version + 1, expires_s)
        return version + 1

    async def take(self, kind: str, key: str, *, version: int) -> None:
        found = await self.get(kind, key)
        if found is None or found.version != version:
            raise Conflict(f"{kind} has changed")
        del self._kinds[kind][key]

    async def find(self, kind: str, prefix: str = "", *, after: str = "", most: int = 1000) -> Sequence[Record]:
        records = self._kinds.get(kind, {})
        keys = sorted(key for key in records if key.startswith(prefix) and key > after)
        there = (self._there(records[key]) for key in keys)
        return [record for record in there if record is not None][:most]

    async def aclose(self) -> None:
        pass

    def _there(self, record: Record | None) -> Record | None:
        expired = record is not None and record.expires_s is not None and record.expires_s <= self._now()
        return None if expired else record
