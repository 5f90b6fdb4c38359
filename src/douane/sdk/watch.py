"""What is heard of a server beside the calls: its lists that change, and the resources that are watched.

A server of the handshake era is asked for each resource, and tells on its session. One of the newest revision tells on a
stream whose filter is fixed: another is opened for what is to be heard now, and then the one before is closed, so that
nothing is missed between the two; something may be told twice. When a stream is lost it is opened again, with growing
pauses, and everything on it counts as changed.
Spec: specification/2026-07-28/basic/patterns/subscriptions.mdx, specification/2025-11-25/server/resources.mdx.
"""

import asyncio
import logging
import random
from collections import Counter
from contextlib import suppress
from typing import Any, Protocol, cast

from ..protocol.call import JSON
from ..protocol.tasks import accepts
from ..protocol.versions import Era
from ..transports.link import LinkClosed
from ..wire import rpc
from ..wire.codes import INVALID_PARAMS, METHOD_NOT_FOUND
from ..wire.json import is_object
from .session import Noted, Session

__all__ = ["Unwatchable", "Watch", "has_member", "watch"]

logger = logging.getLogger(__name__)

_ANSWER_S = 10.0
"""How long a server may take to say whether it tells."""
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 10.0
"""A stream that lived this long was a good one: the next is opened without a growing pause."""
_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
_UPDATED = "notifications/resources/updated"
_MAX_TASKS = 64
"""That are listened to: all their ids are said anew whenever there is one more."""
_LISTS = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}


