"""A batch: leaves that share one commit, packed into the one row that holds them.

Runs on the event loop for every leaf, so a leaf on its way is a plain tuple and packing is a few tight loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from douane.audit.entry import Does
from douane.audit.payload import NO_PAYLOAD, packed_entries
from douane.audit.tree import Frontier
from douane.stores.ports import Bundle, Row

# Future, leaf, its call and what it does to it, payload record as stored, milliseconds, rows. A tuple takes a
# fifth of the time of a NamedTuple to make.
Item = tuple[asyncio.Future[int], bytes, str, Does, bytes, int, tuple[Row, ...]]


class Batch(NamedTuple):
    """What a commit carries, and what is true once it is durable."""

    items: list[Item]
    bundle: Bundle
    also: Sequence[Row]
    payload_bytes: int
    frontier: Frontier
    opened: dict[str, int]
    """Call id → index of its intent."""
    closed: set[str]


def packed(items: list[Item], grown: Frontier, open_intents: dict[str, int]) -> Batch:
    """`items` after `grown` and `open_intents`, which stay as they are: a batch may come back."""
    first, count = grown.size, len(items)
    _, leaves, calls, does, records, times_ms, also = zip(*items, strict=True)
    hashes = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    frontier = grown.copy()
    frontier.extend(hashes)
    opened: dict[str, int] = {}
    closed: set[str] = set()
    for index, call, did in zip(range(first, first + count), calls, does, strict=True):
        if did == "opens":
            opened[call] = index
        elif did == "closes":
            closed.add(call)
            opened.pop(call, None)
    without = records.count(NO_PAYLOAD)
    payloads = b"".join(records) if without < count else None
    bundle = Bundle(
        first,
        count,
        times_ms[-1] * 1_000_000,
        _oldest(open_intents, opened, closed, frontier.size),
        frontier.root(),
        packed_entries(leaves),
        b"".join(hashes),
        payloads,
    )
    payload_bytes = len(payloads) - without * len(NO_PAYLOAD) if payloads else 0
    rows = [row for rows in also for row in rows] if any(also) else ()
    return Batch(items, bundle, rows, payload_bytes, frontier, opened, closed)


def _oldest(open_intents: dict[str, int], opened: dict[str, int], closed: set[str], none: int) -> int:
    for call, index in open_intents.items():
        if call not in closed:
            return opened.get(call, index)
    return next(iter(opened.values()), none)


def fitting(items: list[Item], max_leaves: int, max_bytes: int) -> int:
    """How many of the first of `items` make a batch: at least one."""
    size = 0
    for at, (_, _, _, _, record, _, _) in enumerate(items[:max_leaves]):
        size += len(record)
        if size > max_bytes and at:
            return at
    return min(len(items), max_leaves)


def claimant(items: Sequence[Item], row: Row) -> int:
    """Which of `items` may not have `row`: the last that asked, as the first of them was there first."""
    return max(at for at, (*_, rows) in enumerate(items) if row in rows)
