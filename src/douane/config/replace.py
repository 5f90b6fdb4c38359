"""A file replaced in one step: whoever reads it meets the old one or the new one, whole."""

import os
import secrets
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, text: str, mode: int | None = None) -> None:
    """Put `text` in the place of the file in one step, keeping its mode. Raises OSError; then nothing is changed.

    A link is followed to the file it leads to. One that leads to none is refused: whoever put it there, perhaps the
    author of a project, would say where something new is made.
    """
    for one in (path, *path.parents):
        if one.is_symlink() and not one.exists():
            raise OSError(f"{one} is a link to {one.readlink()}, which is not there; remove the link, or make that")
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if mode is None:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    new = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(text.encode())
            file.flush()
            os.fsync(fd)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
