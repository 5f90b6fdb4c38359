"""The policies in force, read again when their files change. A set that cannot be used leaves the old one in force."""

import logging
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from .rules import PolicyError, Rules

__all__ = ["PolicyFiles", "default_policy"]

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0

Stamp = tuple[tuple[int, int, int], ...]


def default_policy() -> str:
    """The text of the policy that Douane comes with."""
    return (files(__package__ or "") / "default.cedar").read_text(encoding="utf-8")


class PolicyFiles:
    """Calling it gives the rules in force."""

    def __init__(self, required: Sequence[Path], optional: Sequence[Path], clock: Callable[[], float]) -> None:
        """Raises PolicyError when the files cannot be used now. `optional` ones may be absent."""
        self._required, self._optional, self._clock = tuple(required), tuple(optional), clock
        self.fault: str | None = None
        """Why the files as they are now are not in force; None: they are."""
        # Looked at before it is read: what is written in between is seen as a change.
        self._stamp = self._look()
        self._rules = self._load()
        self._next_s = clock() + _LOOK_EVERY_S

    def __call__(self) -> Rules:
        now_s = self._clock()
        if now_s >= self._next_s:
            self._next_s = now_s + _LOOK_EVERY_S
            self._refresh()
        return self._rules

    def _refresh(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._rules = self._load()
        except PolicyError as exc:
            self.fault = str(exc)
            logger.error("policy: the changed files are not taken, the old rules stay in force: %s", exc)
        else:
            self.fault = None
            logger.info("policy: changed, now %s", self._rules.epoch[:12])

    def _look(self) -> Stamp:
        return tuple(_stamp(path) for path in (*self._required, *self._optional))

    def _load(self) -> Rules:
        present = [*self._required, *(path for path in self._optional if path.exists())]
        try:
            return Rules([(path.name, path.read_text(encoding="utf-8")) for path in present])
        except (OSError, UnicodeDecodeError) as exc:
            raise PolicyError(f"policy: a file cannot be read: {exc}") from None


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
