"""Files that others name, read without waiting for what is no file (a pipe, a terminal) and never without an end."""

import os
import stat
from pathlib import Path

__all__ = ["read_regular"]


def read_regular(path: Path, most: int) -> bytes:
    """The content, of at most `most` bytes. Raises OSError, and ValueError for a path that no file can have."""
    # Not blocking: to open a pipe waits for who writes into it.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError("it is no file")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"it is larger than {most // 1024} KiB")
    return content
