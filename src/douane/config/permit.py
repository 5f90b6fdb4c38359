"""What `douane allow` does: find what a name stands for at the running gateway, and write the rule."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ..interceptors.policy import append_permit, permit_text
from ..sdk.client import Client
from .paths import Paths

__all__ = ["Permitted", "permit"]


class Permitted(NamedTuple):
    what: str
    rule: str
    file: Path
    new: bool
    endless: bool
    """It has an end, and a rule that has none permits the same."""


_PLACES = (
    ("tools/list", "name", "call", "Tool"),
    ("prompts/list", "name", "get", "Prompt"),
    ("resources/list", "uri", "read", "Resource"),
)


async def permit(
    gateway: Client, paths: Paths, name: str, user: str | None, group: str | None, until: datetime | None
) -> Permitted | None:
    """Permit `name`, as the gateway shows it. None when there is no such thing. Raises ServerError."""
    for method, key, action, kind in _PLACES:
        items, _ = await gateway.list(method)
        if any(item.get(key) == name for item in items):
            rule = permit_text(action, kind, name, user, group, until=until)
            endless = until is not None and _stands(paths.allowed, permit_text(action, kind, name, user, group))
            new = append_permit(paths.allowed, rule)
            return Permitted(f"{action} {name}", rule, paths.allowed, new, endless)
    return None


def _stands(file: Path, rule: str) -> bool:
    return file.exists() and rule in f"{file.read_text(encoding='utf-8')}\n"
