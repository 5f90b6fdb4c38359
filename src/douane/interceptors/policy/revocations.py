"""What `douane revoke` writes: rules that forbid, in a file of their own. A forbid beats every permit."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from .permits import instant
from .rule_file import add_rule, remove_rule, rules_in
from .vocabulary import literal

__all__ = ["Revocable", "reinstate", "revocation_text", "revocations", "revoke"]

Revocable = Literal["user", "group", "client", "tenant", "server", "tool", "prompt", "resource"]
_HEAD = "// Written by `douane revoke`, which also takes rules out again (--undo).\n"
_WHO = {"user": "principal == Douane::User::{}", "group": "principal in Douane::Group::{}"}
_WHAT = {
    "server": "resource in Douane::Server::{}",
    "tool": "resource == Douane::Tool::{}",
    "prompt": "resource == Douane::Prompt::{}",
    "resource": "resource == Douane::Resource::{}",
}
_WHEN = {"client": "principal.client == {}", "tenant": "principal.tenant == {}"}


def revocation_text(kind: Revocable, name: str, *, until: datetime | None = None, why: str = "") -> str:
    """A rule that forbids whatever concerns `name`: as who calls, by which client, or what is called.

    Things go by the names the gateway shows. From `until` on it forbids nothing; it needs a time zone. Raises ValueError.
    """
    if until is not None and until.tzinfo is None:
        raise ValueError("the end needs a time zone")
    named = literal(name)
    who, what = _WHO.get(kind, "principal").format(named), _WHAT.get(kind, "resource").format(named)
    conditions = [_WHEN[kind].format(named)] if kind in _WHEN else []
    if until is not None:
        conditions.append(f"context.now < datetime({instant(until)})")
    when = f" when {{ {' && '.join(conditions)} }}" if conditions else ""
    marks = f"@id({literal(_name(kind, name))})\n" + (f"@why({literal(why)})\n" if why else "")
    return f"{marks}forbid ({who}, action, {what}){when};\n"


def revoke(path: Path, kind: Revocable, name: str, *, until: datetime | None = None, why: str = "") -> bool:
    """Write it to the file at `path`; False when it stands there already. One with another end or reason is replaced.

    Raises PolicyError, OSError, UnicodeDecodeError.
    """
    text = revocation_text(kind, name, until=until, why=why)
    # In one write: between two, or after a first that was the last, it would be in force no more.
    return add_rule(path, text, _HEAD, instead_of=_name(kind, name))


def reinstate(path: Path, kind: Revocable, name: str) -> bool:
    """Take it out again; False when it is not there. Raises PolicyError, OSError, UnicodeDecodeError."""
    return remove_rule(path, _name(kind, name))


def revocations(path: Path) -> list[tuple[str, str]]:
    """What is revoked, and the rule. Raises PolicyError, OSError, UnicodeDecodeError."""
    return [(rule.name.removeprefix("revoked "), rule.text) for rule in rules_in(path)]


def _name(kind: Revocable, name: str) -> str:
    return f"revoked {kind} {name}"
