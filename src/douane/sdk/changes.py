"""What has changed at a server, as a program hears of it: each change once, however often it was told meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Literal

import msgspec

from ..protocol.call import JSON

__all__ = ["Change", "Changes"]

_MAX_PENDING = 1_000
"""Different changes that wait to be looked at. After that the details are forgotten, and not that there were any."""
_WHAT: "dict[str, Literal['tools', 'prompts', 'resources']]" = {
    "notifications/tools/list_changed": "tools",
    "notifications/prompts/list_changed": "prompts",
    "notifications/resources/list_changed": "resources",
}


class Change(msgspec.Struct, frozen=True):
    """Something is not what it was. What it is now has to be asked for."""

    what: Literal["tools", "prompts", "resources", "resource"]
    """A list, or a resource."""
    uri: str | None = None
    """Of the resource: one that was subscribed to, or one below it."""


class Changes:
    """Changes as they come, for one reader. Ends with the session."""

    def __init__(self) -> None:
        self._pending: dict[Change, None] = {}
        self._wake = asyncio.Event()
        self._is_over = False

    def hear(self, method: str, params: JSON, subscribed: Iterable[str]) -> None:
        change = _read(method, params)
        if change is None:
            return
        if len(self._pending) >= _MAX_PENDING:
            self._pending = dict.fromkeys(pending for pending in self._pending if pending.uri is None)
            self._pending.update(dict.fromkeys(Change("resource", uri) for uri in subscribed))
        self._pending[change] = None
        self._wake.set()

    def end(self) -> None:
        self._is_over = True
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        while not self._pending:
            if self._is_over:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        change = next(iter(self._pending))
        del self._pending[change]
        return change


def _read(method: str, params: JSON) -> Change | None:
    if method == "notifications/resources/updated":
        uri: object = params.get("uri")
        return Change("resource", uri) if isinstance(uri, str) else None
    what = _WHAT.get(method)
    return Change(what) if what is not None else None
