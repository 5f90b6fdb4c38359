"""A file of rules that commands add to and take from: one more or one less, whole or not at all."""

import fcntl
import os
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .rules import Rules
from .source import Rule, rules_of

__all__ = ["add_rule", "remove_rule", "rules_in"]

_LOCK_TRIES = 100
_LOCK_PAUSE_S = 0.05


def rules_in(path: Path) -> list[Rule]:
    """The rules of the file at `path`, which may be absent. Raises PolicyError, OSError, UnicodeDecodeError."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return rules_of([(path.name, text)]) if _has_rules(text) else []


def add_rule(path: Path, text: str, head: str, *, instead_of: str | None = None) -> bool:
    """Add a rule to the file at `path`, which begins with `head`. False when it stands there already.

    `instead_of`: the `@id` of one that goes with the same write, if it is there. Two that add at the same time both do.
    Raises PolicyError when `text` is no rule that could be loaded, OSError.
    """
    Rules([(path.name, text)])
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone_in(path.parent) as folder:
        old = path.read_text(encoding="utf-8") if path.exists() else head
        if text in f"{old}\n":
            return False
        gone = [] if instead_of is None else [rule for rule in rules_in(path) if rule.name == instead_of]
        for rule in gone:
            old = _without(old, rule)
        _replace(path, f"{old.rstrip()}\n\n{text}")
        os.fsync(folder)
    return True


def remove_rule(path: Path, name: str) -> bool:
    """Take the rule of that `@id` out of the file at `path`. False when it is not there.

    The file goes with its last rule. Raises PolicyError, OSError, UnicodeDecodeError.
    """
    if not path.parent.is_dir():
        return False
    with _alone_in(path.parent) as folder:
        rule = next((rule for rule in rules_in(path) if rule.name == name), None)
        if rule is None:
            return False
        text = _without(path.read_text(encoding="utf-8"), rule)
        if _has_rules(text):
            _replace(path, text.rstrip() + "\n")
        else:
            path.unlink()
        os.fsync(folder)
    return True


def _without(text: str, rule: Rule) -> str:
    return text.replace(f"{rule.text}\n\n", "", 1).replace(rule.text, "", 1)


def _has_rules(text: str) -> bool:
    return any(line.strip() and not line.strip().startswith("//") for line in text.splitlines())


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
