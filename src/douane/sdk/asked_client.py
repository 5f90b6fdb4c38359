"""What we ask one client of the handshake era, directly, while a call of its runs.

Ids are our own and never meet those of the client's requests, nor each other, for as long as a client is there. A question has a time in which it is answered; a client that
gave up its call, or has gone, is told that its answer is not needed. Answers nobody waits for are passed over.
Spec: specification/2025-11-25/client/*.mdx, basic/utilities/cancellation.mdx.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from ..flow.rounds import Unanswered
from ..protocol.call import JSON
from ..protocol.eras import differences
from ..protocol.outcome import Failed, Refused
from ..protocol.peer import Answered, Peer
from ..protocol.questions import ELICIT, INPUT_KEY, answer_fault
from ..wire import rpc
from ..wire.codes import DEADLINE_EXCEEDED, INTERNAL_ERROR, INVALID_PARAMS, MISSING_CAPABILITY

__all__ = ["AskedClient", "Say"]

Say = Callable[[bytes], None]
"""Where a question goes: with the answer to the call that it belongs to."""
_Waiter = asyncio.Future[rpc.Response | rpc.Error]
_GONE = "client: it has gone, or has begun anew, and cannot be asked"
_REJECTED = -1
"""What clients say when a person has refused (client/sampling.mdx, error handling)."""


class AskedClient:
    """The questions open at one client."""

    __slots__ = ("_gone", "_peer", "last_id", "revision")

    def __init__(self, revision: str, after: int = 0) -> None:
        """`after`: the last id of what the same client was asked before it initialized again."""
        self.revision, self._gone, self.last_id = revision, False, after
        self._peer: Peer[_Waiter] | None = None
        """Most clients are never asked anything, and their sessions are many."""

    @property
    def waiting(self) -> int:
        return 0 if self._peer is None else self._peer.waiting

    async def ask(self, questions: Mapping[str, JSON], say: Say, within_s: float) -> JSON:
        """The answer to each. Raises Unanswered: before anything is sent, where one cannot be put."""
        older = {key: self._older(key, question) for key, question in questions.items()}
        asking = [asyncio.ensure_future(self._ask(question, say, within_s)) for question in older.values()]
        try:
            said = await asyncio.gather(*asking)
        finally:
            for one in asking:
                one.cancel()
            await asyncio.wait(asking)
        return {key: _checked(questions[key], key, answer) for key, answer in zip(older, said, strict=True)}

    def answered(self, answer: rpc.Response | rpc.Error) -> bool:
        """A frame that answers something. False: nobody has ever asked that; what comes too late was asked once."""
        found = self._peer.match(answer) if self._peer is not None else None
        if isinstance(found, Answered):
            if not found.waiter.done():
                found.waiter.set_result(answer)
            return True
        return type(answer.id) is int and 0 < answer.id <= self.last_id

    def close(self) -> None:
        """The client has gone, or has initialized again: nobody will answer."""
        self._gone = True
        for waiter in self._peer.drop_all() if self._peer is not None else ():
            if not waiter.done():
                waiter.set_exception(_unanswered(INTERNAL_ERROR, _GONE))

    def _older(self, key: str, question: JSON) -> JSON:
        older = differences.strip_question(question, self.revision)
        if isinstance(older, str):
            said = f"client: this call has to ask for {older}, which revision {self.revision} cannot"
            raise Unanswered(Refused(MISSING_CAPABILITY, said))
        params: dict[str, Any] = {**older["params"], "_meta": {**older["params"].get("_meta", {}), INPUT_KEY: key}}
        if params.get("mode") == "url":
            # Gone again with 2026-07-28; here a client may be told later that it was completed.
            params["elicitationId"] = secrets.token_urlsafe(16)
        return {**older, "params": params}

    async def _ask(self, question: JSON, say: Say, within_s: float) -> dict[str, Any]:
        # Here, not before: it may have gone since the questions were written.
        if self._gone:
            raise _unanswered(INTERNAL_ERROR, _GONE)
        method: str = question["method"]
        if self._peer is None:
            self._peer = Peer(first_id=self.last_id + 1)
        waiter: asyncio.Future[rpc.Response | rpc.Error] = asyncio.get_running_loop().create_future()
        id_, frame = self._peer.ask(waiter, lambda id_: rpc.write_request(id_, method, question["params"]))
        self.last_id = id_
        say(frame)
        try:
            async with asyncio.timeout(within_s):
                answer = await waiter
        except TimeoutError:
            reason = f"client: no answer to {method} within {within_s:g} s"
            raise _unanswered(DEADLINE_EXCEEDED, reason) from None
        finally:
            if self._peer.forget(id_):
                say(
                    rpc.write_notification(
                        "notifications/cancelled", {"requestId": id_, "reason": "not needed any more"}
                    )
                )
        if isinstance(answer, rpc.Response):
            return answer.result
        if method == ELICIT and answer.code == _REJECTED:
            return {"action": "cancel"}
        raise _unanswered(INTERNAL_ERROR, f"client: answered {method} with an error: {answer.message} ({answer.code})")


def _checked(question: JSON, key: str, answer: JSON) -> JSON:
    fault = answer_fault(question, answer)
    if fault is not None:
        raise _unanswered(INVALID_PARAMS, f"client: the answer to {key!r} {fault}")
    return answer


def _unanswered(code: int, reason: str) -> Unanswered:
    return Unanswered(Failed(code, reason, "yes"))
