"""The log of the process: one line an event, for people on a terminal, as JSON elsewhere.

It goes to standard error, never to standard output, which may carry the protocol. A log that cannot be written is
dropped, not waited for. Bodies of calls are not in it: they are in the audit.
"""

import logging
import sys
import time
from collections.abc import Callable
from typing import Literal, TextIO

import structlog

__all__ = ["Sparing", "configure"]

Format = Literal["auto", "console", "json"]


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


def configure(format: Format, level: str, stream: TextIO = sys.stderr) -> None:
    """Set up logging for the process. Loggers of all rooms are the standard library's."""
    terminal = stream.isatty()
    as_json = format == "json" or (format == "auto" and not terminal)
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=terminal)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
    handler = _Stream(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
