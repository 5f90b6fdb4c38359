"""What a writer must know before its first leaf: the tree, what it once signed, and which calls nobody
closed.

Everything is read from two places: the tree grows from the last stored checkpoint (at most a second of
leaves), and open intents are looked for from `oldest_open` of the last bundle.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from douane.audit.checkpoint import Mark, NoteInvalid, Signer, Verifier, parsed
from douane.audit.entry import gist
from douane.audit.errors import AuditError, RollbackDetected
from douane.audit.payload import unpacked_entries
from douane.audit.tree import Frontier, leaf_hash
from douane.stores.ports import Bundle, Ledger


@dataclass(frozen=True, slots=True)
class Recovered:
    frontier: Frontier
    open_intents: dict[str, int]
    """Call id → index, oldest first."""


def recovered(ledger: Ledger, origin: str, signer: Signer | None) -> Recovered:
    """Raises RollbackDetected when the ledger holds less, or other, than was signed; AuditError when it is
    damaged."""
    frontier = _trusted_frontier(ledger, origin, signer)
    mark = signer.mark if signer else None
    if mark is not None and mark.size <= frontier.size:
        _require_mark(mark, frontier, ledger)
        mark = None
    try:
        for bundle in ledger.bundles(frontier.size):
            if bundle.end <= frontier.size:
                continue
            _grow(frontier, bundle)
            if mark is not None and mark.size == frontier.size:
                _require_mark(mark, frontier, ledger)
                mark = None
        if mark is not None:
            raise RollbackDetected(
                f"{mark.size} leaves were signed, and the store holds {frontier.size}:"
                " it was cut, or an old copy restored"
            )
        return Recovered(frontier, _open_intents(ledger))
    except (ValueError, msgspec.DecodeError) as fault:
        raise AuditError(f"the audit is damaged ({fault}): `douane audit verify` says where") from fault


def _trusted_frontier(ledger: Ledger, origin: str, signer: Signer | None) -> Frontier:
    stored = ledger.last_checkpoint()
    if stored is None:
        return Frontier()
    try:
        frontier = Frontier.from_bytes(stored.frontier)
        stated = Verifier(signer.vkey).checked(stored.note) if signer else parsed(stored.note, origin)
    except (ValueError, NoteInvalid) as fault:
        raise RollbackDetected(f"the last checkpoint in the store does not hold: {fault}") from fault
    if stated != Mark(frontier.size, frontier.root()):
        raise RollbackDetected("the last checkpoint in the store is not about the tree beside it")
    head = ledger.head()
    if head is None or head.end < frontier.size:
        raise RollbackDetected(f"{frontier.size} leaves were signed, the store holds {head.end if head else 0}")
    return frontier


def _require_mark(mark: Mark, frontier: Frontier, ledger: Ledger) -> None:
    if mark.size == frontier.size:
        root = frontier.root()
    else:
        bundle = next(ledger.bundles(mark.size - 1), None)
        root = bundle.root if bundle is not None and bundle.end == mark.size else b""
    if root != mark.root:
        raise RollbackDetected(f"the first {mark.size} leaves in the store are not those that were signed")


def _grow(frontier: Frontier, bundle: Bundle) -> None:
    if bundle.first != frontier.size:
        raise ValueError(f"leaf {frontier.size} is missing")
    hashes = [leaf_hash(entry) for entry in unpacked_entries(bundle.entries)]
    frontier.extend(hashes)
    if len(hashes) != bundle.n or frontier.root() != bundle.root:
        raise ValueError(f"the bundle at leaf {bundle.first} does not lead to its root")


def _open_intents(ledger: Ledger) -> dict[str, int]:
    head = ledger.head()
    opened: dict[str, int] = {}
    if head is None or head.oldest_open >= head.end:
        return opened
    for bundle in ledger.bundles(head.oldest_open):
        for index, entry in enumerate(unpacked_entries(bundle.entries), bundle.first):
            # Searching the bytes first: decoding every leaf of a long-lived call's lifetime costs five times
            # as much.
            if b'"kind":"intent"' in entry and (leaf := gist(entry)).kind == "intent":
                opened[leaf.call] = index
            elif b'"kind":"outcome"' in entry and (leaf := gist(entry)).kind == "outcome":
                opened.pop(leaf.call, None)
    return opened
