"""How often somebody may try: one number each, in a table that is bounded."""

from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Attempts"]

_MAX_SOURCES = 4096


class Attempts:
    """GCRA: `burst` at once, then one each `every_s`."""

    def __init__(self, clock: Callable[[], float], *, burst: int, every_s: float) -> None:
        """`clock` is monotonic."""
        self._clock, self._every_s, self._slack_s = clock, every_s, (burst - 1) * every_s
        self._free_s: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, source: str) -> float:
        """Until `source` may try; 0.0 when it may now."""
        return max(0.0, self._free_s.get(source, 0.0) - self._slack_s - self._clock())

    def count(self, source: str) -> None:
        """One more try."""
        self._free_s[source] = max(self._free_s.get(source, 0.0), self._clock()) + self._every_s
        self._free_s.move_to_end(source)
        if len(self._free_s) > _MAX_SOURCES:
            self._free_s.popitem(last=False)

    def forget(self, source: str) -> None:
        """It got it right: nothing is held against it."""
        self._free_s.pop(source, None)
