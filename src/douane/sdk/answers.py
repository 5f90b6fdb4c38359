"""The answers to one batch: gathered until its last request has been answered or given up, then told as one array.

Answers that together are larger than a message may be are told as several.

Spec: JSON-RPC 2.0 §6; specification/2025-03-26/basic/index.mdx (batching).
"""

import asyncio
from collections.abc import Callable

from ..protocol.eras import stateless
from ..wire import rpc
from ..wire.codes import INVALID_REQUEST
from ..wire.json import DEFAULT_LIMITS

__all__ = ["Answers", "Tell", "out_of_place"]

_MAX_BYTES = DEFAULT_LIMITS.max_bytes
"""What peers take as one message."""

Tell = Callable[[list[bytes], bool], None]
"""Told answers, and whether they are the last."""


def out_of_place(request: rpc.Request) -> str | None:
    """Why a request must not be in a batch, if it must not (2025-03-26/basic/lifecycle.mdx, initialization)."""
    if request.method == "initialize":
        return "client: initialize must not be part of a batch"
    if stateless.is_enveloped(request.params) or request.method == "server/discover":
        return "client: revision 2026-07-28 has no batches; send the request by itself"
    return None


class Answers:
    """`add` what is known at once, `owe` what a task will add, then `seal`. Answers come in any order."""

    __slots__ = ("_bytes", "_frames", "_owed", "_sealed", "_tell")

    def __init__(self, tell: Tell) -> None:
        """`tell` gets no frames when nothing was asked, or all of it was cancelled."""
        self._tell, self._frames = tell, list[bytes]()
        self._bytes = self._owed = 0
        self._sealed = False

    def add(self, frame: bytes) -> None:
        if self._frames and self._bytes + len(frame) > _MAX_BYTES:
            full, self._frames, self._bytes = self._frames, [], 0
            self._tell(full, False)
        self._frames.append(frame)
        self._bytes += len(frame)

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
            self._tell(self._frames, True)
