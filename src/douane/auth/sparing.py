"""What is worth a line: a flood of refusals must not buy a flood of commits."""

from collections.abc import Hashable

__all__ = ["Sparing"]

_MAX_PER_S = 64
"""Of all kinds together: a thousand sources must not buy a thousand commits."""


class Sparing:
    """Knows what has been said in this second."""

    def __init__(self) -> None:
        self._second, self._said = -1, set[Hashable]()

    def is_first(self, kind: Hashable, now_s: float) -> bool:
        """Whether nothing of this kind was said in this second yet, and there is room for it. `now_s` is monotonic."""
        if int(now_s) != self._second:
            self._second = int(now_s)
            self._said.clear()
        if kind in self._said or len(self._said) >= _MAX_PER_S:
            return False
        self._said.add(kind)
        return True