class Unwatchable(Exception):
    """The server does not tell of that resource. `code` and the text are its own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Watch(Protocol):
    """What is watched at one server, for as long as its session lives."""

    async def add(self, uri: str) -> None:
        """Be told of `uri`. Raises Unwatchable, LinkClosed, TimeoutError."""
        ...

    def drop(self, uri: str) -> None:
        """Be told no longer. The server hears of it later."""
        ...

    def follow(self, task: str) -> None:
        """Be told of that task, if the server tells of tasks: nobody is promised that."""
        ...

    def unfollow(self, task: str) -> None: ...

    async def aclose(self) -> None: ...


def watch(session: Session, hear: Noted, *, first_pause_s: float = 0.5, opening_counts: bool = False) -> Watch:
    """`hear` is told what changes, where the session does not tell it by itself. `first_pause_s`: after a loss.
    `opening_counts`: lists were read before, so that one may have changed since counts as a change."""
    if session.welcome.era is Era.STATELESS:
        return _ByStream(session, hear, first_pause_s, opening_counts)
    return _BySession(session, hear)


def has_member(capabilities: JSON, name: str, member: str) -> bool:
    found: object = capabilities.get(name)
    return is_object(found) and found.get(member) is True


class _BySession:
    """One request for each resource; what they bring comes over the session."""

    def __init__(self, session: Session, hear: Noted) -> None:
        self._session, self._hear = session, hear
        self._loop = asyncio.get_running_loop()
        self._wanted: set[str] = set()
        self._held: set[str] = set()
        self._adding: Counter[str] = Counter()
        self._turn = asyncio.Lock()
        """Requests over HTTP could overtake each other."""
        self._leaving: set[asyncio.Task[None]] = set()
        session.missed = self._missed

    async def add(self, uri: str) -> None:
        self._wanted.add(uri)
        self._adding[uri] += 1
        try:
            async with self._turn:
                if uri not in self._held:
                    await self._subscribe(uri)
        except BaseException:
            if self._adding[uri] == 1:
                self.drop(uri)
            raise
        finally:
            _less(self._adding, uri)

    def drop(self, uri: str) -> None:
        self._wanted.discard(uri)
        if uri in self._held:
            task = self._loop.create_task(self._unsubscribe(uri))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def follow(self, task: str) -> None:
        """A server that tells of tasks does so unasked (2025-11-25/basic/utilities/tasks.mdx, status notifications)."""

    def unfollow(self, task: str) -> None: ...

    async def aclose(self) -> None:
        for task in tuple(self._leaving):
            task.cancel()
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _subscribe(self, uri: str) -> None:
        self._held.add(uri)
        try:
            answer = await self._ask("resources/subscribe", uri)
        except BaseException:
            # It may have been taken. Whoever waits for the same asks again; else it is taken back.
            if self._adding[uri] > 1:
                self._held.discard(uri)
            raise
        if isinstance(answer, rpc.Error):
            self._held.discard(uri)
            raise Unwatchable(answer.code, answer.message)

    async def _unsubscribe(self, uri: str) -> None:
        with suppress(LinkClosed, TimeoutError):
            async with self._turn:
                if uri not in self._wanted and uri in self._held:
                    self._held.discard(uri)
                    await self._ask("resources/unsubscribe", uri)

    async def _ask(self, method: str, uri: str) -> rpc.Response | rpc.Error:
        return await self._session.ask(method, {"uri": uri}, self._loop.time() + _ANSWER_S)

    def _missed(self) -> None:
        for uri in sorted(self._held):
            self._hear(_UPDATED, {"uri": uri})


class _Stream:
    """One listen stream: what was asked for, what was granted, and how it ends."""

    def __init__(self, session: Session, asked: JSON, hear: Noted) -> None:
        self.asked, self._hear = asked, hear
        loop = asyncio.get_running_loop()
        self.granted: asyncio.Future[JSON] = loop.create_future()
        self.is_told = True
        self.began_s = loop.time()
        self.ended = loop.create_task(self._run(session))

    async def _run(self, session: Session) -> None:
        try:
            answer = await session.listen(self.asked, self._on_note)
            if isinstance(answer, rpc.Error):
                raise Unwatchable(answer.code, answer.message)
            raise LinkClosed("the server has ended its stream")
        except (Unwatchable, LinkClosed) as exc:
            self._refuse(exc)
        except asyncio.CancelledError:
            self.granted.cancel()
            raise

    def _refuse(self, exc: Exception) -> None:
        if not self.granted.done():
            self.granted.set_exception(exc)
            # Nobody may be waiting any more.
            self.granted.exception()

    def _on_note(self, method: str, params: JSON) -> None:
        if method == _ACKNOWLEDGED:
            found: object = params.get("notifications")
            if not self.granted.done():
                self.granted.set_result(found if is_object(found) else {})
        elif self.is_told and self.granted.done():
            self._hear(method, {key: value for key, value in params.items() if key != "_meta"})

    async def aclose(self) -> None:
        self.is_told = False
        self.ended.cancel()
        await asyncio.wait({self.ended})


class _ByStream:
    """One stream for all that is to be heard, kept by one task."""

    def __init__(self, session: Session, hear: Noted, first_pause_s: float, opening_counts: bool) -> None:
        self._session, self._hear, self._first_pause_s = session, hear, first_pause_s
        self._opening_counts = opening_counts
        self._loop = asyncio.get_running_loop()
        has = session.welcome.capabilities
        self._lists = [name for name in _LISTS if has_member(has, name, "listChanged")]
        self._wanted: dict[str, None] = {}
        self._tasks: dict[str, None] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}
        """For each resource that was added: resolved when it is known whether the server tells of it."""
        self._adding: Counter[str] = Counter()
        self._stream: _Stream | None = None
        self._change = asyncio.Event()
        self._change.set()
        self._failures = 0
        self._keeping = self._loop.create_task(self._keep())

    async def add(self, uri: str) -> None:
        known = self._waiting.get(uri)
        if known is None and uri in self._wanted:
            return
        if known is None:
            known = self._waiting[uri] = self._loop.create_future()
            known.add_done_callback(lambda known: self._forget(uri, known))
        if uri not in self._wanted:
            self._wanted[uri] = None
            self._change.set()
        self._adding[uri] += 1
        try:
            async with asyncio.timeout(_ANSWER_S):
                await asyncio.shield(known)
        except BaseException:
            if self._adding[uri] == 1:
                self.drop(uri)
                # The server may never be asked for it, and then nobody would settle this.
                self._forget(uri, known)
            raise
        finally:
            _less(self._adding, uri)

    def drop(self, uri: str) -> None:
        if uri in self._wanted:
            del self._wanted[uri]
            self._change.set()

    def follow(self, task: str) -> None:
        if accepts(self._session.welcome.capabilities) and len(self._tasks) < _MAX_TASKS:
            self._tasks[task] = None
            self._change.set()

    def unfollow(self, task: str) -> None:
        if task in self._tasks:
            del self._tasks[task]
            self._change.set()

    def _forget(self, uri: str, known: "asyncio.Future[None]") -> None:
        if self._waiting.get(uri) is known:
            del self._waiting[uri]

    async def aclose(self) -> None:
        self._keeping.cancel()
        await asyncio.wait({self._keeping})
        if self._stream is not None:
            await self._stream.aclose()
        for known in tuple(self._waiting.values()):
            _fail(known, LinkClosed("the session is closed"))

    # --- the keeper ---

    async def _keep(self) -> None:
        while True:
            self._change.clear()
            # Whoever else wants something in this turn of the loop is asked for with it.
            await asyncio.sleep(0)
            asked = self._asked()
            if not asked:
                await self._replace(None)
            elif self._stream is None or self._stream.ended.done() or self._stream.asked != asked:
                await self._open(asked)
            await self._until_due()

    def _asked(self) -> JSON:
        asked: dict[str, Any] = {_LISTS[name]: True for name in self._lists}
        if self._wanted:
            asked["resourceSubscriptions"] = list(self._wanted)
        if self._tasks:
            asked["taskIds"] = list(self._tasks)
        return asked

    async def _until_due(self) -> None:
        """Until something else is wanted, or the stream is lost: then after a pause."""
        stream = self._stream
        changed = self._loop.create_task(self._change.wait())
        try:
            await asyncio.wait(
                {changed, *({stream.ended} if stream is not None else ())}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changed.cancel()
        if stream is not None and stream.ended.done() and not self._change.is_set():
            lived_s = self._loop.time() - stream.began_s
            await self._rest(0 if lived_s >= _STEADY_S else self._failures + 1)

    async def _rest(self, failures: int) -> None:
        self._failures = failures
        pause_s = min(self._first_pause_s * 2 ** min(max(failures - 1, 0), 16), _LONGEST_PAUSE_S) * random.uniform(
            0.8, 1.2
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._change.wait()

    async def _open(self, asked: JSON) -> None:
        lost = self._stream is not None and self._stream.ended.done()
        fresh = _Stream(self._session, asked, self._hear)
        try:
            async with asyncio.timeout(_ANSWER_S):
                granted = await asyncio.shield(fresh.granted)
        except (Unwatchable, LinkClosed, TimeoutError) as exc:
            await fresh.aclose()
            self._refused(asked, exc)
            # What was heard before is heard still, where it is.
            if self._stream is None or self._stream.ended.done():
                self._stream = fresh
            return
        except BaseException:
            await fresh.aclose()
            raise
        await self._replace(fresh)
        told = _uris(granted)
        self._settle(_uris(asked), told)
        if lost or self._opening_counts:
            self._all_changed(granted, told if lost else [])
        self._opening_counts = False

    def _refused(self, asked: JSON, exc: Exception) -> None:
        logger.info("a server does not open a stream of what changes: %s", exc)
        if isinstance(exc, Unwatchable) and "taskIds" in asked:
            # It may be for one of them, and they can be looked at; what changes cannot be known otherwise.
            self._tasks.clear()
            self._change.set()
            return
        if isinstance(exc, Unwatchable) and exc.code == METHOD_NOT_FOUND:
            # It will not learn to. Who wants to hear of a resource asks again, and is told.
            self._lists = []
        fault = exc if isinstance(exc, Unwatchable | LinkClosed) else LinkClosed("it does not say whether it tells")
        for uri in _uris(asked):
            if (known := self._waiting.get(uri)) is not None:
                self._wanted.pop(uri, None)
                _fail(known, fault)

    def _settle(self, asked: list[str], told: list[str]) -> None:
        for uri in asked:
            known = self._waiting.get(uri)
            if known is None:
                continue
            if uri in told:
                _tell(known)
            else:
                self._wanted.pop(uri, None)
                _fail(known, Unwatchable(INVALID_PARAMS, f"it does not tell of {uri!r}"))

    def _all_changed(self, granted: JSON, told: list[str]) -> None:
        for name, member in _LISTS.items():
            if granted.get(member) is True:
                self._hear(f"notifications/{name}/list_changed", {})
        for uri in told:
            self._hear(_UPDATED, {"uri": uri})

    async def _replace(self, fresh: _Stream | None) -> None:
        before, self._stream = self._stream, fresh
        if before is not None:
            await before.aclose()


def _uris(notifications: JSON) -> list[str]:
    found: object = notifications.get("resourceSubscriptions")
    return [uri for uri in cast("list[object]", found) if isinstance(uri, str)] if isinstance(found, list) else []


def _less(adding: "Counter[str]", uri: str) -> None:
    adding[uri] -= 1
    if not adding[uri]:
        del adding[uri]


def _tell(known: "asyncio.Future[None]") -> None:
    if not known.done():
        known.set_result(None)


def _fail(known: "asyncio.Future[None]", exc: Exception) -> None:
    if not known.done():
        known.set_exception(exc)
        known.exception()
