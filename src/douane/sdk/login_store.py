"""Where logins are kept between two runs of a program, and between two of its requests.

A refresh token may be used once: whoever refreshes does it alone, also among processes, and looks first whether somebody has
done it meanwhile. What was granted is on the disk before it is used: what was there before is worth nothing any more.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from ..auth.credentials import LoginFailed

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["LoginFiles", "LoginStore", "MemoryLogins"]

_POLL_S = 0.05


class LoginStore(Protocol):
    """Secrets by server. Raises LoginFailed, with the remedy, when it cannot be used."""

    def alone(self, server: str) -> AbstractAsyncContextManager[None]:
        """While it is entered nobody else changes what is kept of `server`."""
        ...

    async def get(self, server: str) -> bytes | None: ...

    async def put(self, server: str, value: bytes) -> None:
        """Durable when it returns."""
        ...


class MemoryLogins:
    """Ends with the process."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def alone(self, server: str) -> AbstractAsyncContextManager[None]:
        return self._locks.setdefault(server, asyncio.Lock())

    async def get(self, server: str) -> bytes | None:
        return self._kept.get(server)

    async def put(self, server: str, value: bytes) -> None:
        self._kept[server] = value


class LoginFiles:
    """A file per server, readable by its owner only, in a folder that is nobody else's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def alone(self, server: str) -> AsyncGenerator[None]:
        # The lock of a file does not keep out a second task of its own process.
        async with self._locks.setdefault(server, asyncio.Lock()):
            handle = self._opened(server)
            try:
                # Another process has it, which wakes nobody here.
                while not _locked(handle):  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)
                yield
            finally:
                os.close(handle)

    async def get(self, server: str) -> bytes | None:
        try:
            return await asyncio.to_thread(self._path(server, "json").read_bytes)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise LoginFailed(f"client: the login kept in {self._folder} cannot be read: {exc.strerror}") from exc

    async def put(self, server: str, value: bytes) -> None:
        try:
            await asyncio.to_thread(_write, self._path(server, "json"), value)
        except OSError as exc:
            raise LoginFailed(f"client: the login cannot be kept in {self._folder}: {exc.strerror}") from exc

    def _opened(self, server: str) -> int:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._folder.stat().st_mode & 0o077:
                raise LoginFailed(f"client: others may look into {self._folder}, where logins are kept; chmod 700 it")
            return os.open(self._path(server, "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise LoginFailed(f"client: logins cannot be kept in {self._folder}: {exc.strerror}") from exc

    def _path(self, server: str, kind: str) -> Path:
        return self._folder / f"{hashlib.sha256(server.encode()).hexdigest()[:32]}.{kind}"


def _locked(handle: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, value: bytes) -> None:
    beside = path.with_suffix(f".{os.getpid()}.new")
    handle = os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(handle)
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
