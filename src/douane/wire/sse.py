"""Server-sent events: an incremental reader and a writer. Pure: bytes in, events out.

The reader takes the stream in any chunking and gives the same events. It holds at most one event, of bounded size.
It does not reconnect and does not decode `data`.

Spec: WHATWG HTML §9.2 (server-sent events), §9.2.6 (interpreting an event stream).
"""

import msgspec

__all__ = ["Event", "EventTooLarge", "Reader", "encode"]

_BOM = b"\xef\xbb\xbf"
DEFAULT_MAX_EVENT_BYTES = 4 * 1024 * 1024
"""The same as the largest frame (wire.json.Limits): an event carries one frame."""


class EventTooLarge(ValueError):
    """One event, or one line of it, is larger than the reader was told to hold. The stream is of no further use."""


class Event(msgspec.Struct, frozen=True):
    """One dispatched event. `id` is the last event id of the stream, which outlives the event that set it."""

    data: bytes
    event: str = "message"
    id: str = ""
    retry_ms: int | None = None


class Reader:
    """Reads one stream. `last_event_id` and `retry_ms` also hold what came in blocks without data."""

    def __init__(self, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._max_bytes = max_event_bytes
        self._begun = False
        self._after_cr = False
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._type = ""
        self._retry: int | None = None

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes, in order. An event cut off by the end of the stream is never given.

        Raises EventTooLarge.
        """
        if not self._begun:
            self._line += data
            if _BOM.startswith(bytes(self._line[:3])) and len(self._line) < len(_BOM):
                return []
            self._begun = True
            data = bytes(self._line).removeprefix(_BOM)
            self._line.clear()
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            # A CR ends its line at once; if a LF follows in the next chunk it belongs to that CR.
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = data.split(b"\n")
        events: list[Event] = []
        for line in lines:
            if self._line:
                line = bytes(self._line) + line
                self._line.clear()
            if line:
                self._field(line)
            else:
                self._dispatch(events)
        self._line += rest
        self._check(len(self._line))
        return events

    def _field(self, line: bytes) -> None:
        self._check(len(line))
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self.last_event_id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= 15:
            self.retry_ms = self._retry = int(value)

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            events.append(Event(b"\n".join(self._data), self._type or "message", self.last_event_id, self._retry))
        self._data = []
        self._size = 0
        self._type = ""
        self._retry = None

    def _check(self, line_bytes: int) -> None:
        if self._size + line_bytes > self._max_bytes:
            raise EventTooLarge(f"an event of more than {self._max_bytes} bytes")


def encode(data: bytes, *, id: str | None = None, event: str | None = None, retry_ms: int | None = None) -> bytes:
    """One event as bytes. `data` is a single line, as our JSON is; line breaks in any field raise ValueError."""
    if b"\n" in data or b"\r" in data:
        raise ValueError("the data of an event must be one line")
    if id is None and event is None and retry_ms is None:
        return b"data: " + data + b"\n\n"
    fields = ""
    if event is not None:
        fields = f"event: {_one_line(event)}\n"
    if id is not None:
        fields += f"id: {_one_line(id)}\n"
    if retry_ms is not None:
        fields += f"retry: {retry_ms:d}\n"
    return fields.encode() + b"data: " + data + b"\n\n"


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError("a field of an event must be one line without NUL")
    return text
