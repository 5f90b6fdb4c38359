"""The rest of an event stream that ended before the answer it was to bring: asked for with GET, after the last event.

Servers of the handshake era close a stream early on purpose, and say how long to stay away; what they tell meanwhile is kept
for who comes back. Spec: specification/2025-11-25/basic/transports.mdx (resumability and redelivery).
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Protocol

from ..transports.http_client import Deadline, HttpError, HttpTimeout, Origin, Requests, encode_headers
from ..wire import sse

__all__ = ["MAX_EVENT_ID", "CannotResume", "Resumable", "is_event_id", "resume"]

MAX_EVENT_ID = 1024
"""It goes into a header."""
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 30.0
_MAX_VAIN = 3
"""Streams in a row that told nothing."""
_OF_A_POST = (b"content-type", b"accept")


class CannotResume(Exception):
    """The rest cannot be had; the text says why."""


class _Over(Exception):
    """The answer is there; nobody waits for the stream to end, which some servers leave open."""


class Resumable(Protocol):
    """Who hears the stream, and knows how far it came."""

    last_id: str
    """Empty: it cannot be resumed."""
    retry_s: float
    """How long the server wants us to stay away."""

    @property
    def is_over(self) -> bool:
        """The answer is there."""
        ...

    def on_event(self, event: sse.Event) -> None: ...


def is_event_id(id: str) -> bool:
    """Whether an event can be named in a request."""
    return bool(id) and id.isascii() and id.isprintable() and len(id) <= MAX_EVENT_ID


async def resume(
    http: Requests,
    where: tuple[Origin, str],
    headers: Sequence[tuple[bytes, bytes]],
    stream: Resumable,
    deadline: Deadline,
) -> None:
    """Until the answer is there. Raises CannotResume, HttpTimeout when the time is up.

    `headers`: those of the session; what belongs to a POST is left out.
    """
    own = [(name, value) for name, value in headers if name not in _OF_A_POST]
    vain = 0
    while not stream.is_over:
        if vain >= _MAX_VAIN:
            raise CannotResume(f"its stream ended before the answer, and {vain} times nothing more came")
        await _stay_away(stream.retry_s, vain, deadline)
        last_id = stream.last_id
        after = [*own, (b"accept", b"text/event-stream"), (b"last-event-id", last_id.encode())]
        refusals: list[int] = []

        def hear(event: sse.Event) -> None:
            stream.on_event(event)
            if stream.is_over:
                raise _Over

        def judge(status: int, _: Mapping[bytes, bytes], refusals: list[int] = refusals) -> None:
            if status != 200:
                refusals.append(status)

        try:
            await http.request(
                "GET",
                *where,
                encode_headers(after),
                deadline=deadline,
                on_event=hear,
                on_headers=judge,
            )
        except _Over:
            return
        except HttpTimeout:
            raise
        except HttpError:
            # Lost again, or nobody there: it may come back.
            refusals.clear()
        if any(400 <= status < 500 for status in refusals):
            raise CannotResume(f"its stream ended before the answer, and is not taken up again ({refusals[0]})")
        vain = 0 if stream.last_id != last_id else vain + 1


async def _stay_away(retry_s: float, vain: int, deadline: Deadline) -> None:
    growing_s = _FIRST_PAUSE_S * 2**vain * random.uniform(0.8, 1.2) if vain or not retry_s else 0.0
    pause_s = min(max(retry_s, growing_s), _LONGEST_PAUSE_S)
    left_s = deadline.at - asyncio.get_running_loop().time()
    await asyncio.sleep(max(0.0, min(pause_s, left_s)))
    if pause_s >= left_s:
        raise HttpTimeout("the server wants us to stay away for longer than the call may take", sent="yes")
