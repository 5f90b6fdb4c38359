"""The revisions of MCP that are spoken here, their order, and the era of each."""

from enum import Enum

__all__ = [
    "BATCHING",
    "HANDSHAKE",
    "LATEST_HANDSHAKE",
    "MODERN",
    "STATELESS",
    "TASKS_SINCE",
    "URLS_SINCE",
    "Era",
    "era_of",
    "settle",
]


class Era(Enum):
    HANDSHAKE = "handshake"
    """`initialize` first, then calls on a session."""
    STATELESS = "stateless"
    """Every request carries its own version and capabilities."""


MODERN = "2026-07-28"
STATELESS = (MODERN,)
HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Oldest first."""
LATEST_HANDSHAKE = HANDSHAKE[-1]
BATCHING = frozenset({"2025-03-26"})
"""Where several messages may come as one array (2025-03-26/basic/index.mdx, batching; gone with 2025-06-18)."""
TASKS_SINCE = "2025-11-25"
"""The revision of the handshake era that has tasks, as an experiment."""
URLS_SINCE = "2025-11-25"
"""The revision since which clients can be shown a page."""


def era_of(revision: str) -> Era | None:
    if revision in STATELESS:
        return Era.STATELESS
    return Era.HANDSHAKE if revision in HANDSHAKE else None


def settle(asked: str) -> str:
    """The revision an `initialize` that asks for `asked` is answered with.

    Spec: specification/2025-11-25/basic/lifecycle.mdx (version negotiation): the same if supported, else another.
    """
    return asked if asked in HANDSHAKE else LATEST_HANDSHAKE
