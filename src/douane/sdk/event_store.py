"""What was said on the event streams of a session, kept so that a client that lost one can take it up where it was.

Every event has an id, `<session>-<stream>-<number>`, that no other event of any session has. A stream outlives the
connection it is told on: what is said meanwhile waits, within bounds. What has gone out of bounds is gone, and a client
that asks for what followed it is told so, never given a stream with a hole.
Spec: specification/2025-11-25/basic/transports.mdx (resumability and redelivery; polling of event streams, SEP-1699).
"""

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

from ..transports.http_server import Reply
from ..wire import sse
from .http_answer import AS_STREAM

__all__ = ["Bounds", "EventStore", "Shelf", "Stream", "Unresumable"]

_POLLING = "2025-11-25"
"""Since then a stream begins with an event that has an id and no data, and says how soon to come again."""
_EVENT_BYTES = 200
"""What an event takes beside its text."""


class Bounds(msgspec.Struct, frozen=True):
    max_events: int = 1_000
    """Kept of one session; and how many streams of it can be taken up."""
    max_bytes: int = 4 * 1024 * 1024
    """Kept of one session: the largest answer fits."""
    max_total_bytes: int = 128 * 1024 * 1024
    """Kept of all sessions. The one that has said nothing for the longest forgets first."""
    ttl_s: float = 300.0
    """How long a stream that is over can still be asked for."""
    retry_ms: int = 1_000
    """How soon a client that lost its stream comes again."""


_BOUNDS = Bounds()


class Unresumable(Exception):
    """What came after an event cannot be told; the text says why, to the client."""


class Shelf:
    """What all sessions of one endpoint keep together."""

    def __init__(self, clock: Callable[[], float], bounds: Bounds = _BOUNDS) -> None:
        self.clock, self.bounds = clock, bounds
        self.size_bytes = 0
        self._stores: OrderedDict[EventStore, None] = OrderedDict()
        """Those that keep something; first the one that has said nothing for the longest."""

    def grown(self, store: "EventStore", by_bytes: int) -> None:
        self.size_bytes += by_bytes
        self._stores[store] = None
        self._stores.move_to_end(store)
        while self.size_bytes > self.bounds.max_total_bytes:
            next(iter(self._stores)).clear()

    def expire(self) -> None:
        """Drop what is over and older than it may be."""
        horizon_s = self.clock() - self.bounds.ttl_s
        for store in tuple(self._stores):
            store.expire(horizon_s)

    def shrunk(self, store: "EventStore", by_bytes: int) -> None:
        self.size_bytes -= by_bytes
        if not store.size_bytes:
            self._stores.pop(store, None)


class _Event(msgspec.Struct, gc=False):
    number: int
    text: bytes
    at_s: float


class EventStore:
    """The event streams of one session."""

    def __init__(self, shelf: Shelf, revision: str) -> None:
        self._shelf, self._bounds = shelf, shelf.bounds
        self.retry_ms = shelf.bounds.retry_ms if revision >= _POLLING else None
        """None: the revision knows neither `retry` nor events without data."""
        self._tag = secrets.token_hex(4)
        self._streams: dict[int, Stream] = {}
        self._last = -1
        self._said: deque[Stream] = deque()
        """The stream of each event that is kept, in the order of all."""
        self.size_bytes = 0
        self._is_closed = False

    def begin(self) -> "Stream":
        """A new stream, on no connection yet."""
        self._last += 1
        stream = self._streams[self._last] = Stream(self, f"{self._tag}-{self._last}", self._last)
        if len(self._streams) > self._bounds.max_events:
            self._forget_streams()
        return stream

    def find(self, event_id: str) -> tuple["Stream", int]:
        """The stream that an event was on, and the event's number. Raises Unresumable."""
        tag, _, rest = event_id.partition("-")
        number, _, at = rest.partition("-")
        self.expire(self._shelf.clock() - self._bounds.ttl_s)
        known = tag == self._tag and _is_number(number) and _is_number(at)
        stream = self._streams.get(int(number)) if known else None
        if stream is None or int(at) > stream.last:
            raise Unresumable("no event of this session has that Last-Event-ID, or it is no longer kept")
        return stream, int(at)

    def keep(self, stream: "Stream", event: _Event) -> None:
        if self._is_closed:
            # What still ends says its last words to nobody.
            return
        stream.kept.append(event)
        self._said.append(stream)
        size = len(event.text) + _EVENT_BYTES
        self.size_bytes += size
        self._shelf.grown(self, size)
        while self.size_bytes > self._bounds.max_bytes or len(self._said) > self._bounds.max_events:
            self._drop_oldest()
        self.expire(event.at_s - self._bounds.ttl_s)

    def expire(self, horizon_s: float) -> None:
        """Drop the oldest events of streams that are over, as far as they are from before `horizon_s`."""
        while self._said and self._said[0].done and self._said[0].kept[0].at_s < horizon_s:
            self._drop_oldest()

    def now_s(self) -> float:
        return self._shelf.clock()

    def clear(self) -> None:
        """Forget what was said. Streams that are open go on."""
        while self._said:
            self._drop_oldest()

    def close(self) -> None:
        """The session has ended: so has every stream of it."""
        self._is_closed = True
        for stream in tuple(self._streams.values()):
            stream.end()
        self.clear()

    def _drop_oldest(self) -> None:
        stream = self._said.popleft()
        size = len(stream.kept.popleft().text) + _EVENT_BYTES
        self.size_bytes -= size
        self._shelf.shrunk(self, size)
        if stream.done and not stream.kept:
            self._streams.pop(stream.number, None)

    def _forget_streams(self) -> None:
        # Only what is over and has nothing kept: streams that said nothing but their end.
        for stream in [s for s in self._streams.values() if s.done and not s.kept]:
            del self._streams[stream.number]


