"""The whole log, recomputed: is it what was written and signed, and if not, where does it first differ.

Everything stored is either hashed into the tree or can be computed from what is, so every column is checked.
What cannot be seen: a tail cut after the last signature, and a rewrite by someone who also holds the key
(hence witnesses).
"""

from __future__ import annotations

from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from time import strptime
from typing import NamedTuple

import msgspec

from douane.audit.checkpoint import Mark, NoteInvalid, Verifier, parsed
from douane.audit.entry import Gist, gist
from douane.audit.payload import opens, unpacked_entries, unpacked_payloads
from douane.audit.tree import HASH_BYTES, Frontier
from douane.stores.ports import Bundle, Reading, StoredCheckpoint, StoreFailed

_PROGRESS_EVERY = 10_000


class Progress(NamedTuple):
    leaves: int


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that is wrong."""

    index: int
    """The first leaf that is bad; the first of its bundle where the evidence cannot tell them apart."""
    row: int | None
    """`first` of the bundle row it was seen in; None when it is not about a row (a checkpoint, a missing
    tail)."""
    reason: str


class Report(NamedTuple):
    leaves: int
    root: bytes
    checkpoints: int
    open_intents: int
    finding: Finding | None


class _Bad(Exception):
    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason


@dataclass(slots=True)
class _Calls:
    """Which calls are open, and which had their outcome."""

    opened: dict[str, int] = field(default_factory=dict[str, int])
    closed: set[str] = field(default_factory=set[str])

    def see(self, index: int, leaf: Gist) -> None:
        call = leaf.call
        if leaf.kind == "intent":
            if call in self.opened or call in self.closed:
                raise _Bad(index, f"the call {call} has a second intent")
            self.opened[call] = index
        elif leaf.kind == "outcome":
            if call in self.closed:
                raise _Bad(index, f"the call {call} has a second outcome")
            self.opened.pop(call, None)
            self.closed.add(call)


def verify(
    reading: Reading,
    *,
    origin: str,
    vkey: str | None = None,
    mark: Mark | None = None,
    live: bool = False,
) -> Iterator[Progress | Report]:
    """Progress every 10,000 leaves, the Report last. Stops at the first finding.

    `vkey` checks signatures; without it checkpoints are only compared with the tree. `mark` is the signer's
    high-water mark, or any (size, root) kept elsewhere. `live` tolerates open intents: a log in use has some.
    Raises NoteInvalid when `vkey` is not one.
    """
    verifier = Verifier(vkey) if vkey else None
    frontier, calls, row = Frontier(), _Calls(), None
    promises = _Promises(origin, verifier, mark)
    finding, told = None, 0
    try:
        pending = list(reading.checkpoints())
        for bundle in reading.bundles():
            row = bundle.first
            frontier = _after(bundle, frontier, calls, origin)
            row = None
            pending = promises.keep(frontier, pending)
            if frontier.size - told >= _PROGRESS_EVERY:
                told = frontier.size
                yield Progress(told)
        promises.keep_rest(frontier, pending)
        if calls.opened and not live:
            call, index = next(iter(calls.opened.items()))
            raise _Bad(index, f"the call {call} has no outcome")
    except _Bad as bad:
        finding = Finding(bad.index, row, bad.reason)
    except StoreFailed as fault:
        finding = Finding(frontier.size, None, f"the store cannot be read on: {fault}")
    yield Report(frontier.size, frontier.root(), promises.kept, len(calls.opened), finding)


def _after(bundle: Bundle, frontier: Frontier, calls: _Calls, origin: str) -> Frontier:
    """The tree with this bundle."""
    if bundle.first != frontier.size:
        what = "missing" if bundle.first > frontier.size else "there twice"
        raise _Bad(frontier.size, f"leaf {min(bundle.first, frontier.size)} is {what}")
    leaves, hashes = _hashed(bundle)
    grown = frontier.copy()
    grown.extend(hashes)
    if grown.root() != bundle.root:
        raise _Bad(bundle.first, "the leaves of this bundle do not lead to its root")
    gists = _gists(bundle.first, leaves, calls, origin)
    _check_payloads(bundle, gists)
    if not gists or bundle.at_ns != _nanoseconds(gists[-1].t, bundle.end - 1):
        raise _Bad(bundle.first, "the bundle's time is not that of its last leaf")
    if bundle.oldest_open != next(iter(calls.opened.values()), bundle.end):
        raise _Bad(bundle.first, "the bundle names another oldest open intent than its leaves")
    return grown


def _hashed(bundle: Bundle) -> tuple[list[bytes], list[bytes]]:
    leaves: list[bytes] = []
    hashes: list[bytes] = []
    stored = bundle.hashes
    try:
        for at, leaf in enumerate(unpacked_entries(bundle.entries)):
            hashed = sha256(b"\0" + leaf).digest()
            if stored[at * HASH_BYTES : (at + 1) * HASH_BYTES] != hashed:
                raise _Bad(bundle.first + at, "the leaf does not have the hash stored for it")
            leaves.append(leaf)
            hashes.append(hashed)
    except ValueError as fault:
        raise _Bad(bundle.first + len(leaves), str(fault)) from None
    if len(leaves) != bundle.n or len(stored) != bundle.n * HASH_BYTES:
        raise _Bad(
            bundle.first + min(len(leaves), max(bundle.n, 0)),
            "the bundle has another number of leaves than it says",
        )
    return leaves, hashes


def _gists(first: int, leaves: list[bytes], calls: _Calls, origin: str) -> list[Gist]:
    gists: list[Gist] = []
    for index, leaf in enumerate(leaves, first):
        try:
            known = gist(leaf)
        except msgspec.DecodeError as fault:
            raise _Bad(index, f"the leaf is not one: {fault}") from None
        if known.log != origin:
            raise _Bad(index, f"the leaf is of the log {known.log!r}")
        calls.see(index, known)
        gists.append(known)
    return gists


def _check_payloads(bundle: Bundle, gists: list[Gist]) -> None:
    at = 0
    try:
        payloads = [None] * len(gists) if bundle.payloads is None else unpacked_payloads(bundle.payloads)
        for payload in payloads:
            if at == len(gists):
                raise ValueError("there are more payloads than leaves")
            leaf = gists[at]
            if payload is None and leaf.commitment:
                raise ValueError("the payload is missing")
            if payload is not None:
                _require_opens(payload, leaf)
            at += 1
        if at != len(gists):
            raise ValueError("there are fewer payloads than leaves")
    except ValueError as fault:
        raise _Bad(bundle.first + min(at, len(gists) - 1), str(fault)) from None


def _require_opens(payload: tuple[bytes, bytes], leaf: Gist) -> None:
    if leaf.bare and not payload[1]:
        return
    if len(payload[1]) != leaf.committed_bytes or not opens(*payload, leaf.commitment, leaf.v):
        raise ValueError("the payload does not open the leaf's commitment")


@lru_cache(maxsize=8)
def _seconds(text: str) -> int:
    return timegm(strptime(text, "%Y-%m-%dT%H:%M:%S"))


def _nanoseconds(text: str, index: int) -> int:
    try:
        return (_seconds(text[:19]) * 1000 + int(text[20:23])) * 1_000_000
    except ValueError:
        raise _Bad(index, f"the leaf's time {text!r} is none") from None


@dataclass(slots=True)
class _Promises:
    """What was said about the tree: stored checkpoints and the mark."""

    origin: str
    verifier: Verifier | None
    mark: Mark | None
    kept: int = 0
    trusted: int = 0
    """The tree up to here is as promised."""

    def keep(self, frontier: Frontier, pending: list[StoredCheckpoint]) -> list[StoredCheckpoint]:
        """Check what is due at this size; what is still to come."""
        while pending and pending[0].size <= frontier.size:
            stored = pending.pop(0)
            self._require(self._stated(stored), frontier, "a checkpoint")
            if stored.frontier != frontier.to_bytes():
                raise _Bad(stored.size, f"the frontier stored with checkpoint {stored.size} is another")
            self.kept += 1
        if self.mark is not None and self.mark.size <= frontier.size:
            self._require(self.mark, frontier, "the signer")
            self.mark = None
        return pending

    def keep_rest(self, frontier: Frontier, pending: list[StoredCheckpoint]) -> None:
        for stored in self.keep(frontier, pending):
            size = self._stated(stored).size
            raise _Bad(frontier.size, f"the log ends here, a checkpoint tells of {size} leaves: it was cut")
        if self.mark is not None:
            raise _Bad(frontier.size, f"the log ends here, {self.mark.size} leaves were signed: it was cut")

    def _stated(self, stored: StoredCheckpoint) -> Mark:
        try:
            stated = self.verifier.checked(stored.note) if self.verifier else parsed(stored.note, self.origin)
        except NoteInvalid as fault:
            raise _Bad(stored.size, f"checkpoint {stored.size}: {fault}") from None
        if stated.size != stored.size:
            raise _Bad(stored.size, f"checkpoint {stored.size} is one of {stated.size} leaves")
        return stated

    def _require(self, stated: Mark, frontier: Frontier, who: str) -> None:
        if stated.size != frontier.size or stated.root != frontier.root():
            raise _Bad(
                self.trusted,
                f"{who} tells of another tree of {stated.size} leaves: it differs after leaf {self.trusted}",
            )
        self.trusted = max(self.trusted, stated.size)
