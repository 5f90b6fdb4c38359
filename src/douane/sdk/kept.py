"""What a server said may be kept: lists and resources, for as long as it says, and no longer than they are what they were.

One client has one identity at one server, so what is private to it and what is public are kept alike, and shown to nobody else.
What was answered to a call that asked something is not in here, nor is anything without a time.
Spec: specification/2026-07-28/server/utilities/caching.mdx.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..protocol.call import JSON
from .subscriptions import above

__all__ = ["Kept", "ttl_ms_of"]

_MAX_KEPT = 256
_MAX_TTL_MS = 24 * 3600 * 1000
"""A server that says more would not be asked again in the life of most programs."""
_LISTS = {
    "notifications/tools/list_changed": ("tools/list",),
    "notifications/prompts/list_changed": ("prompts/list",),
    "notifications/resources/list_changed": ("resources/list", "resources/templates/list"),
}
Key = tuple[str, str]
"""A method, and what was asked for."""
Asked = tuple[float, int]
"""When, and how many changes had been told by then."""


class Kept:
    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[float, Any]] = OrderedDict()
        self._told = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Any | None:
        found = self._kept.get(key)
        if found is None:
            return None
        if found[0] <= self._clock():
            del self._kept[key]
            return None
        return found[1]

    def asking(self) -> Asked:
        """To be called before something is asked for, and handed to `put` with the answer."""
        return self._clock(), self._told

    def put(self, key: Key, value: Any, ttl_ms: int, asked: Asked) -> None:
        """Keep an answer. What is on its way grows old, too; and when a change was told meanwhile, it may be of before."""
        asked_s, told = asked
        if ttl_ms <= 0 or told != self._told:
            return
        self._kept[key] = (asked_s + ttl_ms / 1000, value)
        self._kept.move_to_end(key)
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)

    def hear(self, method: str, params: JSON) -> None:
        """The server tells that something is not what it was."""
        self._told += 1
        if method == "notifications/resources/updated":
            for uri in above(str(params.get("uri"))):
                self._kept.pop(("resources/read", uri), None)
        methods = _LISTS.get(method, ())
        for key in [key for key in self._kept if key[0] in methods]:
            del self._kept[key]


def ttl_ms_of(result: JSON) -> int:
    """How long the server says that a result may be kept; 0 when it does not say, or nothing that can be meant."""
    found: object = result.get("ttlMs")
    return min(found, _MAX_TTL_MS) if type(found) is int and found > 0 else 0
