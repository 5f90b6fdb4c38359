"""One `subscriptions/listen` of the newest revision: what was granted, the stream it is told on, and its end.

The acknowledgement comes first and names what is honoured; everything after it bears the id of the request. What may
not be heard is left out of it. The stream is as long as its client wants it; it ends gracefully with a result.
Spec: specification/2026-07-28/basic/patterns/subscriptions.mdx; basic/patterns/cancellation.mdx.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from ..protocol.call import JSON, Call
from ..protocol.eras import stateless
from ..protocol.eras.envelope import SUBSCRIPTION
from ..protocol.methods import Kind
from ..protocol.outcome import Complete, Outcome, Refused
from ..protocol.tasks import accepts, undeclared
from ..wire import json, rpc
from ..wire.codes import INVALID_PARAMS
from .listener import Listener, list_names, new_id
from .subscriptions import Ear, owner_of
from .task_news import TaskEar

__all__ = ["Subscription"]

_LISTS = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}
_NAMED = {"resourceSubscriptions": "URIs", "taskIds": "ids of tasks"}

_MAX_EARLY = 1_000
"""Told before the acknowledgement. Whoever is told more than that is better served by listening anew."""


class Asked(msgspec.Struct, frozen=True):
    """A filter: what is to be heard of."""

    lists: tuple[str, ...]
    uris: tuple[str, ...]
    tasks: tuple[str, ...]


class Subscription:
    def __init__(self, listener: Listener, call: Call, id_: rpc.Id, say: Callable[[bytes], None]) -> None:
        """`say` takes each notification, from the acknowledgement on. `id_` is that of the request on the wire."""
        self._listener, self._call, self._id, self._say = listener, call, id_, say
        self._ear = Ear(owner_of(call.principal), self._updated)
        self._lists: frozenset[str] = frozenset()
        self._tasks: list[TaskEar] = []
        self._following: list[asyncio.Task[None]] = []
        self._early: list[bytes] | None = []
        """What is to be told while it is not acknowledged yet."""
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """Gracefully: with a result."""
        if not self._over.done():
            self._over.set_result(None)

    async def run(self, opened: Callable[[], None] | None = None) -> Outcome:
        """Until it ends, or is cancelled. The outcome answers the request. `opened` is called when it is acknowledged."""
        asked = _read(self._call.params)
        if isinstance(asked, str):
            return Refused(INVALID_PARAMS, f"client: {asked}")
        subscriptions, changes = self._listener.subscriptions, self._listener.offer.on_change
        if asked.tasks and not accepts(self._call.capabilities):
            return undeclared("taskIds of subscriptions/listen are of an extension")
        full = subscriptions.enter(self._ear, self._call, self.end, len(asked.uris) + len(asked.tasks))
        if full is not None:
            return full
        changes.append(self._changed)
        try:
            refusal = await self._grant(asked)
            if refusal is not None:
                return refusal
            self._acknowledge()
            self._follow()
            if opened is not None:
                opened()
            await self._over
        finally:
            changes.remove(self._changed)
            subscriptions.leave(self._ear)
            await self._unfollow()
        return Complete({"_meta": {SUBSCRIPTION: self._id}})

    async def _grant(self, asked: Asked) -> Outcome | None:
        """Ask for everything; how it was refused when all of it was."""
        outcomes = [await self._grant_lists(asked.lists)]
        outcomes += await asyncio.gather(*(self._grant_resource(uri) for uri in asked.uris))
        outcomes += await asyncio.gather(*(self._grant_task(id_) for id_ in asked.tasks))
        refusals = [outcome for outcome in outcomes if not isinstance(outcome, Complete)]
        if not refusals or self._ear.uris or self._lists or self._tasks:
            return None
        return refusals[0]

    async def _grant_lists(self, lists: tuple[str, ...]) -> Outcome:
        outcome = await self._listener.subscriptions.ask(self._call)
        if isinstance(outcome, Complete):
            has = self._listener.offer.capabilities | {"tools"}
            self._lists = frozenset(name for name in lists if name in has)
        return outcome

    async def _grant_resource(self, uri: str) -> Outcome:
        params = {"uri": uri}
        call = replace(self._call, id=new_id(), method="resources/subscribe", params=params, target=uri)
        return await self._listener.subscriptions.subscribe(call, self._ear)

    async def _grant_task(self, id_: str) -> Outcome:
        ear = TaskEar(self._listener.task_news, self._call, id_, self._stands)
        outcome = await ear.admit()
        if isinstance(outcome, Complete):
            self._tasks.append(ear)
        return outcome

    def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        self._following = [loop.create_task(self._followed(ear)) for ear in self._tasks]

    async def _followed(self, ear: TaskEar) -> None:
        try:
            told_all = await ear.follow(now=True)
        except Exception:
            # The edge of this task: whoever listens must not wait for what never comes.
            self._listener.internal_fault(self._call.id)
            told_all = False
        if not told_all:
            # Its client learns what is left by listening again.
            self.end()

    async def _unfollow(self) -> None:
        for following in self._following:
            following.cancel()
        for ear in self._tasks:
            # Some may never have begun.
            ear.leave()
        if self._following:
            await asyncio.wait(self._following)

    def _acknowledge(self) -> None:
        honoured: dict[str, Any] = {_LISTS[name]: True for name in _LISTS if name in self._lists}
        if self._ear.uris:
            honoured["resourceSubscriptions"] = list(self._ear.uris)
        if self._tasks:
            honoured["taskIds"] = [ear.id for ear in self._tasks]
        early, self._early = self._early or [], None
        self._tell("notifications/subscriptions/acknowledged", {"notifications": honoured})
        for frame in early:
            self._say(frame)

    def _updated(self, uri: str) -> None:
        self._tell("notifications/resources/updated", {"uri": uri})

    def _stands(self, task: JSON) -> None:
        self._tell("notifications/tasks", task)

    def _changed(self, kinds: frozenset[Kind]) -> None:
        for name in list_names(kinds):
            if name in self._lists:
                self._tell(f"notifications/{name}/list_changed", {})

    def _tell(self, method: str, params: JSON) -> None:
        frame = stateless.write_subscribed(method, params, self._id)
        if self._early is None:
            self._say(frame)
        elif len(self._early) < _MAX_EARLY:
            self._early.append(frame)
        else:
            self.end()


def _read(params: JSON) -> Asked | str:
    """What `subscriptions/listen` asks for, or what is wrong with it."""
    wanted: object = params.get("notifications")
    if not json.is_object(wanted):
        return "params.notifications must be an object"
    for member in _LISTS.values():
        if not isinstance(wanted.get(member, False), bool):
            return f"params.notifications.{member} must be true or false"
    named = [_strings(wanted.get(member, [])) for member in _NAMED]
    for member, found in zip(_NAMED, named, strict=True):
        if found is None:
            return f"params.notifications.{member} must be an array of {_NAMED[member]}"
    uris, tasks = (tuple(dict.fromkeys(found or ())) for found in named)
    return Asked(tuple(name for name, member in _LISTS.items() if wanted.get(member)), uris, tasks)


def _strings(value: object) -> list[str] | None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[object]", value)):
        return None
    return cast("list[str]", value)
