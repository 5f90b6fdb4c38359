"""What lives as long as a server serves: opened by the first who comes, closed after the last has gone.

One task opens and closes it, so that what is inside may be bound to its task.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

__all__ = ["Lifespan"]


class Lifespan:
    def __init__(self, make: Callable[[], AbstractAsyncContextManager[Any]] | None) -> None:
        self._make = make
        self.users = 0
        """Who is within."""
        self._task: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[Any]
        self._over: asyncio.Event

    async def __aenter__(self) -> Any:
        """What it yields. Raises what opening it raises, to each who waits for it."""
        self.users += 1
        if self._make is None:
            return None
        if self._task is None:
            loop = asyncio.get_running_loop()
            self._opened, self._over = loop.create_future(), asyncio.Event()
            self._task = loop.create_task(self._live(self._make, self._opened, self._over))
        try:
            return await asyncio.shield(self._opened)
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        """The last one closes it, and hears what closing it raises."""
        self.users -= 1
        if self.users == 0 and self._task is not None:
            task, self._task = self._task, None
            self._over.set()
            await asyncio.wait({task})
            task.result()

    @staticmethod
    async def _live(
        make: Callable[[], AbstractAsyncContextManager[Any]], opened: "asyncio.Future[Any]", over: asyncio.Event
    ) -> None:
        try:
            async with make() as state:
                opened.set_result(state)
                await over.wait()
        except Exception as exc:
            if opened.done():
                raise
            opened.set_exception(exc)
        finally:
            if not opened.done():
                opened.set_exception(RuntimeError("the lifespan was cancelled before it had opened"))
