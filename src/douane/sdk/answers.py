"""The answers to one batch: gathered until its last request has been answered or given up, then told as one.

Spec: JSON-RPC 2.0 §6; specification/2025-03-26/basic/index.mdx (batching).
"""

import asyncio
from collections.abc import Callable

from ..protocol.eras import stateless
from ..wire import rpc
from ..wire.codes import INVALID_REQUEST

__all__ = ["Answers", "out_of_place"]


def out_of_place(request: rpc.Request) -> str | None:
    """Why a request must not be in a batch, if it must not (2025-03-26/basic/lifecycle.mdx, initialization)."""
    if request.method == "initialize":
        return "client: initialize must not be part of a batch"
    if stateless.is_enveloped(request.params) or request.method == "server/discover":
        return "client: revision 2026-07-28 has no batches; send the request by itself"
    return None


class Answers:
    """`add` what is known at once, `owe` what a task will add; `tell` is called once, after `seal`. In any order."""

    __slots__ = ("_frames", "_owed", "_sealed", "_tell")

    def __init__(self, tell: Callable[[list[bytes]], None]) -> None:
        """`tell` gets no frames when nothing was asked, or all of it was cancelled."""
        self._tell, self._frames = tell, list[bytes]()
        self._owed, self._sealed = 0, False

    def add(self, frame: bytes) -> None:
        self._frames.append(frame)

    def refuse(self, id: rpc.Id | None, reason: str, code: int = INVALID_REQUEST) -> None:
        self.add(rpc.write_error(id, code, reason))

    def owe(self, task: "asyncio.Task[None]") -> None:
        self._owed += 1
        task.add_done_callback(self._paid)

    def seal(self) -> None:
        """The batch has been read to its end."""
        self._sealed = True
        self._maybe_tell()

    def _paid(self, _: "asyncio.Task[None]") -> None:
        self._owed -= 1
        self._maybe_tell()

    def _maybe_tell(self) -> None:
        if self._sealed and not self._owed:
            self._tell(self._frames)
