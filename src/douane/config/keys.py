"""What `douane key` does: keys for programs, in the records that a running gateway reads."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ..auth.api_keys import ApiKey, all_keys, make_key, revoke_key
from ..stores.ports import Records, StoreFailed
from ..stores.records import SqliteRecords
from .admission import OWNER
from .paths import Paths

__all__ = ["OWNER", "ApiKey", "CannotRead", "Records", "all_keys", "key_records", "make_key", "revoke_key"]


class CannotRead(Exception):
    """The records cannot be used; the text says why."""


@asynccontextmanager
async def key_records(paths: Paths) -> AsyncGenerator[Records]:
    """Raises CannotRead."""
    try:
        paths.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        records = SqliteRecords(paths.records)
    except (StoreFailed, OSError) as exc:
        raise CannotRead(f"{paths.records} cannot be used: {exc}") from None
    try:
        yield records
    except StoreFailed as exc:
        raise CannotRead(f"{paths.records} cannot be used: {exc}") from None
    finally:
        await records.aclose()
