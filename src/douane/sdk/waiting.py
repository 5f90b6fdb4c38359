"""Requests whose sender cannot be named at once: asked for beside the door, and then let in or turned away by it.

Whoever is known passes with nothing added. What waits is bounded: past that a request is asked to come again.
"""

import asyncio
import logging

from ..protocol.call import Principal
from ..transports.http_server import Endpoint, Reply, Request
from .held import NotYet, Turned
from .http_door import turn_away

__all__ = ["Waiting"]

logger = logging.getLogger(__name__)

_MAX_WAITING = 256
"""Each may cost a question to somebody else; a flood of unknown tokens must not become one there."""
_BUSY = Turned(503, "gateway: too many wait to be let in; try again in a moment", [(b"retry-after", b"1")])
_BROKEN = Turned(500, "gateway: it cannot be said who you are; the reason is in the gateway's log")


class Waiting:
    def __init__(self, *, max_waiting: int = _MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, later: NotYet, endpoint: Endpoint, request: Request, reply: Reply) -> None:
        """`endpoint` has said that it cannot be told yet who sent `request`: it is asked again when that is known."""
        if len(self._tasks) >= self._max_waiting:
            turn_away(request, reply, _BUSY)
            return
        task = asyncio.get_running_loop().create_task(self._wait(later, endpoint, request, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        reply.gone = task.cancel

    async def aclose(self) -> None:
        """Whoever still waits is not let in."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _wait(self, later: NotYet, endpoint: Endpoint, request: Request, reply: Reply) -> None:
        try:
            admitted: Principal = await later.principal()
        except Turned as turned:
            turn_away(request, reply, turned)
            return
        except Exception:
            # A fault in a control refuses.
            logger.exception("it cannot be said who sent a request: it is refused")
            turn_away(request, reply, _BROKEN)
            return
        reply.gone = None
        request.memo["admitted"] = admitted
        try:
            endpoint(request, reply)
        except Exception:
            # As its connection would have it.
            logger.exception("the endpoint failed")
            if not reply.begun:
                turn_away(request, reply, _BROKEN)
