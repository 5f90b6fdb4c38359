"""The log of the process: one line an event, for people on a terminal, as JSON elsewhere.

It goes to standard error, never to standard output, which may carry the protocol. A log that cannot be written is
dropped, not waited for. Bodies of calls are not in it: they are in the audit.
"""

import logging
import sys
import time
from collections.abc import Callable
from typing import Literal, TextIO

import msgspec

__all__ = ["Sparing", "configure"]

Format = Literal["auto", "console", "json"]

_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}


class _Stream(logging.StreamHandler[TextIO]):
    """Counts what it cannot write, instead of printing a traceback for each line (a closed pipe, a full disk)."""

    dropped = 0

    def handleError(self, record: logging.LogRecord) -> None:
        self.dropped += 1


class Sparing:
    """The lines of one talkative source, at most `lines_per_s` of them; how many were left out is said once a second.

    A line of the log costs as much as a call, and a child may write a million of them.
    """

    def __init__(
        self, logger: logging.Logger, *, lines_per_s: int = 50, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger, self._lines_per_s, self._clock = logger, lines_per_s, clock
        self._second, self._written, self._left_out = 0, 0, 0

    def __call__(self, line: str) -> None:
        second = int(self._clock())
        if second != self._second:
            if self._left_out:
                self._logger.warning("%d lines were left out", self._left_out)
            self._second, self._written, self._left_out = second, 0, 0
        if self._written < self._lines_per_s:
            self._written += 1
            self._logger.info("%s", line)
        else:
            self._left_out += 1


class _Lines(logging.Formatter):
    """Text of others may stand in a message: control characters never reach the terminal or break a line."""

    def __init__(self, *, as_json: bool, colours: bool) -> None:
        super().__init__()
        self._as_json, self._colours = as_json, colours

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        level, said = record.levelname.lower(), record.getMessage()
        trace = self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] is not None else ""
        if self._as_json:
            line = {"at": at, "level": level, "logger": record.name, "event": said}
            return msgspec.json.encode(line | ({"trace": trace} if trace else {})).decode()
        said = "".join(c if c.isprintable() else "·" for c in said)
        colour = _COLOURS.get(record.levelname, "") if self._colours else ""
        end = "\x1b[0m" if colour else ""
        return f"{at} {colour}{level:<7}{end} {record.name}: {said}" + (f"\n{trace}" if trace else "")


def configure(format: Format, level: str, stream: TextIO = sys.stderr, *, colours: bool | None = None) -> None:
    """Set up logging for the process. Loggers of all rooms are the standard library's."""
    terminal = stream.isatty()
    handler = _Stream(stream)
    as_json = format == "json" or (format == "auto" and not terminal)
    handler.setFormatter(_Lines(as_json=as_json, colours=terminal if colours is None else colours))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
