"""The log for people: decoded leaves in order, with the payloads that open, and new ones as they come.

Reading proves nothing; `verify` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import islice, repeat

import msgspec

from douane.audit.entry import Leaf, decode, gist
from douane.audit.payload import opens, unpacked_entries, unpacked_payloads
from douane.stores.ports import Reading

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Entry:
    index: int
    raw: bytes
    leaf: Leaf | None
    """None: of a kind this version does not know, or damaged; then `raw` is all there is."""
    payload: bytes | None
    """Only what opens the leaf's commitment; None also when there is none or it was erased."""


def entries(reading: Reading, first: int = 0) -> Iterator[Entry]:
    """From leaf `first` to the present end. Raises StoreFailed, and ValueError where a bundle cannot be taken
    apart."""
    for bundle in reading.bundles(first):
        payloads = repeat(None) if bundle.payloads is None else unpacked_payloads(bundle.payloads)
        leaves = unpacked_entries(bundle.entries)
        for index, (raw, payload) in enumerate(zip(leaves, payloads, strict=False), bundle.first):
            if index >= first:
                yield _entry(index, raw, payload)


async def follow(reading: Reading, first: int = 0, *, poll_s: float = 0.25) -> AsyncIterator[Entry]:
    """From leaf `first`, and on for ever: new leaves within `poll_s`. Reads in threads, at most 500 leaves
    ahead.

    Raises as `entries`.
    """
    while True:
        page = await asyncio.to_thread(_page, reading, first)
        for entry in page:
            yield entry
        first += len(page)
        if len(page) < _PAGE:
            await asyncio.sleep(poll_s)


def _page(reading: Reading, first: int) -> list[Entry]:
    return list(islice(entries(reading, first), _PAGE))


def last_index(reading: Reading) -> int:
    """Of the newest leaf; -1 when there is none."""
    head = reading.head()
    return head.end - 1 if head else -1


def _entry(index: int, raw: bytes, payload: tuple[bytes, bytes] | None) -> Entry:
    try:
        leaf = decode(raw)
        said = gist(raw)
    except msgspec.DecodeError:
        return Entry(index, raw, None, None)
    body = payload[1] if payload is not None and opens(*payload, said.commitment, said.v) else None
    return Entry(index, raw, leaf, body)
