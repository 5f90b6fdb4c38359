"""Records in one SQLite file, which several processes may use.

Each call is one statement on a thread of its own, so the event loop never waits for a disk. A value is found again by
its kind and key; whether it may be changed is decided by its version inside the statement that changes it.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw

from .ports import NEW, Conflict, Record, StoreFailed
from .sqlite import require_sound_sqlite

__all__ = ["SqliteRecords"]

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record(kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL,
  expires_s REAL, PRIMARY KEY(kind, key)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS record_expires ON record(expires_s) WHERE expires_s IS NOT NULL;
"""
_COLUMNS = "SELECT key, value, version, expires_s FROM record WHERE kind = ? AND "
_THERE = "(expires_s IS NULL OR expires_s > ?)"
_BUSY_MS = 5000
_TIDY_EVERY = 256
"""Puts between two looks for what has expired."""


class SqliteRecords:
    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        """Open or create `path` (mode 0600). `now`: Unix seconds. Raises StoreFailed."""
        require_sound_sqlite()
        self._path, self._now = path, now
        self._puts = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")
        try:
            self._db: Any = self._thread.submit(_connected, path).result()
        except (apsw.Error, OSError) as exc:
            self._thread.shutdown()
            raise StoreFailed(f"{path.name}: {type(exc).__name__}: {exc}") from exc

    async def get(self, kind: str, key: str) -> Record | None:
        def work() -> Record | None:
            row = self._db.execute(_COLUMNS + "key = ? AND " + _THERE, (kind, key, self._now())).get
            return Record._make(row) if row else None

        return await self._apart(work)

    async def put(self, kind: str, key: str, value: bytes, *, version: int, expires_s: float | None = None) -> int:
        def work() -> int:
            self._tidy()
            if version == NEW:
                # What has expired and was not yet swept is not there either.
                sql = (
                    "INSERT INTO record VALUES(?1, ?2, ?3, 1, ?4) ON CONFLICT DO UPDATE SET"
                    " value = ?3, version = 1, expires_s = ?4 WHERE expires_s <= ?5"
                )
                self._db.execute(sql, (kind, key, value, expires_s, self._now()))
            else:
                sql = (
                    "UPDATE record SET value = ?3, version = version + 1, expires_s = ?4"
                    " WHERE kind = ?1 AND key = ?2 AND version = ?6 AND (expires_s IS NULL OR expires_s > ?5)"
                )
                self._db.execute(sql, (kind, key, value, expires_s, self._now(), version))
            return self._changed(kind, version + 1)

        return await self._apart(work)

    async def take(self, kind: str, key: str, *, version: int) -> None:
        def work() -> None:
            sql = "DELETE FROM record WHERE kind = ? AND key = ? AND version = ? AND " + _THERE
            self._db.execute(sql, (kind, key, version, self._now()))
            self._changed(kind, version)

        await self._apart(work)

    async def find(self, kind: str, prefix: str = "", *, after: str = "", most: int = 1000) -> Sequence[Record]:
        def work() -> list[Record]:
            # From the prefix on: without that SQLite would read all that comes before.
            wanted = "key >= ? AND key > ? AND substr(key, 1, ?) = ? AND "
            sql = _COLUMNS + wanted + _THERE + " ORDER BY key LIMIT ?"
            rows = self._db.execute(sql, (kind, prefix, after, len(prefix), prefix, self._now(), most))
            return [Record._make(row) for row in rows]

        return await self._apart(work)

    async def aclose(self) -> None:
        if self._db is not None:
            await self._apart(self._db.close)
            self._db = None
            self._thread.shutdown()

    def _changed(self, kind: str, version: int) -> int:
        if self._db.changes() == 0:
            raise Conflict(f"{kind} has changed")
        return version

    def _tidy(self) -> None:
        self._puts += 1
        if self._puts % _TIDY_EVERY == 1:
            self._db.execute("DELETE FROM record WHERE expires_s <= ?", (self._now(),))

    async def _apart(self, work: Callable[[], T]) -> T:
        if self._db is None:
            raise StoreFailed(f"{self._path.name} is closed")
        try:
            # What was begun is finished: who gives up waiting must not leave it half known.
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))
        except (apsw.Error, OSError) as exc:
            raise StoreFailed(f"{self._path.name}: {type(exc).__name__}: {exc}") from exc


def _connected(path: Path) -> object:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = cast("Any", apsw.Connection(str(path)))
    try:
        connection.set_busy_timeout(_BUSY_MS)
        if connection.execute("PRAGMA journal_mode=WAL").get != "wal":
            raise OSError("this file system cannot hold a write-ahead log")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
