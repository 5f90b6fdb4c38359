"""The operator's marks: which tools, resources and prompts of an upstream only read. A server's own hints are not asked."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from .catalog import Kind

__all__ = ["Marks"]


class Marks:
    """Shell patterns over an upstream's own names, per upstream and kind."""

    def __init__(self, patterns: Mapping[str, Mapping[Kind, tuple[str, ...]]]) -> None:
        self._patterns = patterns

    def reads(self, kind: Kind, upstream: str, name: str) -> bool:
        """Is it marked as reading? What nobody marked is not."""
        of_upstream = self._patterns.get(upstream)
        return of_upstream is not None and any(fnmatchcase(name, p) for p in of_upstream.get(kind, ()))
