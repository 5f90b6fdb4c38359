"""One exchange with a server over Streamable HTTP: it answers what was posted with a document, or on a stream that may say
more before.

Spec: specification/2026-07-28/basic/transports/streamable-http.mdx, specification/2025-11-25/basic/transports.mdx.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from ..flow.chain import Emit
from ..protocol.call import Call, Event
from ..transports.http_client import Deadline, Response
from ..wire import rpc, sse
from ..wire.batch import is_batch, split
from .http_resume import is_event_id
from .session import emit_note

__all__ = ["Answer", "Broken", "Exchange", "Heard", "Hearing", "frames_in", "is_forgotten", "read_answer", "said"]

Answer = rpc.Response | rpc.Error

_LINGER_S = 1.0
"""How long the end of a stream is waited for that has brought its answer: ended well, its connection is used again."""


class Broken(Exception):
    """The server's answer is not one."""


class Hearing(Protocol):
    """The session that an exchange is of."""

    def hear(self, data: bytes) -> Sequence[rpc.Frame]:
        """What one event of a stream holds. Raises Broken."""
        ...

    def asked(self, request: rpc.Request) -> None:
        """The server asks something."""
        ...

    def note(self, note: rpc.Notification) -> None:
        """The server tells something that belongs to no call."""
        ...

    def later(self, began_s: float, allowance_s: float) -> float:
        """The deadline of a call that has just made progress."""
        ...


class Heard:
    """What the event stream of one exchange says. `on_note`: told the notifications, instead of the session."""

    __slots__ = ("_on_note", "_session", "answer", "deadline", "last_id", "retry_s")

    def __init__(
        self, session: Hearing, deadline: Deadline, on_note: Callable[[rpc.Notification], None] | None = None
    ) -> None:
        self._session, self.deadline, self._on_note = session, deadline, on_note or session.note
        self.answer: Answer | None = None
        self.last_id = ""
        """Of its events; empty: the stream cannot be resumed."""
        self.retry_s = 0.0

    @property
    def is_over(self) -> bool:
        return self.answer is not None

    def on_event(self, event: sse.Event) -> None:
        self.last_id = event.id if is_event_id(event.id) else ""
        if event.retry_ms is not None:
            self.retry_s = event.retry_ms / 1000
        if event.data:
            self.take(event.data)

    def take(self, data: bytes) -> None:
        for frame in self._session.hear(data):
            if isinstance(frame, rpc.Response | rpc.Error):
                self.answer = frame
                # Some servers leave it open.
                self.deadline.at = min(self.deadline.at, asyncio.get_running_loop().time() + _LINGER_S)
            elif isinstance(frame, rpc.Notification):
                self._on_note(frame)
            else:
                self._session.asked(frame)


class Exchange(Deadline):
    """One call on its way: its deadline, which progress moves up to a hard end, and what its stream says."""

    began_s: float
    session: Hearing
    call: Call
    emit: Emit
    stream: Heard | None = None

    @property
    def allowance_s(self) -> float:
        """How long it may take without a word."""
        return (self.call.deadline_s or self.began_s) - self.began_s

    def on_event(self, event: sse.Event) -> None:
        if self.stream is None:
            self.stream = Heard(self.session, self, self.on_note)
        self.stream.on_event(event)

    def on_note(self, note: rpc.Notification) -> None:
        if note.method == "notifications/progress":
            self.at = self.session.later(self.began_s, self.allowance_s)
            if self.call.wants_progress:
                self.emit(Event(note.method, {k: v for k, v in note.params.items() if k != "progressToken"}))
        elif note.method == "notifications/message":
            emit_note(self.call, self.emit, note.params)
        else:
            self.session.note(note)


def read_answer(response: Response, limits: rpc.Limits) -> Answer | None:
    """The answer in a document; None where there is none. Raises Broken."""
    if not response.body:
        return None
    try:
        frame = rpc.read(response.body, limits)
    except rpc.FrameError as fault:
        if response.status == 200:
            raise Broken(f"broke the protocol: {fault}") from None
        return None
    return frame if type(frame) is rpc.Response or type(frame) is rpc.Error else None


def frames_in(data: bytes, limits: rpc.Limits, *, batches: bool) -> Sequence[rpc.Frame]:
    """What one event of a stream holds. Raises Broken."""
    try:
        return (rpc.read(data, limits),)
    except rpc.FrameError as fault:
        if not (batches and is_batch(data)):
            raise Broken(f"broke the protocol in its stream: {fault}") from None
    try:
        return [rpc.read(frame, limits) for frame in split(data, limits)]
    except rpc.FrameError as fault:
        raise Broken(f"broke the protocol in a batch: {fault}") from None


def is_forgotten(status: int, answer: Answer | None) -> bool:
    """Some servers say so with 400 and a message, and have run nothing (server-everything: "No valid session ID")."""
    told = answer.message.lower() if isinstance(answer, rpc.Error) and answer.code == -32000 else ""
    return status == 400 and "session" in told


def said(response: Response) -> str:
    """What a response without a message says to an operator."""
    if 300 <= response.status < 400:
        return f"redirects ({response.status}), which is not followed; set `url` to where it serves"
    return f"answered with status {response.status} and no JSON-RPC message"
