"""How a POST is answered: JSON at once, or an event stream from the first event on, so that errors keep their status."""

from collections.abc import Sequence

import msgspec

from ..protocol.call import JSON, Event
from ..protocol.eras import stateless
from ..protocol.eras.envelope import token_of
from ..protocol.outcome import Complete, Failed, Outcome, Refused
from ..transports.http_parse import encode_headers
from ..transports.http_server import Reply
from ..wire import rpc, sse
from ..wire.codes import http_status

__all__ = [
    "AS_JSON",
    "AS_STREAM",
    "AS_TEXT",
    "Answer",
    "Header",
    "refuse",
    "send_refusal",
    "written",
]

Header = tuple[bytes, bytes]
AS_JSON = encode_headers([(b"content-type", b"application/json")])
AS_TEXT = encode_headers([(b"content-type", b"text/plain; charset=utf-8")])
AS_STREAM = encode_headers(
    [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
)


class Answer(msgspec.Struct):
    """How one call is answered."""

    _reply: Reply
    _params: JSON
    """As the caller sent them: they hold its progress token."""
    _open: bool = False

    def deliver(self, event: Event) -> None:
        self.say(stateless.write_event(event, token_of(self._params)))

    def say(self, frame: bytes) -> None:
        """Something beside the answer: an event, or a question to the caller."""
        if not self._open:
            self._reply.open(200, AS_STREAM)
            self._open = True
        self._reply.write(sse.encode(frame))

    def finish(self, frame: bytes, outcome: Outcome, *, modern: bool) -> None:
        if self._open:
            self._reply.end(sse.encode(frame))
        elif isinstance(outcome, Complete):
            self._reply.send(200, AS_JSON, frame)
        elif isinstance(outcome, Refused):
            send_refusal(self._reply, frame, outcome, modern=modern)
        else:
            # A code has its status, whoever gave it.
            status = http_status(outcome.code) if modern and isinstance(outcome, Failed) else 200
            self._reply.send(status, AS_JSON, frame)

    def abandon(self) -> None:
        if self._open:
            self._reply.end()
        else:
            self._reply.send(202, ())


def refuse(reply: Reply, id_: rpc.Id, refusal: Refused, *, modern: bool = True) -> None:
    send_refusal(reply, written(id_, refusal), refusal, modern=modern)


def written(id_: rpc.Id, refusal: Refused) -> bytes:
    return rpc.write_error(id_, refusal.code, refusal.reason, refusal.data)


def send_refusal(reply: Reply, frame: bytes, refusal: Refused, *, modern: bool, malformed: bool = False) -> None:
    headers: Sequence[Header] = ()
    status = http_status(refusal.code) if modern else 200
    if malformed and status == 200:
        status = 400
    if refusal.challenge is not None:
        status = 403
        headers = (*headers, (b"www-authenticate", refusal.challenge.encode()))
    if refusal.retry_after_s is not None:
        headers = (*headers, (b"retry-after", b"%d" % max(1, round(refusal.retry_after_s))))
    reply.send(status, AS_JSON.plus(*headers) if headers else AS_JSON, frame)
