"""The promises kept in one SQLite file.

A bundle is one row and one autocommit statement: fewer steps mean fewer times that the writer thread gives
the interpreter away and has to wait for it again. The connection that writes is the only one that moves the
write-ahead log into the file, because two doing it is what the WAL-reset bug of SQLite before 3.51.3 needed;
readers open the file read-only.

Not here: retrying. After an I/O error the ledger is dead, and says so to every later call.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol, cast

import apsw

from douane.stores.ports import AlreadyThere, Bundle, Row, StoreBusy, StoredCheckpoint, StoreFailed

OLDEST_SQLITE = (3, 51, 3)
WAL_LIMIT_BYTES = 16 << 20
"""The write-ahead log is moved into the file at this size even under load."""
WAL_IDLE_BYTES = 1 << 20
"""When idle, already at this size: small enough that reopening after a kill replays nothing noticeable."""

# 8 KiB: at 32 leaves a commit 12 % less CPU than 4 KiB (fewer, larger WAL frames), at 1 leaf no dearer.
_SCHEMA = """
PRAGMA page_size=8192;
CREATE TABLE IF NOT EXISTS bundle(first INTEGER PRIMARY KEY, n INTEGER NOT NULL, at_ns INTEGER NOT NULL,
  oldest_open INTEGER NOT NULL, root BLOB NOT NULL, entries BLOB NOT NULL, hashes BLOB NOT NULL, payloads
  BLOB) STRICT;
