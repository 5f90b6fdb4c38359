"""What the rest of the house may ask of a store.

`Ledger` is the promise that carries the audit: what `append` returned for survives a kill and a power cut, in
order, and nothing is ever half there. It knows rows and bytes; that they form a Merkle tree is the business
of `audit`.

A ledger blocks: it is called from one thread of its writer's, never from the event loop. Unless it says that it
is `instant`.

`Records` is the promise for what must survive and is not the audit: grants, clients, keys, what was revoked. A put that
returned is on disk. Several processes may use the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, Protocol

# StoreError
# ├── StoreBusy      another process owns it; nothing was touched
# ├── StoreFailed    I/O error, full disk, damaged file: what was asked may or may not be there
# ├── AlreadyThere   a row that had to be new was not: nothing of the transaction was written
# └── Conflict       a record is not at the version it was expected at: nothing was written


class StoreError(Exception):
    """Root of what a store raises."""


class StoreBusy(StoreError):
    """Another process owns this store."""


class StoreFailed(StoreError):
    """The store could not do what it was asked, and must not be asked again.

    After a failed fsync the kernel may have dropped the dirty pages and call the next fsync a success, so the
    only honest continuation is to stop, reopen and see what is there. *Spec:* PostgreSQL, `data_sync_retry`.
    """


class AlreadyThere(StoreError):
    """`row` had to be the first with its key."""

    def __init__(self, row: Row) -> None:
        super().__init__(f"a row with this key is already in {row.table}")
        self.row = row


class Conflict(StoreError):
    """Somebody else was faster: the record is not at the version that was expected. Read it again."""


class Bundle(NamedTuple):
    """A group commit: `n` consecutive leaves from index `first`, in one row."""

    first: int
    n: int
    at_ns: int
    """Time claimed by the last leaf, Unix nanoseconds."""
    oldest_open: int
    """Index of the oldest intent without an outcome after this bundle; `first + n` when there is none."""
    root: bytes
    """Tree root after this bundle."""
    entries: bytes
    """*Spec:* C2SP tlog-tiles, entry bundles: u16 big-endian length, leaf; n times."""
    hashes: bytes
    """n leaf hashes of 32 bytes."""
    payloads: bytes | None
    """u32 big-endian length, 32 bytes of salt, body; n times; length 0 where there is none. None: no leaf has
    one."""

    @property
    def end(self) -> int:
        return self.first + self.n


class StoredCheckpoint(NamedTuple):
    size: int
    note: str
    frontier: bytes


class Row(NamedTuple):
    """A row written in the transaction of a bundle; the first of `values` is its key."""

    table: Literal["actor", "spent"]
    values: tuple[str, ...]
    must_be_new: bool


class Reading(Protocol):
    """What readers see: a consistent prefix, possibly a moment old."""

    def head(self) -> Bundle | None:
        """The last bundle."""
        ...

    def bundles(self, first: int = 0) -> Iterator[Bundle]:
        """Bundles in order, from the one that holds index `first` (or the next, should none hold it)."""
        ...

    def checkpoints(self) -> Iterator[StoredCheckpoint]:
        """Stored checkpoints, smallest first."""
        ...

    def last_checkpoint(self) -> StoredCheckpoint | None: ...

    def subject(self, pseudonym: str) -> str | None:
        """Who `pseudonym` is; None when unknown or erased."""
        ...

    def close(self) -> None:
        """Release everything. Again is harmless."""
        ...


class Ledger(Reading, Protocol):
    """The writer's side. One thread at a time; after a StoreFailed every call raises StoreFailed."""

    @property
    def instant(self) -> bool:
        """Whether `append` never waits for anything, so that the event loop itself may call it.

        Then `save_checkpoint` may come from another thread at the same time.
        """
        ...

    def append(self, bundle: Bundle, also: Sequence[Row] = ()) -> None:
        """Make `bundle` and the rows of `also` durable, all or none.

        Raises AlreadyThere (nothing written, go on) and StoreFailed.
        """
        ...

    def save_checkpoint(self, checkpoint: StoredCheckpoint, instead_of: int | None = None) -> None:
        """Keep `checkpoint`; the one of size `instead_of` goes in the same transaction. Raises
        StoreFailed."""
        ...

    def tidy(self, *, idle: bool) -> None:
        """Housekeeping between commits; does much when `idle`, little otherwise. Raises StoreFailed."""
        ...

    def free_bytes(self) -> int | None:
        """Space left where the ledger grows; None when it cannot run out. Callable from any thread."""
        ...


NEW: Final = 0
"""The version of a record that is not there yet."""


class Record(NamedTuple):
    key: str
    value: bytes
    version: int
    """1 at first, one more with each change."""
    expires_s: float | None
    """Unix seconds; from then on the record is not there. None: it stays."""


class Records(Protocol):
    """Values by kind and key, each changed only by who has seen it as it is. Callable from the event loop."""

    async def get(self, kind: str, key: str) -> Record | None:
        """Raises StoreFailed."""
        ...

    async def put(self, kind: str, key: str, value: bytes, *, version: int, expires_s: float | None = None) -> int:
        """Write, and the version it has now. `version`: the one it had, NEW for none. Raises Conflict, StoreFailed."""
        ...

    async def take(self, kind: str, key: str, *, version: int) -> None:
        """Remove. Raises Conflict, also when it is not there, and StoreFailed: of many that take, one succeeds."""
        ...

    async def find(self, kind: str, prefix: str = "", *, after: str = "", most: int = 1000) -> Sequence[Record]:
        """Those whose keys begin with `prefix` and come after `after`, in order of the code points of their keys.

        Raises StoreFailed.
        """
        ...

    async def aclose(self) -> None:
        """Release everything. Again is harmless."""
        ...
