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
Item = tuple[asyncio.Future[int] | None, bytes, str, Does, bytes, int, tuple[Row, ...]]


class Batch(NamedTuple):
    """What a commit carries, and what is true once it is durable."""

    items: list[Item]
    bundle: Bundle
    also: list[Row]
    payload_bytes: int
    frontier: Frontier
    opened: dict[str, int]
    """Call id → index of its intent."""
    closed: set[str]


def packed(items: list[Item], grown: Frontier, open_intents: dict[str, int]) -> Batch:
    """`items` after `grown` and `open_intents`, which stay as they are: a batch may come back."""
    first = grown.size
    leaves = [raw for _, raw, _, _, _, _, _ in items]
    hashes = [sha256(b"\0" + raw).digest() for raw in leaves]
    frontier = grown.copy()
    frontier.extend(hashes)
    opened: dict[str, int] = {}
    closed: set[str] = set()
    for index, (_, _, call, does, _, _, _) in enumerate(items, first):
        if does == "opens":
            opened[call] = index
        elif does == "closes":
            closed.add(call)
            opened.pop(call, None)
    records = [record for _, _, _, _, record, _, _ in items]
    without = records.count(NO_PAYLOAD)
    payloads = b"".join(records) if without < len(records) else None
    bundle = Bundle(
        first,
        len(items),
        items[-1][5] * 1_000_000,
        _oldest(open_intents, opened, closed, frontier.size),
        frontier.root(),
        packed_entries(leaves),
        b"".join(hashes),
        payloads,
    )
    payload_bytes = len(payloads) - without * len(NO_PAYLOAD) if payloads else 0
    also = [row for *_, rows in items if rows for row in rows]
    return Batch(items, bundle, also, payload_bytes, frontier, opened, closed)


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
