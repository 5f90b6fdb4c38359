"""A batch: leaves that share one commit, made and packed into the one row that holds them.

Runs on the event loop for every leaf, so a leaf on its way is a plain tuple, and all that is done to it is done here,
in a few tight loops over the whole batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from douane.audit.clock import Clock
from douane.audit.entry import VERSION, Leaf, encode
from douane.audit.errors import LeafRefused
from douane.audit.payload import NO_PAYLOAD, SALT_BYTES, Salts, u16, u32
from douane.audit.tree import Frontier
from douane.stores.ports import Bundle, Row

# Future (None: nobody waits), leaf, payload, whether it is kept, milliseconds, rows. A tuple takes a fifth of the time
# of a NamedTuple to make.
Item = tuple[asyncio.Future[int] | None, Leaf, bytes | None, bool, int, tuple[Row, ...]]


class Batch(NamedTuple):
    """What a commit carries, and what is true once it is durable."""

    items: list[Item]
    payload_bytes: int
    """What its items weighed while they waited."""
    bundle: Bundle
    also: Sequence[Row]
    frontier: Frontier
    opened: dict[str, int]
    """Call id → index of its intent."""
    closed: set[str]


class Stamped(NamedTuple):
    """Leaves as bytes, their payloads as stored, and what cannot be written."""

    entries: list[bytes]
    """The length of each leaf, then the leaf. *Spec:* C2SP tlog-tiles, entry bundles."""
    hashes: list[bytes]
    records: list[bytes]
    """The payloads as stored, in pieces: no piece is copied before all of it is."""
    payloads: int
    """How many of them there are; the rest is NO_PAYLOAD."""
    refused: list[tuple[Item, LeafRefused]]


class Stamp:
    """Makes the bytes of leaves: the name of the log, the time, and commitments under fresh salts go into each."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._salts = Salts()
        self._clock = Clock()

    def __call__(self, items: list[Item]) -> Stamped:
        clock, commit, pack, origin = self._clock, self._salts.commit, u32.pack, self._origin
        length, now_ms, text = u16.pack, clock.ms, clock.text
        entries: list[bytes] = []
        hashes: list[bytes] = []
        records: list[bytes] = []
        payloads = 0
        refused: list[tuple[Item, LeafRefused]] = []
        for item in items:
            _, leaf, payload, keep, at_ms, _ = item
            if at_ms != now_ms:
                clock.set(at_ms)
                now_ms, text = at_ms, clock.text
            leaf.v, leaf.log, leaf.t = VERSION, origin, text
            try:
                if payload is None:
                    raw, record = encode(leaf), (NO_PAYLOAD,)
                else:
                    salt, commitment = commit(payload)
                    size = len(payload)
                    leaf.commit(commitment, size, keep)
                    raw = encode(leaf)
                    record = (pack(SALT_BYTES + size), salt, payload) if keep else (pack(SALT_BYTES), salt)
                    payloads += 1
            except LeafRefused as fault:
                refused.append((item, fault))
            else:
                entries += (length(len(raw)), raw)
                hashes.append(sha256(b"\0" + raw).digest())
                records += record
        return Stamped(entries, hashes, records, payloads, refused)


def packed(
    items: list[Item], payload_bytes: int, stamped: Stamped, grown: Frontier, open_intents: dict[str, int]
) -> Batch:
    """`items`, as `stamped`, after `grown` and `open_intents`, which stay as they are: a batch may come back."""
    first, count = grown.size, len(items)
    entries, hashes, records, kept, _ = stamped
    frontier = grown.copy()
    frontier.extend(hashes)
    opened: dict[str, int] = {}
    closed: set[str] = set()
    rows: list[Row] = []
    index = first
    for _, leaf, _, _, _, also in items:
        does = leaf.does
        if does == "opens":
            opened[leaf.call] = index
        elif does == "closes":
            closed.add(leaf.call)
            opened.pop(leaf.call, None)
        index += 1
        if also:
            rows += also
    payloads = b"".join(records) if kept else None
    bundle = Bundle(
        first,
        count,
        items[-1][4] * 1_000_000,
        _oldest(open_intents, opened, closed, frontier.size),
        frontier.root(),
        b"".join(entries),
        b"".join(hashes),
        payloads,
    )
    return Batch(items, payload_bytes, bundle, rows, frontier, opened, closed)


def _oldest(open_intents: dict[str, int], opened: dict[str, int], closed: set[str], none: int) -> int:
    for call, index in open_intents.items():
        if call not in closed:
            return opened.get(call, index)
    return next(iter(opened.values()), none)


def fitting(items: list[Item], max_leaves: int, max_bytes: int) -> int:
    """How many of the first of `items` make a batch: at least one."""
    size = 0
    for at, item in enumerate(items[:max_leaves]):
        size += weight(item)
        if size > max_bytes and at:
            return at
    return min(len(items), max_leaves)


def weight(item: Item) -> int:
    """Bytes of payload that an item holds while it waits."""
    payload = item[2]
    return 0 if payload is None else len(payload)


def claimant(items: Sequence[Item], row: Row) -> int:
    """Which of `items` may not have `row`: the last that asked, as the first of them was there first."""
    return max(at for at, (*_, rows) in enumerate(items) if row in rows)