class Stream:
    """One event stream of a session: that of a call, or the one on which the server tells what belongs to none."""

    __slots__ = ("_begun", "_max_unsent_bytes", "_name", "_reply", "_store", "done", "kept", "last", "number")

    def __init__(self, store: EventStore, name: str, number: int) -> None:
        self._store, self._name, self.number = store, name, number
        self._max_unsent_bytes: int | None = None
        self._reply: Reply | None = None
        self._begun = False
        self.kept: deque[_Event] = deque()
        self.last = 0
        """The number of its last event; 0 is the one without data that it begins with."""
        self.done = False

    @property
    def is_heard(self) -> bool:
        """Whether it is on a connection now."""
        return self._reply is not None

    def open(self, reply: Reply, *, max_unsent_bytes: int | None = None) -> None:
        """Answer `reply` with this stream: from its beginning, or from here on if it was on a connection before, which
        ends."""
        after = self.last if self._begun else 0
        self._take_over(reply, max_unsent_bytes)
        retry_ms = self._store.retry_ms
        if retry_ms is not None:
            reply.write(sse.encode(b"", id=f"{self._name}-{after}", retry_ms=retry_ms))
        self._repeat(reply, after)

    def resume(self, reply: Reply, after: int) -> None:
        """Answer `reply` with what came after the event of that number, and go on. Raises Unresumable."""
        if self.last > after and not (self.kept and self.kept[0].number <= after + 1):
            raise Unresumable("what came after that event is no longer kept")
        self._take_over(reply, self._max_unsent_bytes)
        self._repeat(reply, after)
        if self.done:
            self.leave()

    def say(self, frame: bytes) -> None:
        if self.done:
            return
        self.last += 1
        text = sse.encode(frame, id=f"{self._name}-{self.last}")
        self._store.keep(self, _Event(self.last, text, self._store.now_s()))
        if self._reply is not None:
            self._reply.write(text, max_unsent_bytes=self._max_unsent_bytes)

    def end(self, frame: bytes | None = None) -> None:
        """End it, with a last word if there is one."""
        if frame is not None:
            self.say(frame)
        self.done = True
        self.leave()

    def pause(self, retry_ms: int | None = None) -> None:
        """Close the connection that it is on: the client comes again for the rest, not before `retry_ms`."""
        if self._reply is not None and self._store.retry_ms is not None:
            if retry_ms is not None:
                self._reply.write(sse.encode(b"", id=f"{self._name}-{self.last}", retry_ms=retry_ms))
            self.leave()

    def leave(self) -> None:
        """End the connection that it is on."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.gone = None
            reply.end()

    def _take_over(self, reply: Reply, max_unsent_bytes: int | None) -> None:
        self.leave()
        self._begun, self._max_unsent_bytes = True, max_unsent_bytes
        self._reply = reply
        reply.open(200, AS_STREAM)
        reply.gone = self._lost

    def _repeat(self, reply: Reply, after: int) -> None:
        for event in self.kept:
            if event.number > after:
                # What is within the bounds of the store is within those of a connection.
                reply.write(event.text, max_unsent_bytes=2 * self._store.size_bytes)

    def _lost(self) -> None:
        self._reply = None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12
