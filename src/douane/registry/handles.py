"""Tasks of upstreams, under the ids their callers know: whose each is, and of which call.

An id is 256 random bits and good for one principal; what stands behind it (upstream, its own id, the call that began it)
never leaves. Kept in memory: after a restart nobody can ask after a task any more, whatever its upstream still knows.
"""

import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from ..protocol.call import JSON, Call, Principal
from ..protocol.tasks import Task

__all__ = ["Handle", "Handles"]

_NOTHING: dict[str, Any] = {}


class Handle(msgspec.Struct, frozen=True):
    """One task, and the call it came of."""

    id: str
    """As its caller knows it."""
    owner: tuple[str, str, str]
    """Of its principal, what does not come and go with a token."""
    root: str
    upstream: str
    own: str
    """As the upstream knows it."""
    tool: str
    """As it is shown here."""
    arguments: JSON
    """What policies that look at them judge the task by."""
    size_bytes: int
    """Of the arguments."""
    until_s: float
    call: Call
    """As it was let out."""


class Handles:
    """The table. The time is that of `clock`, monotonic."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        max_handles: int = 10_000,
        max_per_principal: int = 1_000,
        max_bytes: int = 128 * 1024 * 1024,
        max_bytes_per_principal: int = 16 * 1024 * 1024,
        longest_s: float = 86_400.0,
    ) -> None:
        """Bytes are those of arguments; the last that finds room may be of any size.

        `longest_s`: what is kept without a word of it, where its upstream keeps it longer or for ever.
        """
        self._clock, self._longest_s = clock, longest_s
        self._max_handles, self._max_per_principal = max_handles, max_per_principal
        self._max_bytes, self._max_bytes_per_principal = max_bytes, max_bytes_per_principal
        self._kept: dict[str, Handle] = {}
        self._held: Counter[tuple[str, str, str]] = Counter()
        self._held_bytes: Counter[tuple[str, str, str]] = Counter()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def has_room(self, owner: Principal) -> bool:
        """Whether one more can be given."""
        who = owner.identity
        if self._is_full(who):
            self._purge()
        return not self._is_full(who)

    def give(self, call: Call, task: Task) -> Handle:
        """A handle for the task that `call` came to."""
        arguments: JSON = call.params.get("arguments", _NOTHING)
        handle = Handle(
            secrets.token_urlsafe(32),
            call.principal.identity,
            call.root,
            call.upstream or "",
            task.id,
            call.target or "",
            arguments,
            len(msgspec.json.encode(arguments)),
            self._until_s(task),
            call,
        )
        self._kept[handle.id] = handle
        self._held[handle.owner] += 1
        self._held_bytes[handle.owner] += handle.size_bytes
        self._bytes += handle.size_bytes
        return handle

    def find(self, owner: Principal, id: str) -> Handle | None:
        handle = self._kept.get(id)
        if handle is None or handle.owner != owner.identity:
            return None
        if handle.until_s > self._clock():
            return handle
        self._drop(handle)
        return None

    def get(self, id: str) -> Handle | None:
        """Whoever it belongs to; it may have expired."""
        return self._kept.get(id)

    def living(self) -> list[Handle]:
        """All that have not expired."""
        self._purge()
        return list(self._kept.values())

    def keep(self, handle: Handle, task: Task) -> None:
        """Its upstream has said how it stands: it is kept that much longer."""
        if handle.id in self._kept:
            self._kept[handle.id] = replace(handle, until_s=self._until_s(task))

    def forget(self, handle: Handle) -> None:
        """Its upstream does not know it any more."""
        if handle.id in self._kept:
            self._drop(handle)

    def _is_full(self, who: tuple[str, str, str]) -> bool:
        if len(self._kept) >= self._max_handles or self._bytes >= self._max_bytes:
            return True
        return self._held[who] >= self._max_per_principal or self._held_bytes[who] >= self._max_bytes_per_principal

    def _until_s(self, task: Task) -> float:
        ttl_s = self._longest_s if task.ttl_ms is None else task.ttl_ms / 1000
        return self._clock() + min(ttl_s, self._longest_s)

    def _purge(self) -> None:
        now_s = self._clock()
        for handle in [handle for handle in self._kept.values() if handle.until_s <= now_s]:
            self._drop(handle)

    def _drop(self, handle: Handle) -> None:
        del self._kept[handle.id]
        self._bytes -= handle.size_bytes
        self._held_bytes[handle.owner] -= handle.size_bytes
        self._held[handle.owner] -= 1
        if not self._held[handle.owner]:
            del self._held[handle.owner], self._held_bytes[handle.owner]
