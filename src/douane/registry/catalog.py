"""The catalog: every tool, prompt, resource and template there is, under the one name the gateway shows it by.

An upstream publishes all it offers at once and withdraws it when it fails; readers see whole generations. What two
upstreams would show under one name is shown by neither, and listed as missing with the reason.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ..protocol.call import JSON
from ..protocol.methods import KINDS, Kind

__all__ = ["KINDS", "Catalog", "Item", "Kind", "digest_of"]

_sorted = msgspec.json.Encoder(order="sorted").encode


def digest_of(definition: JSON) -> str:
    """SHA-256 of a definition, whatever the order of its members."""
    return hashlib.sha256(_sorted(definition)).hexdigest()


class Item(msgspec.Struct, frozen=True):
    """One thing an upstream offers."""

    kind: Kind
    upstream: str
    name: str
    """As the upstream names it: a name, a URI, or a URI template."""
    exposed: str
    """As the gateway shows it."""
    definition: JSON
    """As the gateway shows it."""
    digest: str


Changed = Callable[[frozenset[Kind]], None]
"""Told which lists are not what they were."""


class Catalog:
    def __init__(self) -> None:
        self.generation = 0
        """Another whenever what a caller sees is another: the lists, or what is missing from them."""
        self._offers: dict[str, tuple[Item, ...]] = {}
        self._missing: dict[str, str] = {}
        self._capabilities: dict[str, frozenset[str]] = {}
        self._clashes: tuple[str, ...] = ()
        self._shown_missing: Mapping[str, str] = {}
        self._by_name: dict[tuple[Kind, str], Item] = {}
        self._lists: dict[Kind, tuple[Item, ...]] = dict.fromkeys(KINDS, ())
        self.on_change: list[Changed] = []

    def publish(self, upstream: str, items: Sequence[Item], capabilities: frozenset[str]) -> None:
        """Everything `upstream` offers, in its own order, and what it can do. Replaces what it offered before."""
        self._capabilities[upstream] = capabilities
        self._missing.pop(upstream, None)
        self._offers[upstream] = tuple(items)
        self._rebuild()

    def withdraw(self, upstream: str, reason: str) -> None:
        """`upstream` offers nothing now; `reason` is shown to callers."""
        self._offers.pop(upstream, None)
        self._capabilities.pop(upstream, None)
        self._missing[upstream] = reason
        self._rebuild()

    @property
    def missing(self) -> Mapping[str, str]:
        """What is not in the lists, and why: upstreams by name, clashing names."""
        clashes = dict.fromkeys(self._clashes, "two upstreams show this name; the operator can set another prefix")
        return {**self._missing, **clashes}

    @property
    def capabilities(self) -> frozenset[str]:
        """What at least one upstream can do (`tools`, `completions`, …)."""
        return frozenset[str]().union(*self._capabilities.values())

    def find(self, kind: Kind, exposed: str) -> Item | None:
        return self._by_name.get((kind, exposed))

    def items(self, kind: Kind) -> tuple[Item, ...]:
        """In a fixed order: by upstream name, then as the upstream lists them."""
        return self._lists[kind]

    def reader_of(self, uri: str) -> Item | None:
        """Who serves `uri`: the resource of that name, else the template that fits with the longest literal start."""
        found = self.find("resources", uri)
        if found is not None:
            return found
        fitting = [t for t in self.items("resourceTemplates") if _fits(t.exposed, uri)]
        return max(fitting, key=lambda t: len(t.exposed.partition("{")[0]), default=None)

    def _rebuild(self) -> None:
        seen: dict[tuple[Kind, str], Item] = {}
        clashes: set[tuple[Kind, str]] = set()
        for upstream in sorted(self._offers):
            for item in self._offers[upstream]:
                key = (item.kind, item.exposed)
                other = seen.setdefault(key, item)
                if other is not item:
                    clashes.add(key)
        for key in clashes:
            del seen[key]
        lists: dict[Kind, tuple[Item, ...]] = {k: tuple(i for i in seen.values() if i.kind == k) for k in KINDS}
        changed: frozenset[Kind] = frozenset(k for k in KINDS if lists[k] != self._lists[k])
        self._by_name, self._lists = seen, lists
        self._clashes = tuple(sorted(name for _, name in clashes))
        missing = self.missing
        if changed or missing != self._shown_missing:
            self.generation += 1
            self._shown_missing = missing
        if changed:
            for tell in tuple(self.on_change):
                tell(changed)


def _fits(template: str, uri: str) -> bool:
    # Literal start and end only: a pattern made of a hostile template could take for ever to match.
    start, brace, _ = template.partition("{")
    end = template.rpartition("}")[2]
    return bool(brace) and len(uri) > len(start) + len(end) and uri.startswith(start) and uri.endswith(end)
