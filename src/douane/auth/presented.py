"""The tokens callers came with, for upstreams that take others in exchange: the one place where they are kept, and not for long.

They are never on a call, so nothing that handles calls can send, record or show one.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Presented"]

W = TypeVar("W", bound=Hashable)

_KEPT_S = 3600.0
_MAX_KEPT = 10_000


class Presented(Generic[W]):
    """By who came with it: of several that are good for the same, the newest."""

    def __init__(self, now: Callable[[], float], *, most: int = _MAX_KEPT) -> None:
        self._now, self._most = now, most
        self._tokens: OrderedDict[W, tuple[str, float]] = OrderedDict()
        self.on_first: Callable[[], object] = lambda: None
        """Told when there is one, after there was none."""

    def __repr__(self) -> str:
        return f"Presented({len(self._tokens)} of at most {self._most})"

    def keep(self, who: W, token: str) -> None:
        is_first = self.latest() is None
        self._tokens[who] = (token, self._now() + _KEPT_S)
        self._tokens.move_to_end(who)
        if len(self._tokens) > self._most:
            self._tokens.popitem(last=False)
        if is_first:
            self.on_first()

    def latest(self) -> W | None:
        """Who came last, and whose token is still here."""
        who = next(reversed(self._tokens), None)
        return who if who is not None and self.of(who) is not None else None

    def of(self, who: W) -> str | None:
        token, until_s = self._tokens.get(who, ("", 0.0))
        return token if until_s > self._now() else None
