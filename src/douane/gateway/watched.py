"""The resources and tasks of one upstream that somebody is told of, asked for once, whatever session it has at the time.

What is wanted outlives a session: a new one is asked for it again. What was not heard meanwhile cannot be known, so
everything that is watched then counts as updated, once.
"""

import asyncio
import logging

from ..protocol.call import JSON
from ..protocol.outcome import Complete, Failed, Outcome
from ..sdk.session import Noted, Session
from ..sdk.watch import Unwatchable, Watch, has_member, watch
from ..transports.link import LinkClosed
from ..wire.codes import INVALID_PARAMS, METHOD_NOT_FOUND, RESOURCE_NOT_FOUND, UPSTREAM_UNAVAILABLE

__all__ = ["UPDATED", "Watched"]

logger = logging.getLogger(__name__)

UPDATED = "notifications/resources/updated"
_NOTHING: JSON = {}


class Watched:
    def __init__(self, upstream: str, hear: Noted) -> None:
        self._upstream, self._hear = upstream, hear
        self._uris: dict[str, None] = {}
        self._tasks: dict[str, None] = {}
        self._watch: Watch | None = None
        self._resuming: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._uris)

    def __contains__(self, uri: str) -> bool:
        return uri in self._uris

    def begin(self, session: Session) -> None:
        """Listen on a new session, to what was watched on the one before."""
        self._watch = watch(session, self._hear, opening_counts=True)
        for task in self._tasks:
            self._watch.follow(task)
        if self._uris:
            self._resuming = asyncio.get_running_loop().create_task(self._resume(self._watch))

    async def end(self) -> None:
        """The session has ended, or is about to."""
        ended, self._watch = self._watch, None
        resuming, self._resuming = self._resuming, None
        if resuming is not None:
            resuming.cancel()
            await asyncio.wait({resuming})
        if ended is not None:
            await ended.aclose()

    async def add(self, uri: str, session: Session) -> Outcome:
        """Be told of `uri`, as the upstream names it."""
        if not has_member(session.welcome.capabilities, "resources", "subscribe"):
            return Failed(METHOD_NOT_FOUND, f"upstream {self._upstream}: does not tell of resources that change", "no")
        kept = self._watch
        try:
            if kept is None:
                raise LinkClosed("it has just ended")
            await kept.add(uri)
        except Unwatchable as exc:
            code = INVALID_PARAMS if exc.code == RESOURCE_NOT_FOUND else exc.code
            return Failed(code, f"upstream {self._upstream}: {exc}", "yes", {"uri": uri})
        except (LinkClosed, TimeoutError) as exc:
            why = str(exc) or "does not say whether it tells of changes"
            return Failed(UPSTREAM_UNAVAILABLE, f"upstream {self._upstream}: {why}", "unknown")
        self._uris[uri] = None
        return Complete(_NOTHING)

    def drop(self, uri: str) -> None:
        """Nobody wants to hear of it any more."""
        self._uris.pop(uri, None)
        if self._watch is not None:
            self._watch.drop(uri)

    def follow(self, task: str) -> None:
        """Be told of a task by its upstream's id, as far as the upstream does that."""
        self._tasks[task] = None
        if self._watch is not None:
            self._watch.follow(task)

    def unfollow(self, task: str) -> None:
        self._tasks.pop(task, None)
        if self._watch is not None:
            self._watch.unfollow(task)

    async def _resume(self, kept: Watch) -> None:
        await asyncio.gather(*(self._again(uri, kept) for uri in tuple(self._uris)))

    async def _again(self, uri: str, kept: Watch) -> None:
        try:
            await kept.add(uri)
        except Unwatchable as exc:
            logger.warning("upstream %s does not tell of a resource any more: %s", self._upstream, exc)
            self._uris.pop(uri, None)
        except (LinkClosed, TimeoutError):
            return
        self._hear(UPDATED, {"uri": uri})
