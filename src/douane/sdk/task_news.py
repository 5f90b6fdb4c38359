"""Who listens to a task is told how it stands, each time that is not what it was.

What is told is what `tasks/get` answers at that moment: it is asked, in the name of who listens, through all that calls
pass, so whoever may not look is not told either. Something has changed when its server says so; where that cannot be
relied on, it is looked at as often as the task says that it may be.
Spec: modelcontextprotocol/ext-tasks specification/draft/tasks.md (task status notifications).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from ..protocol.call import JSON, Call, Event
from ..protocol.eras.older_tasks import older_task
from ..protocol.outcome import Complete, Failed, Outcome, Refused
from ..protocol.tasks import OFFERED, TERMINAL
from ..wire.codes import INVALID_REQUEST, UPSTREAM_UNAVAILABLE
from .subscriptions import Ear, Owner, owner_of

__all__ = ["TaskEar", "TaskNews", "follow_older"]

logger = logging.getLogger(__name__)

_REST_S = 0.1
"""A task that changes all the time is told of ten times a second."""
_LOOK_S, _LOOKS_S = 1.0, (0.1, 30.0)
"""Between two looks: where the task does not say, and what it may say."""
_MAX_PER_PRINCIPAL = 1_000
_LOOK_WITHIN_S = 30.0

_NOTHING: JSON = {}

Run = Callable[[Call, Callable[[Event], None]], Awaitable[Outcome]]


def _to_nobody(id: str) -> None:
    return


class TaskNews:
    """Of one endpoint: who listens to which task."""

    def __init__(self, run: Run, layer: str, new_id: Callable[[], str]) -> None:
        """`run` serves `tasks/get`, `layer` says whose bounds these are."""
        self.run, self.layer, self.new_id = run, layer, new_id
        self.looks = False
        """Whether a task has to be looked at, because not every change of one is told."""
        self.began: Callable[[str], None] = _to_nobody
        """Told of a task to which somebody listens now, and nobody did before."""
        self.ended: Callable[[str], None] = _to_nobody
        self._ears: dict[str, dict[TaskEar, None]] = {}
        self._held: Counter[Owner] = Counter()

    def __len__(self) -> int:
        return self._held.total()

    def __contains__(self, id: str) -> bool:
        return id in self._ears

    def changed(self, id: str) -> None:
        """The task of that id, as callers know it, is not as it was."""
        for ear in self._ears.get(id, ()):
            ear.news.set()

    def add(self, ear: "TaskEar") -> Refused | None:
        if self._held[ear.owner] >= _MAX_PER_PRINCIPAL:
            return Refused(INVALID_REQUEST, f"{self.layer}: you listen to {_MAX_PER_PRINCIPAL} tasks; end a stream")
        self._held[ear.owner] += 1
        self._ears.setdefault(ear.id, {})[ear] = None
        return None

    def remove(self, ear: "TaskEar") -> None:
        ears = self._ears.get(ear.id, {})
        if ear not in ears:
            return
        del ears[ear]
        self._held[ear.owner] -= 1
        if not self._held[ear.owner]:
            del self._held[ear.owner]
        if not ears:
            del self._ears[ear.id]
            self.ended(ear.id)


class TaskEar:
    """One that listens to one task."""

    __slots__ = ("_call", "_last", "_looks", "_news_of", "_tell", "id", "news", "owner")

    def __init__(self, news_of: TaskNews, call: Call, id: str, tell: Callable[[JSON], None]) -> None:
        """`call`: the one that listens."""
        self.id, self.owner, self.news = id, owner_of(call.principal), asyncio.Event()
        self._news_of, self._call, self._tell = news_of, call, tell
        self._looks = news_of.looks
        self._last: JSON | None = None

    async def admit(self) -> Outcome:
        """Whether it may be listened to: then `follow` has to be called, or `leave`."""
        full = self._news_of.add(self)
        if full is not None:
            return full
        try:
            outcome = await self._look()
        except BaseException:
            self.leave()
            raise
        if isinstance(outcome, Complete):
            self._last = outcome.result
            self._news_of.began(self.id)
        else:
            self.leave()
        return outcome

    def admitted(self, task: JSON) -> bool:
        """In place of `admit`, for who has just begun the task and looks at it by itself: it is told what is told, no more."""
        if self._news_of.add(self) is not None:
            return False
        self._last, self._looks = task, False
        # It may be over by now, and then nothing more is told of it.
        self.news.set()
        self._news_of.began(self.id)
        return True

    async def follow(self, *, now: bool) -> bool:
        """Tell how it stands, `now` and later, until it is over. False: it is not there any more for who listens."""
        assert self._last is not None
        try:
            if now:
                self._tell(_told(self._last))
            while self._last.get("status") not in TERMINAL:
                await asyncio.sleep(_REST_S)
                await self._until_due(self._last)
                self.news.clear()
                if not await self._heard():
                    return False
            return True
        finally:
            self.leave()

    def leave(self) -> None:
        self._news_of.remove(self)

    async def _heard(self) -> bool:
        outcome = await self._look()
        if isinstance(outcome, Complete):
            if outcome.result != self._last:
                self._last = outcome.result
                self._tell(_told(outcome.result))
            return True
        # That an upstream is not there now says nothing of the task.
        return isinstance(outcome, Failed) and outcome.code == UPSTREAM_UNAVAILABLE

    async def _until_due(self, task: JSON) -> None:
        try:
            async with asyncio.timeout(_pause_s(task) if self._looks else _life_s(task)):
                await self.news.wait()
        except TimeoutError:
            return

    async def _look(self) -> Outcome:
        deadline_s = asyncio.get_running_loop().time() + _LOOK_WITHIN_S
        call = replace(
            self._call,
            id=self._news_of.new_id(),
            method="tasks/get",
            params={"taskId": self.id},
            target=self.id,
            name=self.id,
            state=None,
            answers=_NOTHING,
            deadline_s=deadline_s,
        )
        return await self._news_of.run(call, _unheard)


def follow_older(news_of: TaskNews, call: Call, task: JSON, ear: Ear) -> None:
    """Tell a session of 2025-11-25 of the task that its `call` has become, as that revision does: unasked, and less than
    `tasks/get` of the newer says (basic/utilities/tasks.mdx, task status notification)."""
    tell = ear.tell_task
    if tell is None or not ear.is_open or task.get("status") in TERMINAL:
        return
    knows = replace(call, capabilities={**call.capabilities, **OFFERED}, log_level=None, wants_progress=False)
    listens = TaskEar(news_of, knows, task["taskId"], lambda said: tell(older_task(said)))
    if not listens.admitted(task):
        return
    ear.following = following = set() if ear.following is None else ear.following
    telling = asyncio.get_running_loop().create_task(_follow(listens))
    following.add(telling)

    def over(telling: asyncio.Task[None]) -> None:
        following.discard(telling)
        # It may have been cancelled before it had begun.
        listens.leave()

    telling.add_done_callback(over)


async def _follow(listens: TaskEar) -> None:
    try:
        await listens.follow(now=False)
    except Exception:
        # The edge of this task: its client can still look.
        logger.exception("a session is not told of its task any more")


def _pause_s(task: JSON) -> float:
    said: object = task.get("pollIntervalMs")
    least, most = _LOOKS_S
    return min(max(said / 1000, least), most) if isinstance(said, int) else _LOOK_S


def _life_s(task: JSON) -> float | None:
    """When it is not there any more, whether anybody tells that or not."""
    said: object = task.get("ttlMs")
    return max(said / 1000, _LOOK_S) if isinstance(said, int) else None


def _told(task: JSON) -> dict[str, Any]:
    return {name: value for name, value in task.items() if name not in ("resultType", "_meta")}


def _unheard(event: Event) -> None:
    return
