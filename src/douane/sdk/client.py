"""A client of one server, over a session: what a program, or the command line, calls tools with.

The first part: lists, calls, reads. It waits as long as the deadline says and raises `ServerError` for an error.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from ..flow.chain import Emit, Trail
from ..protocol.call import JSON, Call, Event, Principal
from ..protocol.methods import METHODS, target_of
from ..protocol.outcome import Complete, Failed, Refused
from ..protocol.versions import Era
from .session import Session

__all__ = ["Client", "ServerError"]

_SELF = Principal("self")


class ServerError(Exception):
    """The server, or the way to it, said no. `code` is the JSON-RPC error code."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.data = code, data


class Client:
    """Calls over one `Session`, which it closes."""

    def __init__(self, session: Session, *, deadline_s: float = 60.0) -> None:
        self.session, self.deadline_s = session, deadline_s

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.aclose()

    @property
    def era(self) -> Era:
        return self.session.welcome.era

    async def request(self, method: str, params: JSON, on_event: Callable[[Event], None] | None = None) -> JSON:
        """The result of one request. Raises ServerError."""
        call = Call(
            id="",
            root="",
            method=method,
            params=params,
            principal=_SELF,
            target=target_of(method, params),
            name=target_of(method, params),
            wants_progress=on_event is not None,
            deadline_s=asyncio.get_running_loop().time() + self.deadline_s,
        )
        outcome = await self.session(call, Emit(on_event or _ignore, Trail(call)))
        match outcome:
            case Complete(result):
                return result
            case Refused(code, reason, data):
                raise ServerError(code, reason, data)
            case Failed(code, message, _, data):
                raise ServerError(code, message, data)
            case _:
                raise ServerError(0, "the server asks for input that cannot be given here")

    async def list(self, method: str) -> tuple[list[dict[str, Any]], JSON]:
        """All pages of one list, and `_meta` of the last page. Raises ServerError."""
        member = METHODS[method].lists or ""
        items: list[dict[str, Any]] = []
        params: dict[str, Any] = {}
        while True:
            page = await self.request(method, params)
            items += page[member]
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str):
                return items, page.get("_meta", {})
            params = {"cursor": cursor}


def _ignore(event: Event) -> None:
    return
