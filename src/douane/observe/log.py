"""The log of the process: one line an event, for people on a terminal, as JSON elsewhere.

It goes to standard error, never to standard output, which may carry the protocol. A log that cannot be written is
dropped, not waited for. Bodies of calls are not in it: they are in the audit.
"""

import logging
import sys
from typing import Literal, TextIO

import structlog

__all__ = ["configure"]

Format = Literal["auto", "console", "json"]


class _Stream(logging.StreamHandler[TextIO]):
    """Counts what it cannot write, instead of printing a traceback for each line (a closed pipe, a full disk)."""

    dropped = 0

    def handleError(self, record: logging.LogRecord) -> None:
        self.dropped += 1


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
