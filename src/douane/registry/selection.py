"""What a virtual server selects of what there is."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from ..protocol.methods import Kind
from .item import Item

__all__ = ["Selection"]

_NEEDS: dict[str, tuple[Kind, ...]] = {
    "tools": ("tools",),
    "prompts": ("prompts",),
    "resources": ("resources", "resourceTemplates"),
    "subscribe": ("resources", "resourceTemplates"),
    "tasks": ("tools",),
    "ui": ("tools",),
    "completions": ("prompts", "resourceTemplates"),
}
"""Capability → what of it has to be selected for it to be worth telling of."""


class Selection:
    """Shell patterns over upstreams' own names, per upstream and kind. What matches none is not selected."""

    def __init__(self, patterns: Mapping[str, Mapping[Kind, tuple[str, ...]]]) -> None:
        self._patterns = patterns

    def concerns(self, upstream: str) -> bool:
        return upstream in self._patterns

    def has(self, kind: Kind, upstream: str, own: str) -> bool:
        return any(fnmatchcase(own, pattern) for pattern in self._patterns.get(upstream, {}).get(kind, ()))

    def selects(self, item: Item) -> bool:
        return self.has(item.kind, item.upstream, item.name)

    def narrowed(self, upstream: str, capabilities: frozenset[str]) -> frozenset[str]:
        """What of an upstream's capabilities is there for who sees the selection only."""
        kinds = {kind for kind, patterns in self._patterns.get(upstream, {}).items() if patterns}
        return frozenset(c for c in capabilities if kinds and (c not in _NEEDS or kinds & set(_NEEDS[c])))
