"""A task that is not over: how it stands, and what it waits for."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from ..flow.chain import Emit, Trail
from ..flow.rounds import Exchange
from ..protocol.call import JSON, Call, Event, Principal
from ..protocol.outcome import Complete, Failed, Outcome, Refused
from ..protocol.questions import answer_fault
from ..protocol.tasks import Task, now
from ..wire.codes import INTERNAL_ERROR

__all__ = ["RunningTask"]


class RunningTask:
    def __init__(self, task: Task, owner: Principal, tell: Callable[[Principal, Task], None]) -> None:
        self.task = task
        self._owner, self._tell = owner, tell
        self.work: asyncio.Task[None]
        self.exchange: Exchange
        self._questions: dict[str, JSON] = {}
        self._answers: dict[str, asyncio.Future[JSON]] = {}
        self._asked: set[str] = set()

    async def ask(self, asks: Mapping[str, JSON]) -> JSON:
        """What the caller answers, in the end to all of them."""
        answers = await asyncio.gather(*(self._ask(key, question) for key, question in asks.items()))
        return dict(zip(asks, answers, strict=True))

    async def _ask(self, key: str, question: JSON) -> JSON:
        # No key is used twice in the life of a task (tasks.md, task update requests).
        key = self._unused(key)
        future: asyncio.Future[JSON] = asyncio.get_running_loop().create_future()
        self._questions[key], self._answers[key] = question, future
        self._stand()
        try:
            return await future
        finally:
            self._answers.pop(key, None)
            if self._questions.pop(key, None) is not None:
                # Its function waits no longer, and goes on.
                self._stand()

    def fault(self, answers: JSON) -> str | None:
        """Why one of them does not answer what is asked."""
        faults = ((key, answer_fault(self._questions[key], answers[key])) for key in self._questions if key in answers)
        return next((f"the answer to {key!r} {fault}" for key, fault in faults if fault is not None), None)

    def answer(self, answers: JSON) -> None:
        """What was not asked, or is answered, is passed over."""
        for key, answer in answers.items():
            future = self._answers.pop(key, None)
            if future is not None:
                del self._questions[key]
                # Its time may have run out a moment ago.
                if not future.done():
                    future.set_result(answer)
        self._stand()

    def emit(self, call: Call) -> Emit:
        return Emit(self.hear, Trail(call))

    def hear(self, event: Event) -> None:
        """Progress, in words."""
        message: object = event.params.get("message")
        if event.method == "notifications/progress" and isinstance(message, str):
            self._change(message=message)

    def cancel(self) -> None:
        """From here on it is cancelled, whatever its function still says."""
        self._change(status="cancelled", asks={})

    def settle(self, outcome: Outcome) -> None:
        match outcome:
            case Complete(result):
                self._change(status="completed", result=result, asks={})
            case Failed(code, message, _, data) | Refused(code, message, data):
                error: dict[str, Any] = {"code": code, "message": message}
                if data is not None:
                    error["data"] = data
                self._change(status="failed", error=error, message=message, asks={})
            case _:
                error = {"code": INTERNAL_ERROR, "message": "server: a task cannot end so"}
                self._change(status="failed", error=error, asks={})

    def _stand(self) -> None:
        self._change(status="input_required" if self._questions else "working", asks=dict(self._questions))

    def _change(self, **members: Any) -> None:
        if self.task.is_over:
            return
        self.task = replace(self.task, updated_at=now(), **members)
        self._tell(self._owner, self.task)

    def _unused(self, key: str) -> str:
        made, number = key, 1
        while made in self._asked:
            number += 1
            made = f"{key}-{number}"
        self._asked.add(made)
        return made
