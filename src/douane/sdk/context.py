"""What a function may know of, and say during, the call it serves."""

import asyncio
from collections.abc import Callable
from threading import get_ident
from typing import Any, Literal

from ..flow.chain import Emit
from ..protocol.call import Call, Event, Principal
from .session import LEVELS

__all__ = ["Context", "Level"]

Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


class Context:
    """One call. A function that has a parameter of this type is given it; the caller never sees that parameter.

    Everything here may be used from the thread of a plain function as from a coroutine, and does nothing once the call
    has ended.
    """

    __slots__ = ("_call", "_emit", "_ended", "_last", "_loop", "_thread", "state")

    def __init__(self, call: Call, emit: Emit, loop: asyncio.AbstractEventLoop, thread: int, state: Any) -> None:
        self._call, self._emit, self._loop, self._thread = call, emit, loop, thread
        self._ended = False
        self._last = float("-inf")
        self.state = state
        """What the server's `lifespan` has opened; None without one. The same for every call."""

    @property
    def call_id(self) -> str:
        """Ours, unique for ever: what the log of the server calls this call."""
        return self._call.id

    @property
    def principal(self) -> Principal:
        """Who asks, as the door has proved it."""
        return self._call.principal

    @property
    def cancelled(self) -> bool:
        """Nobody waits any more. A coroutine is interrupted; a plain function in its thread has to look here."""
        return self._ended

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far it is. Sent when the caller wants to hear it, and `done` is more than it was.

        Spec: specification/2026-07-28/basic/patterns/progress.mdx (progress must increase).
        """
        if not self._call.wants_progress or done <= self._last:
            return
        self._last = done
        params: dict[str, Any] = {"progress": done}
        if total is not None:
            params["total"] = total
        if message is not None:
            params["message"] = message
        self._say(Event("notifications/progress", params))

    def log(self, level: Level, data: Any, *, logger: str | None = None) -> None:
        """A log message for the caller, if it wants those of that level. `data` is anything JSON can hold."""
        wanted = self._call.log_level
        if wanted is None or LEVELS[level] < LEVELS[wanted]:
            return
        params: dict[str, Any] = {"level": level, "data": data}
        if logger is not None:
            params["logger"] = logger
        self._say(Event("notifications/message", params))

    def debug(self, data: Any) -> None:
        self.log("debug", data)

    def info(self, data: Any) -> None:
        self.log("info", data)

    def warning(self, data: Any) -> None:
        self.log("warning", data)

    def error(self, data: Any) -> None:
        self.log("error", data)

    def end(self) -> None:
        """The call is over. For the server's own use."""
        self._ended = True

    def _say(self, event: Event) -> None:
        if get_ident() == self._thread:
            self._deliver(event)
        else:
            # In order with the answer: the thread's result comes over the same queue, later.
            _quietly(self._loop, self._deliver, event)

    def _deliver(self, event: Event) -> None:
        if not self._ended:
            self._emit(event)


def _quietly(loop: asyncio.AbstractEventLoop, what: Callable[[Event], None], event: Event) -> None:
    try:
        loop.call_soon_threadsafe(what, event)
    except RuntimeError:
        # The loop is closed: the server has gone while its thread still worked.
        return
