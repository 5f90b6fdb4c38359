"""Secrets that lie in files of their owner's, one each: a file NAME of the folder is what NAME_FILE would name."""

import os
from pathlib import Path

__all__ = ["secret_files", "write_secret"]

_OWNER_ONLY = 0o600


def secret_files(folder: Path) -> dict[str, str]:
    """The files of `folder` as the variables `NAME_FILE` that name them."""
    try:
        return {f"{path.name}_FILE": str(path) for path in folder.iterdir() if path.is_file() and path.name[:1] != "."}
    except OSError:
        return {}


def write_secret(path: Path, value: str) -> None:
    """Make the file, for its owner alone. Raises OSError, also when there is one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    try:
        with os.fdopen(fd, "w", encoding="utf-8", newline="") as file:
            os.fchmod(fd, _OWNER_ONLY)
            file.write(value)
            file.flush()
            os.fsync(fd)
    except BaseException:
        path.unlink()
        raise
