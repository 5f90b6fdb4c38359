"""What `douane allow` writes: one more rule, in a file of its own."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from .rule_file import add_rule
from .vocabulary import literal

__all__ = ["append_permit", "instant", "permit_text"]

_HEAD = "// Written by `douane allow`. Remove a rule to withdraw it.\n"


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
    when = "" if until is None else f" when {{ context.now < datetime({instant(until)}) }}"
    rule = f"permit ({who}, {what}){when};"
    mark = hashlib.sha256(rule.encode()).hexdigest()[:8]
    return f'@id("allow-{mark}")\n{rule}\n'


def append_permit(path: Path, text: str) -> bool:
    """Add a rule to the file at `path`. False when it stands there already. Raises PolicyError, OSError."""
    return add_rule(path, text, _HEAD)


def instant(at: datetime) -> str:
    """As Cedar writes it. `at` needs a time zone."""
    return literal(at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
