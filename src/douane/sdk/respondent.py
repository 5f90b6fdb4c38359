"""What a server of the handshake era asks of us on a session: who answers, and the answers on their way.

Only what was declared is asked of the respondent; the rest is refused at once. While a question is open here, the time
is ours and not the server's: the session is told, and moves its deadlines.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ..protocol.call import JSON
from ..protocol.offers import question_fault
from ..wire import json, rpc
from ..wire.codes import INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND

__all__ = ["NOBODY", "NoReply", "Questions", "Respondent"]

logger = logging.getLogger(__name__)

_MAX_OPEN = 64
"""Questions of one server at once; who means well asks a few."""
_NOTHING: dict[str, Any] = {}


class NoReply(Exception):
    """A question is refused. `code` is that of the JSON-RPC error the server gets."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


async def _nobody(method: str, params: JSON) -> JSON:
    raise NoReply(METHOD_NOT_FOUND, "client: no such capability was declared")


def _unheard(method: str, code: int, reason: str) -> None:
    return


class Respondent(msgspec.Struct, frozen=True):
    """Who answers what a server of the handshake era asks, and what it is told can be asked."""

    capabilities: JSON = _NOTHING
    reply: Callable[[str, JSON], Awaitable[JSON]] = _nobody
    """The result of one question: method, params. Raises NoReply."""
    stateless: JSON = _NOTHING
    """What a server of the stateless era is told with each request that is no call: what calls offer, they say."""
    refused: Callable[[str, int, str], None] = _unheard
    """Told of each question that was answered with an error: its method, the code, the reason."""
    extensions: JSON = _NOTHING
    """What is declared beside, with its settings: at the handshake, or with each request that is no call."""

    @property
    def declared(self) -> JSON:
        """All that is said at the handshake."""
        return {**self.capabilities, "extensions": self.extensions} if self.extensions else self.capabilities


NOBODY = Respondent()


class Questions:
    """The questions of one server that are open at us."""

    def __init__(self, respondent: Respondent, send: Callable[[bytes], None], turned: Callable[[], None]) -> None:
        """`send` takes each answer; `turned` is called when the first question opens and when the last is answered."""
        self._respondent, self._send, self._turned = respondent, send, turned
        self._open: dict[rpc.Id, asyncio.Task[None]] = {}
        self.refused = 0

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, request: rpc.Request) -> bytes | None:
        """What answers the request at once; None: it is answered later."""
        if request.method == "ping":
            return rpc.write_result(request.id, b"{}")
        question = {"method": request.method, "params": request.params}
        if question_fault(question, self._respondent.capabilities) is not None:
            return self._refuse(request, METHOD_NOT_FOUND, "client: no such capability was declared")
        if request.id in self._open or len(self._open) >= _MAX_OPEN:
            return self._refuse(request, INVALID_REQUEST, "client: too many questions at once, or one id twice")
        task = asyncio.get_running_loop().create_task(self._answer(request))
        self._open[request.id] = task
        # One that is withdrawn at once never begins, and does not free its id itself.
        task.add_done_callback(lambda task: self._close(request.id, task))
        if len(self._open) == 1:
            self._turned()
        return None

    def withdraw(self, id: object) -> bool:
        """The server does not want to know any more. False: it asked nothing by that id."""
        task = self._open.get(id) if isinstance(id, str | int) else None
        return task is not None and task.cancel()

    def drop_all(self) -> None:
        """The server is gone: answer nothing any more."""
        for task in self._open.values():
            task.cancel()

    async def aclose(self) -> None:
        tasks = tuple(self._open.values())
        self.drop_all()
        if tasks:
            await asyncio.wait(tasks)

    async def _answer(self, request: rpc.Request) -> None:
        try:
            said = json.encode(await self._respondent.reply(request.method, request.params))
            frame = rpc.write_result(request.id, said)
        except NoReply as exc:
            frame = self._refuse(request, exc.code, str(exc))
        except Exception:
            # The edge of this task: without an answer the server would wait for ever.
            logger.exception("the answer to %s failed", request.method)
            frame = self._refuse(request, INTERNAL_ERROR, "client: the answer failed")
        # Before it is answered: the server may use the id again at once.
        self._close(request.id, asyncio.current_task())
        self._send(frame)

    def _close(self, id_: rpc.Id, task: "asyncio.Task[None] | None") -> None:
        if self._open.get(id_) is not task:
            return
        del self._open[id_]
        if not self._open:
            self._turned()

    def _refuse(self, request: rpc.Request, code: int, message: str) -> bytes:
        self.refused += 1
        self._respondent.refused(request.method, code, message)
        if self.refused in (1, 10, 100) or self.refused % 1000 == 0:
            logger.warning("a server asked what nobody here answers (%d so far): %s", self.refused, message)
        return rpc.write_error(request.id, code, message)
