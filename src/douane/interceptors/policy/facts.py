"""What policies see of a call's arguments: `context.arguments`, and in `context.dropped` what is not as it was sent.

Cedar has no fractions and no null. A null is left out, as if it had not been sent. What else Cedar cannot hold, or is too
much to look at, is there but unknown: a rule that must know it fails, and a rule that fails refuses the call. So nobody
gets past a `forbid` by making an argument too long to read.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["MAX_CHARS", "MAX_TEXT", "MAX_VALUES", "arguments_of"]

MAX_TEXT = 16_384
"""Characters of one string. Cedar takes about 12 µs for each 1,000."""
MAX_CHARS = 65_536
"""Of all strings and keys together."""
MAX_VALUES = 1_000
"""Values of all kinds together; 1,000 cost about 1 ms."""
_MAX_DEPTH = 8
_MAX_PATH = 256
_ESCAPES = frozenset({"__entity", "__extn", "__expr"})
"""What Cedar's JSON form reads as something else than a record."""
_UNKNOWN: Mapping[str, Any] = {"__extn": {"fn": "unknown", "arg": "argument"}}


class _TooMuch(Exception):
    """The rest cannot be looked at."""


def arguments_of(arguments: object) -> tuple[Any, list[str]]:
    """`context.arguments` and `context.dropped`."""
    if not isinstance(arguments, dict) or not arguments:
        return {}, []
    if len(arguments) > MAX_VALUES or arguments.keys() & _ESCAPES:
        return _UNKNOWN, ["*"]
    fitting = _Fitting()
    kept = {key: _top(fitting, key, value) for key, value in arguments.items()}
    return {key: value for key, value in kept.items() if value is not None}, fitting.dropped


def _top(fitting: "_Fitting", key: str, value: Any) -> Any:
    try:
        fitting.spend(len(key))
        return fitting.take(value, key, 1)
    except _TooMuch:
        fitting.dropped.append(key[:_MAX_PATH])
        return _UNKNOWN


class _Fitting:
    def __init__(self) -> None:
        self.dropped: list[str] = []
        self._values, self._chars = MAX_VALUES, MAX_CHARS

    def spend(self, chars: int) -> None:
        self._values -= 1
        self._chars -= chars
        if self._values < 0 or self._chars < 0:
            raise _TooMuch

    def take(self, value: Any, path: str, depth: int) -> Any:
        """`value` as Cedar can hold it, unknown where it cannot, None for null. Raises _TooMuch."""
        if isinstance(value, str) and len(value) <= MAX_TEXT and _is_text(value):
            self.spend(len(value))
            return value
        self.spend(0)
        if isinstance(value, bool) or (isinstance(value, int) and -(2**63) <= value < 2**63):
            return value
        if isinstance(value, dict) and depth < _MAX_DEPTH and not value.keys() & _ESCAPES:
            return self._record(value, path, depth)
        if isinstance(value, list) and depth < _MAX_DEPTH:
            taken = [self.take(inner, f"{path}[]", depth + 1) for inner in value]
            return [inner for inner in taken if inner is not None]
        self.dropped.append(path[:_MAX_PATH])
        return None if value is None else _UNKNOWN

    def _record(self, value: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, inner in value.items():
            self.spend(len(key))
            taken = self.take(inner, f"{path}.{key}"[: _MAX_PATH + 1], depth + 1)
            if taken is not None:
                made[key] = taken
        return made


def _is_text(value: str) -> bool:
    # A lone surrogate is no text; Cedar would refuse the whole request.
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
