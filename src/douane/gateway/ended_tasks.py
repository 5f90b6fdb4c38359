"""Tasks that whoever began them may not have any more: their upstreams are told to end them.

It is no call of anybody: the audit has what was refused, and whose doing that was.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from ..flow.trail import Emit, Trail
from ..protocol.call import Call, Event
from ..protocol.outcome import Failed, Refused
from ..registry.handles import Handle, Handles
from .upstream import Upstream

__all__ = ["EndedTasks"]

logger = logging.getLogger(__name__)

_WITHIN_S = 10.0
_AT_ONCE = 8


class EndedTasks:
    def __init__(self, handles: Handles, upstreams: Mapping[str, Upstream]) -> None:
        self._handles, self._upstreams = handles, upstreams
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._told: dict[str, None] = {}
        """Which were ended: asked for once, however often the rules change."""
        self._ending: set[asyncio.Task[None]] = set()

    def withdraw(self, judge: Callable[[Call], Refused | None]) -> None:
        """Begin to end those whose calls would be refused now."""
        living = self._handles.living()
        self._told = {handle.id: None for handle in living if handle.id in self._told}
        for handle in living:
            if handle.id not in self._told and handle.upstream in self._upstreams and judge(handle.call) is not None:
                self._told[handle.id] = None
                ending = asyncio.get_running_loop().create_task(self._end(handle))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    async def aclose(self) -> None:
        for ending in tuple(self._ending):
            ending.cancel()
        if self._ending:
            await asyncio.wait(tuple(self._ending))

    async def _end(self, handle: Handle) -> None:
        params = {"taskId": handle.own}
        call = replace(handle.call, method="tasks/cancel", params=params, target=handle.own, state=None, answers={})
        call = replace(call, deadline_s=asyncio.get_running_loop().time() + _WITHIN_S)
        try:
            async with self._at_once, asyncio.timeout(_WITHIN_S):
                outcome = await self._upstreams[handle.upstream].end(call, Emit(_ignored, Trail(call)))
        except TimeoutError:
            outcome = Failed(0, "it does not answer", "unknown")
        except Exception:
            # The edge of this task: others are ended whatever becomes of this one.
            logger.exception("upstream %s: a task cannot be ended", handle.upstream)
            return
        if isinstance(outcome, Failed | Refused):
            why = outcome.message if isinstance(outcome, Failed) else outcome.reason
            logger.warning("upstream %s: a task that nobody may have any more was not ended: %s", handle.upstream, why)
        else:
            logger.info("upstream %s: a task of %s was ended, which is refused now", handle.upstream, handle.tool)


def _ignored(event: Event) -> None:
    return None
