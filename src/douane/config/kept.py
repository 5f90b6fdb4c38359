"""The records of this machine, as commands open them beside a running gateway."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ..stores.memory import MemoryRecords
from ..stores.ports import Records, StoreFailed
from ..stores.records import SqliteRecords
from .paths import Paths

__all__ = ["CannotRead", "Records", "records_of"]


class CannotRead(Exception):
    """The records cannot be used; the text says why."""


@asynccontextmanager
async def records_of(paths: Paths, *, make: bool = True) -> AsyncGenerator[Records]:
    """Without `make`, where there are none they are empty, and nothing is made. Raises CannotRead."""
    try:
        if make:
            paths.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        records: Records = SqliteRecords(paths.records) if make or paths.records.exists() else MemoryRecords()
    except (StoreFailed, OSError) as exc:
        raise CannotRead(f"{paths.records} cannot be used: {exc}") from None
    try:
        yield records
    except StoreFailed as exc:
        raise CannotRead(f"{paths.records} cannot be used: {exc}") from None
    finally:
        await records.aclose()
