"""Who used what, and when last: read from the leaves alone, a bundle at a time, however long the log is."""

from typing import NamedTuple

import msgspec

from ..stores.ports import Reading
from .payload import unpacked_entries

__all__ = ["MOST_LEAVES", "Use", "Used", "Uses", "used"]

MOST_LEAVES = 1_000_000
"""Looked at from the end of the log backward: about ten seconds."""
_MOST_KEPT = 100_000


class Use(NamedTuple):
    """Who called what. `actor` is a pseudonym, `tool` the name its upstream has for it; empty where it was no single thing."""

    actor: str
    tenant: str
    client: str
    method: str
    server: str
    tool: str


class Used(msgspec.Struct):
    last: str
    """RFC 3339, UTC."""
    calls: int = 0
    refused: int = 0


class Uses(NamedTuple):
    of: dict[Use, Used]
    first: int
    """The first leaf that was looked at."""
    end: int
    """Of the log."""
    since: str
    """The time of that leaf; empty where there is none."""
    left_out: int
    """Leaves about somebody or something new, when there was no room for more."""


class _Glance(msgspec.Struct):
    kind: str
    t: str
    actor: str = ""
    client: str = ""
    method: str = ""
    server: str = ""
    status: str = ""
    tenant: str = ""
    tool: str = ""


_glance = msgspec.json.Decoder(_Glance).decode


def used(reading: Reading, *, most: int = MOST_LEAVES, kept: int = _MOST_KEPT) -> Uses:
    """What the newest `most` leaves say. Raises StoreFailed."""
    head = reading.head()
    end = 0 if head is None else head.end
    first = max(0, end - most)
    found: dict[Use, Used] = {}
    since, left_out = "", 0
    for bundle in reading.bundles(first):
        for index, raw in enumerate(unpacked_entries(bundle.entries), bundle.first):
            leaf = _read(raw) if index >= first else None
            if leaf is None:
                continue
            since = since or leaf.t
            left_out += not _add(found, leaf, kept)
    return Uses(found, first, end, since, left_out)


def _add(found: dict[Use, Used], leaf: _Glance, kept: int) -> bool:
    # Of a call that was let out the intent tells who and what; an outcome that does stands alone.
    if not leaf.actor or leaf.kind not in ("intent", "outcome"):
        return True
    use = Use(leaf.actor, leaf.tenant, leaf.client, leaf.method, leaf.server, leaf.tool)
    seen = found.get(use)
    if seen is None:
        if len(found) >= kept:
            return False
        seen = found[use] = Used("")
    if leaf.status == "refused":
        seen.refused += 1
    else:
        seen.calls += 1
        seen.last = max(seen.last, leaf.t)
    return True


def _read(raw: bytes) -> _Glance | None:
    try:
        return _glance(raw)
    except msgspec.DecodeError:
        # Of a kind that this version does not know, or damaged: to say so is the business of `verify`.
        return None
