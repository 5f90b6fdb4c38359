"""Where a server keeps its tasks: a promise, and the keeping of it in memory, which a restart loses."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from ..protocol.call import Principal
from ..protocol.tasks import Task

__all__ = ["MemoryTasks", "TaskStore", "TasksFull"]


_Identity = tuple[str, str, str]


class TasksFull(Exception):
    """No more tasks can be kept, of this principal or of all. The text says which, and what helps."""


class TaskStore(Protocol):
    """Each task belongs to one principal: for any other it is not there. One past its time is not there for anybody."""

    async def add(self, owner: Principal, task: Task) -> None:
        """Once this has returned, `find` finds it. Raises TasksFull."""
        ...

    async def update(self, task: Task) -> None:
        """Of one that is gone nothing is kept."""
        ...

    async def find(self, owner: Principal, id: str) -> Task | None: ...

    async def all_of(self, owner: Principal) -> Sequence[Task]:
        """In the order they were added."""
        ...

    async def aclose(self) -> None: ...


class MemoryTasks:
    def __init__(self, *, max_tasks: int, max_per_principal: int) -> None:
        self._max_tasks, self._max_per_principal = max_tasks, max_per_principal
        self._kept: dict[str, tuple[_Identity, Task, asyncio.TimerHandle | None]] = {}
        self._held: Counter[_Identity] = Counter()

    def __len__(self) -> int:
        return len(self._kept)

    async def add(self, owner: Principal, task: Task) -> None:
        who = owner.identity
        if self._held[who] >= self._max_per_principal:
            raise TasksFull(f"{self._held[who]} of your tasks are kept; more when the first of them expires")
        if len(self._kept) >= self._max_tasks:
            raise TasksFull(f"{len(self._kept)} tasks of all callers are kept; more when the first of them expires")
        timer = None
        if task.ttl_ms is not None:
            timer = asyncio.get_running_loop().call_later(task.ttl_ms / 1000, self._drop, task.id)
        self._kept[task.id] = who, task, timer
        self._held[who] += 1

    async def update(self, task: Task) -> None:
        kept = self._kept.get(task.id)
        if kept is not None:
            self._kept[task.id] = kept[0], task, kept[2]

    async def find(self, owner: Principal, id: str) -> Task | None:
        kept = self._kept.get(id)
        return kept[1] if kept is not None and kept[0] == owner.identity else None

    async def all_of(self, owner: Principal) -> Sequence[Task]:
        return [task for other, task, _ in self._kept.values() if other == owner.identity]

    async def aclose(self) -> None:
        for id_, (_, _, timer) in tuple(self._kept.items()):
            if timer is not None:
                timer.cancel()
            self._drop(id_)

    def _drop(self, id_: str) -> None:
        owner = self._kept.pop(id_)[0]
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
