"""The stream on which a server of the handshake era tells what belongs to no call: one GET, held open.

It is asked for again when it ends, with growing pauses; where the server gives its events ids, it resumes after the
last. Some servers have no such stream, and say so.
Spec: specification/2025-11-25/basic/transports.mdx (listening for messages from the server).
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence

from ..transports.http_client import HttpError, Origin, Requests, Response
from ..wire import sse
from .http_resume import is_event_id

__all__ = ["Garbage", "Listening"]

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 10.0
"""A stream that lived this long was a good one: the next is asked for without a growing pause."""
_HELD_S = 900.0
"""Then it is asked for anew: a connection that died without a word is not believed for longer."""
_LATER = frozenset((408, 409, 425, 429))
"""Not now. 409: the server has not noticed yet that the stream before is gone."""
_OF_A_POST = (b"content-type", b"accept")


class Garbage(Exception):
    """What was said is no message. Ends the stream, not the listening."""


class Listening:
    """Holds the stream at one URL.

    `hear` is given the data of each event, and may raise Garbage; `missed` is called when something may not have been
    heard.
    """

    def __init__(
        self,
        http: Requests,
        where: tuple[Origin, str],
        headers: Sequence[tuple[bytes, bytes]],
        *,
        hear: Callable[[bytes], None],
        missed: Callable[[], None],
    ) -> None:
        """`headers`: those of the session; what belongs to a POST is left out."""
        self._http, (self._origin, self._target) = http, where
        self._headers = [(name, value) for name, value in headers if name not in _OF_A_POST]
        self._headers.append((b"accept", b"text/event-stream"))
        self._hear, self._missed = hear, missed
        self._loop = asyncio.get_running_loop()
        self.opened = False
        """Whether there ever was one."""
        self.answered: asyncio.Future[None] = self._loop.create_future()
        """Resolved when the server has said for the first time whether it has one."""
        self._last_id = ""
        self._pause_s = 0.0
        """The least pause that the server asks for."""

    async def held(self) -> int:
        """Until the server says that it has none: the status it says so with."""
        failures = 0
        while True:
            began_s = self._loop.time()
            try:
                response = await self._get(began_s + _HELD_S)
                if not _is_stream(response.status, response.headers) and not _is_passing(response.status):
                    return response.status
                why = f"ended ({response.status})"
            except (HttpError, Garbage) as exc:
                why = str(exc)
            failures = failures + 1 if self._loop.time() - began_s < _STEADY_S else 1
            logger.info("the stream of an upstream: %s", why)
            await asyncio.sleep(self._rest_s(failures))

    async def _get(self, deadline_s: float) -> Response:
        after = [(b"last-event-id", self._last_id.encode())] if self._last_id else []
        return await self._http.request(
            "GET",
            self._origin,
            self._target,
            [*self._headers, *after],
            deadline=deadline_s,
            on_event=self._on_event,
            on_headers=self._on_headers,
        )

    def _rest_s(self, failures: int) -> float:
        growing_s = min(_FIRST_PAUSE_S * 2 ** min(failures - 1, 16), _LONGEST_PAUSE_S) * random.uniform(0.8, 1.2)
        return max(growing_s, min(self._pause_s, _LONGEST_PAUSE_S))

    def _on_headers(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        if not self.answered.done():
            self.answered.set_result(None)
        if _is_stream(status, headers):
            self.opened = True
            # Without ids nothing is told again that was told while nobody listened.
            if not self._last_id:
                self._missed()

    def _on_event(self, event: sse.Event) -> None:
        # Without one, the opening of the next stream counts as a change.
        self._last_id = event.id if is_event_id(event.id) else ""
        if event.retry_ms is not None:
            self._pause_s = event.retry_ms / 1000
        if event.data:
            self._hear(event.data)


def _is_stream(status: int, headers: Mapping[bytes, bytes]) -> bool:
    return status == 200 and headers.get(b"content-type", b"").startswith(b"text/event-stream")


def _is_passing(status: int) -> bool:
    return status in _LATER or (status >= 500 and status != 501)
