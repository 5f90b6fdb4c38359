"""How a call of a session of the handshake era, or a batch of them, is answered over HTTP: JSON at once, or a stream.

A stream begins with the first event, and only what is on one outlives its connection.
"""

import msgspec

from ..protocol.call import JSON, Event
from ..protocol.eras import stateless
from ..protocol.eras.envelope import token_of
from ..protocol.outcome import Outcome, Refused
from ..transports.http_server import Reply
from ..wire.batch import write_batch
from .answers import Answers
from .client_sessions import ClientSession
from .event_store import Stream
from .http_answer import AS_JSON, send_refusal

__all__ = ["BatchAnswer", "Part", "SessionAnswer"]

_MAX_UNSENT_BYTES = 8 * 1024 * 1024
"""Of a batch: one array of answers, while the one before is on its way."""


class SessionAnswer(msgspec.Struct):
    """Of one call. Used like `http_answer.Answer`."""

    _reply: Reply
    _params: JSON
    """As the caller sent them: they hold its progress token."""
    _session: ClientSession
    _stream: Stream | None = None

    def deliver(self, event: Event) -> None:
        self.say(stateless.write_event(event, token_of(self._params)))

    def say(self, frame: bytes) -> None:
        """Something beside the answer, on the stream of the call."""
        self._opened().say(frame)

    def pause(self, retry_ms: int | None = None) -> None:
        """Close the connection while the call goes on: the client comes again for the rest (SEP-1699)."""
        if self._session.events.retry_ms is not None:
            self._opened().pause(retry_ms)

    def finish(self, frame: bytes, outcome: Outcome, *, modern: bool) -> None:
        if self._stream is not None:
            self._stream.end(frame)
        elif isinstance(outcome, Refused):
            send_refusal(self._reply, frame, outcome, modern=modern)
        else:
            self._reply.send(200, AS_JSON, frame)

    def abandon(self) -> None:
        if self._stream is not None:
            self._stream.end()
        else:
            self._reply.send(202, ())

    def _opened(self) -> Stream:
        if self._stream is None:
            self._stream = self._session.events.begin()
            self._stream.open(self._reply)
        return self._stream


class BatchAnswer:
    """How a batch is answered: events as they come, and then all answers in one array, or in a few."""

    def __init__(self, reply: Reply, session: ClientSession) -> None:
        self._reply, self._session = reply, session
        self._stream: Stream | None = None
        self.answers = Answers(self._tell)

    def part(self, params: JSON) -> "Part":
        return Part(self, params)

    def _tell(self, frames: list[bytes], last: bool) -> None:
        if not last:
            self.say(write_batch(frames))
        elif self._stream is not None:
            self._stream.end(write_batch(frames) if frames else None)
        elif frames:
            self._reply.send(200, AS_JSON, write_batch(frames))
        else:
            self._reply.send(202, ())

    def say(self, frame: bytes) -> None:
        if self._stream is None:
            self._stream = self._session.events.begin()
            self._stream.open(self._reply, max_unsent_bytes=_MAX_UNSENT_BYTES)
        self._stream.say(frame)


class Part(msgspec.Struct):
    """How one call of a batch is answered. Used like a `SessionAnswer`."""

    _whole: BatchAnswer
    _params: JSON

    def deliver(self, event: Event) -> None:
        self.say(stateless.write_event(event, token_of(self._params)))

    def say(self, frame: bytes) -> None:
        self._whole.say(frame)

    def pause(self, retry_ms: int | None = None) -> None:
        """One call does not close what all are answered on."""

    def finish(self, frame: bytes, outcome: Outcome, *, modern: bool) -> None:
        self._whole.answers.add(frame)

    def abandon(self) -> None:
        """A cancelled call has no answer."""
