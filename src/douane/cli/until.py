"""When something ends, as people write it: a moment, or how long from now. Pure: the time is an argument."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

__all__ = ["EndFault", "end_of", "length_of"]

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:[0-9]{1,9}[wdhms])+", re.ASCII)
_PART = re.compile(r"([0-9]+)([wdhms])", re.ASCII)
_OFFSET = "Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]"
_MOMENT = re.compile(
    rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[T ][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}})?(?:{_OFFSET})?)?", re.ASCII
)
_FORMS = "write 2027-01-31, 2027-01-31T12:00, 2027-01-31T12:00Z, or how long from now: 90m, 12h, 7d, 2w, 1d12h"


class EndFault(ValueError):
    """It cannot be read, or has passed. The text says which, and how to write it."""


def end_of(text: str, now: datetime, local: Callable[[datetime], datetime] = datetime.astimezone) -> datetime:
    """The end that `text` means, in whole seconds, with a time zone: its own, else the one that `local` gives it.

    A date alone is its first moment. `local` is asked about that moment, as half of the year its offset is another
    than now. Raises EndFault.
    """
    try:
        end = _read(text, now, local).replace(microsecond=0)
        end.astimezone(UTC)  # as the rule will say it
    except OverflowError:
        raise EndFault(f"{text!r} lies outside the years 1 to 9999") from None
    if end <= now:
        raise EndFault(f"{text!r} is {end.isoformat()}, which has passed: such a rule would permit nothing")
    return end


def length_of(text: str) -> timedelta:
    """How long `text` means: 90d, 12h, 1d12h. Raises EndFault."""
    if not _DURATION.fullmatch(text):
        raise EndFault(f"{text!r} is no length of time; write 90m, 12h, 7d, 2w, 1d12h")
    try:
        return timedelta(**_lengths(text))
    except OverflowError:
        raise EndFault(f"{text!r} is longer than a calendar is") from None


def _read(text: str, now: datetime, local: Callable[[datetime], datetime]) -> datetime:
    if _DURATION.fullmatch(text):
        return now + timedelta(**_lengths(text))
    if not _MOMENT.fullmatch(text):
        raise EndFault(f"{text!r} is no time; {_FORMS}")
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is not None else local(moment)
    except ValueError as exc:
        raise EndFault(f"{text!r} is no time ({exc}); {_FORMS}") from None


def _lengths(text: str) -> dict[str, int]:
    lengths: dict[str, int] = {}
    for number, unit in _PART.findall(text):
        if _UNITS[unit] in lengths:
            raise EndFault(f"{text!r} gives {_UNITS[unit]} twice; {_FORMS}")
        lengths[_UNITS[unit]] = int(number)
    return lengths