CREATE TABLE IF NOT EXISTS checkpoint(size INTEGER PRIMARY KEY, note TEXT NOT NULL, frontier BLOB NOT NULL)
STRICT; CREATE TABLE IF NOT EXISTS actor(pseudonym TEXT PRIMARY KEY, subject TEXT NOT NULL) STRICT, WITHOUT
ROWID; CREATE TABLE IF NOT EXISTS spent(token TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
_INSERT = "INSERT INTO bundle VALUES(?,?,?,?,?,?,?,?)"
_ROWS = {"actor": "INTO actor VALUES(?,?)", "spent": "INTO spent VALUES(?)"}


def require_sound_sqlite() -> None:
    version = apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")) < OLDEST_SQLITE:
        raise StoreFailed(
            f"SQLite {version} can damage the audit file (WAL-reset bug): 3.51.3 is needed, reinstall apsw"
        )


class _Cursor(Protocol):
    def __iter__(self) -> Iterator[Any]: ...

    @property
    def get(self) -> Any: ...


class _Db(Protocol):
    """What we use of apsw.Connection, whose own types need Python 3.12."""

    def execute(self, statements: str, bindings: Sequence[object] = (), /) -> _Cursor: ...
    def wal_checkpoint(self, dbname: None = None, mode: int = 0) -> tuple[int, int]: ...
    def config(self, op: int, value: int, /) -> int: ...
    def set_busy_timeout(self, milliseconds: int) -> None: ...
    def close(self) -> None: ...


class _Queries:
    """The reading half, over one connection."""

    def __init__(self, path: Path, connection: _Db) -> None:
        self._path = path
        self._db = connection

    def head(self) -> Bundle | None:
        return next(self._rows("SELECT * FROM bundle ORDER BY first DESC LIMIT 1", ()), None)

    def bundles(self, first: int = 0) -> Iterator[Bundle]:
        return self._rows(
            "SELECT * FROM bundle WHERE first >="
            " coalesce((SELECT max(first) FROM bundle WHERE first <= ?), 0) ORDER BY first",
            (first,),
        )

    def checkpoints(self) -> Iterator[StoredCheckpoint]:
        with self._reported():
            yield from map(StoredCheckpoint._make, self._db.execute("SELECT * FROM checkpoint ORDER BY size"))

    def last_checkpoint(self) -> StoredCheckpoint | None:
        with self._reported():
            row = self._db.execute("SELECT * FROM checkpoint ORDER BY size DESC LIMIT 1").get
        return StoredCheckpoint._make(row) if row else None

    def subject(self, pseudonym: str) -> str | None:
        with self._reported():
            return self._db.execute("SELECT subject FROM actor WHERE pseudonym = ?", (pseudonym,)).get

    def close(self) -> None:
        self._db.close()

    def _rows(self, sql: str, bindings: tuple[int, ...]) -> Iterator[Bundle]:
        with self._reported():
            yield from map(Bundle._make, self._db.execute(sql, bindings))

    def _reported(self) -> _Reported:
        return _Reported(self._path)


class _Reported:
    """Turns what apsw and the operating system raise into StoreFailed, and nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, fault: BaseException | None, trace: object) -> None:
        if isinstance(fault, (apsw.Error, OSError)):
            raise StoreFailed(f"{self._path.name}: {type(fault).__name__}: {fault}") from fault


class SqliteReader(_Queries):
    """Reads an audit file that another connection or process may be writing. Never creates or changes one."""

    def __init__(self, path: Path) -> None:
        """Raises StoreFailed: no such file, or not one of ours."""
        require_sound_sqlite()
        with _Reported(path):
            connection = cast("_Db", apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY))
            connection.set_busy_timeout(1000)
            super().__init__(path, connection)
            try:
                _ = connection.execute("SELECT 1 FROM bundle LIMIT 1").get
            except apsw.Error:
                connection.close()
                raise


class SqliteLedger(_Queries):
    """A Ledger in one file. `exclusive` keeps SQLite's shared memory out of use, for a VFS that has none."""

    instant: bool = False

    def __init__(self, path: Path, *, vfs: str | None = None, exclusive: bool = False) -> None:
        """Open or create `path` (mode 0600).

        Raises StoreBusy at once when another process has it, StoreFailed when it cannot be opened or is no
        ledger.
        """
        require_sound_sqlite()
        self._dead: str | None = None
        self._wal_bytes = 0
        self._claim = _claim(path.with_name(path.name + ".lock"))
        try:
            with _Reported(path):
                connection = _connected(path, vfs, exclusive)
        except BaseException:
            self._claim.close()
            raise
        super().__init__(path, connection)

    def append(self, bundle: Bundle, also: Sequence[Row] = ()) -> None:
        self._require_alive()
        try:
            if also:
                self._append_with(bundle, also)
            else:
                self._db.execute(_INSERT, bundle)
        except (apsw.Error, OSError) as fault:
            raise self._died(fault) from fault
        self._wal_bytes += len(bundle.entries) + len(bundle.hashes) + len(bundle.payloads or b"") + 16384

    def save_checkpoint(self, checkpoint: StoredCheckpoint, instead_of: int | None = None) -> None:
        self._require_alive()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if instead_of is not None:
                self._db.execute("DELETE FROM checkpoint WHERE size = ?", (instead_of,))
            self._db.execute("INSERT OR REPLACE INTO checkpoint VALUES(?,?,?)", checkpoint)
            self._db.execute("COMMIT")
        except (apsw.Error, OSError) as fault:
            raise self._died(fault) from fault
        self._wal_bytes += 32768

    def tidy(self, *, idle: bool) -> None:
        self._require_alive()
        if self._wal_bytes < (WAL_IDLE_BYTES if idle else WAL_LIMIT_BYTES):
            return
        self._wal_bytes = 0
        try:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except (apsw.Error, OSError) as fault:
            raise self._died(fault) from fault

    def free_bytes(self) -> int | None:
        """Raises StoreFailed when the file system does not answer."""
        with self._reported():
            disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize

    def close(self) -> None:
        """Closing after a failure leaves the file as it is: the next opening recovers it."""
        with suppress(apsw.Error):
            super().close()
        self._claim.close()

    def _append_with(self, bundle: Bundle, also: Sequence[Row]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for row in also:
            how = "INSERT " if row.must_be_new else "INSERT OR IGNORE "
            try:
                self._db.execute(how + _ROWS[row.table], row.values)
            except apsw.ConstraintError:
                self._db.execute("ROLLBACK")
                raise AlreadyThere(row) from None
        self._db.execute(_INSERT, bundle)
        self._db.execute("COMMIT")

    def _require_alive(self) -> None:
        if self._dead is not None:
            raise StoreFailed(self._dead)

    def _died(self, fault: Exception) -> StoreFailed:
        self._dead = f"{self._path.name}: {type(fault).__name__}: {fault}"
        # Closing would move the log into the file, taking frames for written that the kernel dropped.
        self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return StoreFailed(self._dead)


def _connected(path: Path, vfs: str | None, exclusive: bool) -> _Db:
    if vfs is None:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = cast("_Db", apsw.Connection(str(path), vfs=vfs))
    try:
        if exclusive:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.set_busy_timeout(1000)
        connection.execute(_SCHEMA.partition(";")[0])
        if connection.execute("PRAGMA journal_mode=WAL").get != "wal":
            raise OSError("this file system cannot hold a write-ahead log")
        # Before the first table: its creation is as durable as all that follows.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA mmap_size=0")
        connection.execute(_SCHEMA.partition(";")[2])
    except BaseException:
        connection.close()
        raise
    return connection


def _claim(lock: Path) -> IO[str]:
    """Own `lock` until the file returned is closed, or the process ends however it ends."""
    try:
        file = os.fdopen(os.open(lock, os.O_CREAT | os.O_RDWR, 0o600), "r+")
    except OSError as fault:
        raise StoreFailed(f"{lock.name}: {fault}") from fault
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = file.read().strip() or "unknown"
        file.close()
        raise StoreBusy(
            f"{lock.parent} is in use by process {holder}:"
            " stop that gateway, or give this one a data directory of its own"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
