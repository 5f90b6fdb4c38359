"""The promises kept in memory: for tests, and for measuring what durability costs. Nothing survives the
process."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter

from douane.stores.ports import AlreadyThere, Bundle, Row, StoredCheckpoint, StoreFailed

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
