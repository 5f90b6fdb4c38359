"""What `douane allow` does: find what a name stands for at the running gateway, and write the rule."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ..interceptors.policy import append_permit, permit_text
from ..sdk.client import Client
from .paths import Paths

__all__ = ["CannotPermit", "Permitted", "permit"]


class CannotPermit(Exception):
    """The rule cannot be added to its file, and nothing was changed. The text says why."""


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
    """Permit `name`, as the gateway shows it. None when there is no such thing. Raises ServerError, CannotPermit."""
    for method, key, action, kind in _PLACES:
        items, _ = await gateway.list(method)
        if any(item.get(key) == name for item in items):
            rule = permit_text(action, kind, name, user, group, until=until)
            lasting = None if until is None else permit_text(action, kind, name, user, group)
            return Permitted(f"{action} {name}", rule, paths.allowed, *_added(paths.allowed, rule, lasting))
    return None


def _added(file: Path, rule: str, lasting: str | None) -> tuple[bool, bool]:
    """Whether the rule is new, and whether `lasting` stands there as well."""
    try:
        endless = lasting is not None and _stands(file, lasting)
        return append_permit(file, rule), endless
    except (OSError, UnicodeDecodeError) as exc:
        raise CannotPermit(f"{file} cannot be added to: {exc}") from None


def _stands(file: Path, rule: str) -> bool:
    return file.exists() and rule in f"{file.read_text(encoding='utf-8')}\n"
