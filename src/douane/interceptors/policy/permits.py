"""What `douane allow` writes: one more rule, in a file of its own, whole or not at all."""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from .rules import Rules
from .vocabulary import literal

__all__ = ["append_permit", "permit_text"]

_HEAD = "// Written by `douane allow`. Remove a rule to withdraw it.\n"
_LOCK_TRIES = 100
_LOCK_PAUSE_S = 0.05


def permit_text(
    action: str, kind: str, name: str, user: str | None, group: str | None, *, until: datetime | None = None
) -> str:
    """A rule that permits `action` on what the gateway shows as `name`: to a user, a group, or every known principal.

    From `until` on it permits nothing; it needs a time zone. Raises ValueError.
    """
    if user is not None and group is not None:
        raise ValueError("either a user or a group")
    if until is not None and until.tzinfo is None:
        raise ValueError("the end needs a time zone")
    who = "principal"
    if user is not None:
        who = f"principal == Douane::User::{literal(user)}"
    elif group is not None:
        who = f"principal in Douane::Group::{literal(group)}"
    what = f'action == Douane::Action::"{action}", resource == Douane::{kind}::{literal(name)}'
    when = "" if until is None else f" when {{ context.now < datetime({_instant(until)}) }}"
    rule = f"permit ({who}, {what}){when};"
    mark = hashlib.sha256(rule.encode()).hexdigest()[:8]
    return f'@id("allow-{mark}")\n{rule}\n'


def append_permit(path: Path, text: str) -> bool:
    """Add a rule to the file at `path`. False when it stands there already.

    Two that add at the same time both do. Raises PolicyError when `text` is no rule that could be loaded, OSError.
    """
    Rules([(path.name, text)])
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone_in(path.parent) as folder:
        old = path.read_text(encoding="utf-8") if path.exists() else _HEAD
        if text in f"{old}\n":
            return False
        _replace(path, f"{old.rstrip()}\n\n{text}")
        os.fsync(folder)
    return True


def _replace(path: Path, text: str) -> None:
    fd, new = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise


@contextmanager
def _alone_in(folder: Path) -> Generator[int]:
    """The folder itself is the lock: no file is left behind. Raises OSError after 5 s."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for left in reversed(range(_LOCK_TRIES)):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if left == 0:
                    raise
                time.sleep(_LOCK_PAUSE_S)
        yield fd
    finally:
        os.close(fd)


def _instant(at: datetime) -> str:
    return literal(at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
