"""What `douane revoke` does: write the rule, and see whether there is what it speaks of."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ..interceptors.policy import PolicyError, Revocable, reinstate, revocations, revoke
from ..sdk.client import ServerError
from .join import CannotJoin, client
from .paths import Paths

__all__ = ["CannotRevoke", "Revocable", "Revoked", "reinstated", "revoked", "shows"]

_LISTS = {"tool": ("tools/list", "name"), "prompt": ("prompts/list", "name"), "resource": ("resources/list", "uri")}


class CannotRevoke(Exception):
    """The file cannot be changed, and was not. The text says why."""


class Revoked(NamedTuple):
    file: Path
    new: bool
    rule: str = ""


def revoked(paths: Paths, kind: Revocable, name: str, until: datetime | None, why: str) -> Revoked:
    """Raises CannotRevoke."""
    file = paths.revoked
    try:
        new = revoke(file, kind, name, until=until, why=why)
        return Revoked(file, new, dict(revocations(file))[f"{kind} {name}"])
    except (PolicyError, OSError, UnicodeDecodeError) as exc:
        raise CannotRevoke(f"{file} cannot be added to: {exc}") from None


def reinstated(paths: Paths, kind: Revocable, name: str) -> Revoked:
    """Raises CannotRevoke."""
    file = paths.revoked
    try:
        return Revoked(file, reinstate(file, kind, name))
    except (PolicyError, OSError, UnicodeDecodeError) as exc:
        raise CannotRevoke(f"{file} cannot be changed: {exc}") from None


async def shows(paths: Paths, kind: Revocable, name: str) -> bool | None:
    """Whether the running gateway shows its owner a tool, prompt or resource of that name; None: that cannot be told."""
    if kind not in _LISTS:
        return None
    method, key = _LISTS[kind]
    try:
        # Without a configuration none is started.
        async with await client(paths, None, deadline_s=5.0) as gateway:
            items, _ = await gateway.list(method)
    except (CannotJoin, ServerError):
        return None
    return any(item.get(key) == name for item in items)
