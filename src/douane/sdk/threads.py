"""Plain functions in threads, so that a slow one does not hold up the loop.

Daemon threads: a function that never returns must not keep a server alive whose client has gone, as the threads of
`concurrent.futures` would.
"""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

__all__ = ["Threads"]

logger = logging.getLogger(__name__)

_Work = tuple[Callable[[], Any], contextvars.Context, asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Threads:
    """Up to `most` threads, started when they are needed; more work than that waits its turn."""

    def __init__(self, most: int = 40) -> None:
        self._most = most
        self._crew = _Crew()

    def run(self, function: Callable[[], Any]) -> "asyncio.Future[Any]":
        """What `function` returns or raises. Cancelling gives up waiting: the function itself runs on."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._crew.put((function, contextvars.copy_context(), loop, future), self._most)
        return future

    @contextmanager
    def waiting(self) -> Generator[None]:
        """For a thread of these that waits for a person: another may work meanwhile."""
        crew = self._crew
        crew.lend(1, self._most)
        try:
            yield
        finally:
            crew.lend(-1, self._most)

    def close(self) -> None:
        """Every thread ends after what it is at. More may be run afterwards, by others."""
        crew, self._crew = self._crew, _Crew()
        crew.dismiss()


class _Crew:
    """Threads around one queue, so that what ends them reaches them and nobody who comes later."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._idle = self._lent = 0

    def put(self, work: _Work, most: int) -> None:
        with self._lock:
            if self._idle <= self._queue.qsize() and self._threads - self._lent < most:
                self._start()
        self._queue.put(work)

    def lend(self, threads: int, most: int) -> None:
        """So many fewer can be counted on; what waits its turn is taken up by a new one."""
        with self._lock:
            self._lent += threads
            if self._idle < self._queue.qsize() and self._threads - self._lent < most:
                self._start()

    def _start(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name=f"douane-tool-{self._threads}", daemon=True).start()

    def dismiss(self) -> None:
        self._queue.put(None)

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            work = self._queue.get()
            with self._lock:
                self._idle -= 1
            if work is None:
                # For the next. One for each would not do: a thread that waits for a person may still be joined by another.
                self._queue.put(None)
                return
            function, context, loop, future = work
            if not future.cancelled():
                _settle(loop, future, *_outcome(function, context))
            # An idle thread must not keep the last call's arguments alive.
            del work, function, context, loop, future


def _outcome(function: Callable[[], Any], context: contextvars.Context) -> tuple[Any, Exception | None]:
    try:
        return context.run(function), None
    except StopIteration as exc:
        # A future refuses this one.
        return None, RuntimeError(repr(exc))
    except Exception as exc:
        return None, exc
    except BaseException as exc:
        # SystemExit from a library is the end of the call, not of the server.
        return None, RuntimeError(repr(exc))


def _settle(
    loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Any]", value: Any, fault: Exception | None
) -> None:
    def settle() -> None:
        if future.done():
            return
        if fault is None:
            future.set_result(value)
        else:
            future.set_exception(fault)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        logger.info("a plain function returned after its server had gone")
