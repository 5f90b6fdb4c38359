"""What `douane allow` writes: one more rule, in a file of its own, whole or not at all."""

import hashlib
import os
from pathlib import Path

__all__ = ["append_permit", "permit_text"]


def permit_text(action: str, kind: str, name: str, user: str | None, group: str | None) -> str:
    """A rule that permits `action` on what the gateway shows as `name`: to a user, a group, or every known principal."""
    if user is not None and group is not None:
        raise ValueError("either a user or a group")
    who = "principal"
    if user is not None:
        who = f"principal == Douane::User::{_quoted(user)}"
    elif group is not None:
        who = f"principal in Douane::Group::{_quoted(group)}"
    rule = f'permit ({who}, action == Douane::Action::"{action}", resource == Douane::{kind}::{_quoted(name)});'
    mark = hashlib.sha256(rule.encode()).hexdigest()[:8]
    return f'@id("allow-{mark}")\n{rule}\n'


def append_permit(path: Path, text: str) -> bool:
    """Add a rule to the file at `path`. False when it stands there already."""
    old = (
        path.read_text(encoding="utf-8")
        if path.exists()
        else "// Written by `douane allow`. Remove a rule to withdraw it.\n"
    )
    if text in old:
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(path.name + ".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(f"{old.rstrip()}\n\n{text}")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return True


def _quoted(text: str) -> str:
    # A Cedar string literal: JSON's escapes of quotes, backslashes and controls, but \u{…} for the rest.
    parts = [c if " " <= c <= "~" and c not in '"\\' else f"\\u{{{ord(c):x}}}" for c in text]
    return f'"{"".join(parts)}"'
