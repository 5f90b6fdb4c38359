"""Who is there: processes by a mark in their environment, descriptors and tasks of this one."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psutil

MARK = "DOUANE_TEST_MARK"


def new_mark() -> str:
    return uuid.uuid4().hex


def marked(mark: str) -> list[str]:
    """The processes, alive and not zombies, that were started with this mark, or below one that was."""
    found: list[str] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {process.name()}")
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


async def until(fact: Callable[[], bool], seconds: float) -> bool:
    """Whether something outside this process, which sends no event, came true in time."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    while not fact():
        if loop.time() > end_s:
            return False
        await asyncio.sleep(0.01)
    return True


def descriptors() -> set[str]:
    """What this process holds open. Without /dev/null: libuv keeps one in reserve for each loop that listens."""
    found = {f"{fd} {_target(fd)}" for fd in os.listdir("/proc/self/fd")}
    return {line for line in found if not line.endswith((" gone", " /dev/null"))}


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "gone"


@asynccontextmanager
async def nothing_left() -> AsyncIterator[str]:
    """A mark for the processes to start; afterwards no such process, no new descriptor, no new task."""
    mark = new_mark()
    # The loop opens what it needs for itself on first use.
    await asyncio.sleep(0)
    fds = descriptors()
    tasks = asyncio.all_tasks()
    yield mark
    assert await until(lambda: not marked(mark), 2.0), marked(mark)
    # A loop may close a socket a turn or two after it said so.
    assert await until(lambda: descriptors() == fds, 2.0), descriptors() ^ fds
    assert asyncio.all_tasks() == tasks
