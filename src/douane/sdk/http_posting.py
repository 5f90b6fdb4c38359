"""What a session posts to its URL beside the calls: requests of its own, and what nobody waits for an answer to."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from ..transports.http_client import HttpError, Origin, Requests, Response
from ..transports.http_parse import encode_headers
from .http_exchange import Heard

__all__ = ["CUT_OFF", "SIDE_S", "Header", "Posting"]

logger = logging.getLogger(__name__)

Header = tuple[bytes, bytes]

_ACCEPT: Sequence[Header] = (
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, text/event-stream"),
)
_SESSION = b"mcp-session-id"
SIDE_S = 5.0
"""How long what is said beside the calls may take."""
_CLOSING_S = 2.0
_MAX_SIDE = 64
"""Of these at once. A server can cause them, by asking."""
CUT_OFF = Response(0, {}, b"")
"""In place of one whose stream was lost."""


class Posting:
    """To one URL, with the headers of one session."""

    def __init__(self, http: Requests, url: str, headers: Sequence[Header]) -> None:
        self.http = http
        self.origin, self.target = Origin.parse(url)
        self.headers: tuple[Header, ...] = (*_ACCEPT, *headers)
        self.block = encode_headers(self.headers)
        """The same, as it is sent."""
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, *headers: Header) -> None:
        """From now on with these, too."""
        self.headers = (*self.headers, *headers)
        self.block = encode_headers(self.headers)

    @property
    def has_session(self) -> bool:
        return any(name == _SESSION for name, _ in self.headers)

    async def post(self, headers: Sequence[Header], frame: bytes, deadline_s: float) -> Response:
        """Raises HttpError."""
        return await self.http.request("POST", self.origin, self.target, headers, frame, deadline=deadline_s)

    async def post_and_hear(self, headers: Sequence[Header], frame: bytes, heard: Heard) -> Response:
        """The same, until the deadline of `heard`, which is told what a stream says. Raises HttpError, unless it has
        told the answer."""
        response = CUT_OFF

        def begun(status: int, headers: Mapping[bytes, bytes]) -> None:
            nonlocal response
            response = Response(status, dict(headers), b"")

        try:
            return await self.http.request(
                "POST",
                self.origin,
                self.target,
                headers,
                frame,
                deadline=heard.deadline,
                on_event=heard.on_event,
                on_headers=begun,
            )
        except HttpError:
            if heard.answer is None:
                raise
            return response

    # --- beside ---

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def tell(self, frame: bytes) -> None:
        """Post it, and look at no answer."""
        self.begin(self._tell(frame))

    def reply(self, frame: bytes) -> None:
        """The same, unless there is too much of it: a server asks without end."""
        if len(self._tasks) < _MAX_SIDE:
            self.tell(frame)

    async def aclose(self, *, ends: bool) -> None:
        """Wait for what is on its way. `ends`: with the end of the session, if it has one."""
        if ends and self.has_session:
            self.begin(self._delete())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSING_S)
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _tell(self, frame: bytes) -> None:
        try:
            # It may be what an open call waits for, and open calls may hold all connections.
            await self._send("POST", frame, self._loop.time() + SIDE_S)
        except HttpError as exc:
            logger.info("a notification did not arrive: %s", exc)

    async def _delete(self) -> None:
        try:
            await self._send("DELETE", b"", self._loop.time() + _CLOSING_S)
        except HttpError as exc:
            logger.info("the end of the session did not arrive: %s", exc)

    async def _send(self, method: str, frame: bytes, deadline_s: float) -> None:
        await self.http.request(method, self.origin, self.target, self.headers, frame, deadline=deadline_s, beyond=True)
