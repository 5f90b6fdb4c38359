"""What one server wants mirrored into headers, as its list of tools says: learned when it is read, and read anew when
the server complains.

Spec: specification/2026-07-28/basic/transports/streamable-http.mdx (custom headers, client behavior).
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

from ..protocol.call import JSON, Call
from ..protocol.param_headers import ParamHeader, header_values, param_headers
from ..transports.link import LinkClosed
from ..wire import rpc
from ..wire.json import is_object

__all__ = ["Mirroring"]

logger = logging.getLogger(__name__)

_MAX_PAGES = 200
_MAX_TOOLS = 4096
"""That mirror anything. With more, those that are forgotten are learned again."""

Ask = Callable[[str, JSON, float], Awaitable[rpc.Response | rpc.Error]]
"""A request: method, params, deadline."""


class Mirroring:
    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, tuple[ParamHeader, ...]] = {}
        """Of the tools that mirror anything."""

    def values(self, call: Call) -> list[tuple[bytes, bytes]] | None:
        """The headers for the arguments of a call; None when what it calls mirrors nothing."""
        known = self._known.get(call.name or "") if call.method == "tools/call" else None
        return None if known is None else header_values(known, call.params.get("arguments"))

    def usable(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The tools less those that nobody may call over HTTP."""
        return [tool for tool in tools if self._learn(str(tool.get("name")), tool)]

    def _learn(self, name: str, tool: JSON) -> bool:
        self._known.pop(name, None)
        try:
            mirrored = param_headers(tool.get("inputSchema"))
        except ValueError as exc:
            logger.warning("the tool %r is left out until its server mends it: %s", name[:80], exc)
            return False
        if mirrored:
            if len(self._known) >= _MAX_TOOLS:
                self._known.clear()
            self._known[name] = mirrored
        return True

    async def relearned(self, call: Call, ask: Ask, deadline_s: float) -> bool:
        """Whether what is called mirrors other arguments than was known."""
        if call.method != "tools/call":
            return False
        name, known = call.name or "", self._known.get(call.name or "")
        with suppress(LinkClosed, TimeoutError):
            await self._relist(ask, deadline_s)
        return self._known.get(name) != known

    async def _relist(self, ask: Ask, deadline_s: float) -> None:
        params: JSON = {}
        for _ in range(_MAX_PAGES):
            answer = await ask("tools/list", params, deadline_s)
            page: object = answer.result.get("tools") if isinstance(answer, rpc.Response) else None
            if isinstance(answer, rpc.Error) or not isinstance(page, list):
                return
            self.usable([tool for tool in cast("list[object]", page) if is_object(tool)])
            cursor: object = answer.result.get("nextCursor")
            if not isinstance(cursor, str):
                return
            params = {"cursor": cursor}
