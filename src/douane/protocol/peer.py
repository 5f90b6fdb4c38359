"""One end of a JSON-RPC line, without I/O and without a clock: our ids, their answers, and what belongs to what.

Our ids are a counter of our own and double as progress tokens, so an answer or a progress note finds its call by
our number and never by one the peer chose. Ids of the two directions never meet.
"""

from collections.abc import Callable
from itertools import count
from typing import Any, Generic, TypeVar, cast

import msgspec

from ..wire import rpc
from ..wire.batch import is_batch, split
from .call import JSON

__all__ = ["Answered", "Batch", "Peer", "Progressed", "Stray"]

W = TypeVar("W")
"""Whatever the caller of `ask` waits with: the peer only keeps it."""


class Answered(msgspec.Struct, Generic[W], frozen=True):
    waiter: W
    answer: rpc.Response | rpc.Error


class Progressed(msgspec.Struct, Generic[W], frozen=True):
    waiter: W
    params: JSON


class Stray(msgspec.Struct, frozen=True):
    """A frame that belongs to nothing: an unknown or late id, a broken message. Counted, never fatal."""

    reason: str


class Batch(msgspec.Struct, frozen=True):
    """Several frames that came as one: each is to be received by itself."""

    frames: list[bytes]


class Peer(Generic[W]):
    """`ask` gives the frame to send; `receive` says what a frame that came is."""

    def __init__(self, limits: rpc.Limits = rpc.json.DEFAULT_LIMITS, *, first_id: int = 1) -> None:
        self._limits = limits
        self._ids = count(first_id)
        self._waiting: dict[int, W] = {}
        self.strays = 0
        self.batches = False
        """Its revision has batches."""

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def ask(self, waiter: W, write: Callable[[int], bytes]) -> tuple[int, bytes]:
        """Take an id for `waiter`; `write` makes the frame of it."""
        id_ = next(self._ids)
        frame = write(id_)
        self._waiting[id_] = waiter
        return id_, frame

    def forget(self, id_: int) -> bool:
        """Nobody waits for `id_` any more. False when it was answered already."""
        return self._waiting.pop(id_, None) is not None

    def receive(self, data: bytes) -> "rpc.Request | rpc.Notification | Answered[W] | Progressed[W] | Batch | Stray":
        try:
            frame = rpc.read(data, self._limits)
        except rpc.FrameError as fault:
            return self._batch(data) if self.batches and is_batch(data) else self._broken(fault)
        if isinstance(frame, rpc.Response | rpc.Error):
            return self.match(frame)
        if isinstance(frame, rpc.Notification) and frame.method == "notifications/progress":
            return self._progress(frame)
        return frame

    def drop_all(self) -> list[W]:
        """The line is gone: everybody who still waits."""
        left = list(self._waiting.values())
        self._waiting.clear()
        return left

    def _batch(self, data: bytes) -> "Answered[W] | Batch | Stray":
        try:
            return Batch(split(data, self._limits))
        except rpc.FrameError as fault:
            return self._broken(fault)

    def match(self, answer: rpc.Response | rpc.Error) -> "Answered[W] | Stray":
        """What a frame that was read already answers."""
        waiter = self._waiting.pop(answer.id, None) if type(answer.id) is int else None
        if waiter is None:
            self.strays += 1
            return Stray(f"an answer to nothing that is open (id {str(answer.id)[:40]})")
        return Answered(waiter, answer)

    def _progress(self, note: rpc.Notification) -> "Progressed[W] | Stray":
        token: Any = note.params.get("progressToken")
        waiter = self._waiting.get(token) if type(token) is int else None
        if waiter is None:
            self.strays += 1
            return Stray("progress of nothing that is open")
        return Progressed(waiter, {k: v for k, v in note.params.items() if k != "progressToken"})

    def _broken(self, fault: rpc.FrameError) -> "Answered[W] | Stray":
        # A broken answer to an open call ends that call at once, instead of letting it wait for its deadline.
        # A broken request bears the peer's own id: it says nothing about a call of ours with the same number.
        ours = type(fault.id) is int and not fault.asks
        waiter = self._waiting.pop(cast("int", fault.id), None) if ours else None
        if waiter is not None:
            return Answered(waiter, rpc.Error(cast("int", fault.id), fault.code, f"a broken answer: {fault}"))
        self.strays += 1
        return Stray(str(fault))
