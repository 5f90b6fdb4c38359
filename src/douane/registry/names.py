"""The names under which the gateway shows what its upstreams offer: one name for one thing.

`<prefix><own name>`, at most 64 characters of `[A-Za-z0-9_.-]`: longer names, and names with other characters, end in
eight digits of their own SHA-256, so two names never meet by being shortened. What two upstreams would still show under
one name ends in digits that are its own; URIs keep theirs, unless two upstreams have the same: then each is shown
behind the name of its upstream. All of it follows from the names alone, so a restart changes nothing. The way back is
the catalog's map.
Spec: specification/2026-07-28/server/tools.mdx (tool names); clients and the conformance suite accept 64.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence

from ..protocol.methods import Kind
from .item import KEY, Item, told_apart_as

__all__ = ["MAX_NAME", "Clashes", "exposed", "told_apart"]

MAX_NAME = 64
_OTHER = re.compile(r"[^A-Za-z0-9_.\-]")

Clashes = dict[tuple[Kind, str], tuple[Item, ...]]


def exposed(prefix: str, own: str) -> str:
    name = _OTHER.sub("_", prefix + own)
    if name == prefix + own and len(name) <= MAX_NAME:
        return name
    return _marked(name, prefix + own)


def told_apart(items: Sequence[Item]) -> tuple[list[Item], Clashes]:
    """`items` with no name twice, and what cannot be had without: the name, and all that would have it.

    In a clash all give way but what the operator named, so that none is taken for another that is not there today.
    """
    named = list(items)
    moved: set[int] = set()
    while True:
        clashes = _clashing(named)
        yielding = {at for group in clashes.values() for at in group if at not in moved and not items[at].pinned}
        if not yielding:
            stuck = {at for group in clashes.values() for at in group}
            withheld = {key: tuple(items[at] for at in group) for key, group in clashes.items()}
            return [item for at, item in enumerate(named) if at not in stuck], withheld
        # Again: what has just moved may have met a name that somebody chose for that. None moves twice.
        moved |= yielding
        for at in yielding:
            named[at] = told_apart_as(items[at], _own(items[at]))


def _clashing(items: Sequence[Item]) -> dict[tuple[Kind, str], list[int]]:
    groups: dict[tuple[Kind, str], list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        groups[item.kind, item.exposed].append(at)
    return {key: group for key, group in groups.items() if len(group) > 1}


def _own(item: Item) -> str:
    """The name that only `item` can have."""
    if KEY[item.kind] == "name":
        return _marked(item.exposed, f"{item.upstream}\0{item.name}")
    return f"douane+{item.upstream}:{item.name}"


def _marked(name: str, of: str) -> str:
    mark = hashlib.sha256(of.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME - 9]}_{mark}"
