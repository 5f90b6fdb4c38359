"""The token made at first start: in a file that only its owner can read, shown once."""

import os
import secrets
import stat
from pathlib import Path

__all__ = ["PREFIX", "TokenUnusable", "first_token", "read_token"]

PREFIX = "dn_"
_MIN_CHARS = 32


class TokenUnusable(Exception):
    """The token file is not one that may be trusted; the text says the remedy."""


def first_token(path: Path) -> tuple[str, bool]:
    """The token in `path`, and whether it was made now. Raises TokenUnusable, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = PREFIX + secrets.token_urlsafe(32)
    try:
        # O_EXCL: of two that start at once, one makes it and the other reads it.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_token(path), False
    with os.fdopen(fd, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    return token, True


def read_token(path: Path) -> str:
    """Raises TokenUnusable, also when there is none."""
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            token = file.read(4096).rstrip("\r\n")
    except FileNotFoundError:
        raise TokenUnusable(f"there is no token at {path}; `douane up` makes one") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise TokenUnusable(f"{path} cannot be read: {exc}") from None
    if mode & 0o077:
        raise TokenUnusable(f"others can read {path}; run: chmod 600 {path} — or remove it for a new one")
    if len(token) < _MIN_CHARS or any(not 0x21 <= ord(char) <= 0x7E for char in token):
        raise TokenUnusable(f"{path} holds no usable token; remove it, and `douane up` makes a new one")
    return token
