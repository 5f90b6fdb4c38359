"""The token made at first start: in a file that only its owner can read, shown once."""

import os
import secrets
import stat
from pathlib import Path

__all__ = ["PREFIX", "TokenUnusable", "first_token", "read_token"]

PREFIX = "dn_"
"""So that scanners for leaked secrets can know one."""
_MIN_CHARS = 32
_MAX_BYTES = 4096


class TokenUnusable(Exception):
    """The token file is not one that may be trusted; the text says the remedy."""


def first_token(path: Path) -> tuple[str, bool]:
    """The token in `path`, and whether it was made now. Raises TokenUnusable, OSError.

    Whole or not there at all: of two that start at once, one makes it and the other reads it.
    """
    if os.path.lexists(path):
        return read_token(path), False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = PREFIX + secrets.token_urlsafe(32)
    new = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        _write(new, token)
        os.link(new, path)
    except FileExistsError:
        return read_token(path), False
    finally:
        new.unlink(missing_ok=True)
    _sync(path.parent)
    return token, True


def read_token(path: Path) -> str:
    """Raises TokenUnusable, also when there is none."""
    try:
        # O_NONBLOCK: a pipe in its place must not hold the start.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            content = file.read(_MAX_BYTES) if stat.S_ISREG(found.st_mode) else b""
    except FileNotFoundError:
        raise TokenUnusable(f"there is no token at {path}; `douane up` makes one") from None
    except OSError as exc:
        raise TokenUnusable(f"{path} cannot be read: {exc.strerror}; remove it, or give it to this user") from None
    if found.st_mode & 0o077:
        raise TokenUnusable(f"others can read {path}; run: chmod 600 {path} — or remove it for a new one")
    if found.st_uid not in (0, os.geteuid()):
        raise TokenUnusable(f"{path} belongs to another user, who knows the token; remove it for a new one")
    token = content.decode("latin-1").rstrip("\r\n")
    if len(token) < _MIN_CHARS or any(not "!" <= char <= "~" for char in token):
        raise TokenUnusable(f"{path} holds no usable token; remove it, and `douane up` makes a new one")
    return token


def _write(path: Path, token: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        # A umask may have taken more than it should: the owner must be able to read it.
        os.fchmod(fd, 0o600)
        file.write(token + "\n")
        file.flush()
        os.fsync(fd)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
