"""HTTP+SSE, the transport of revision 2024-11-05: the server speaks on one stream, the client by POSTs beside it.

The server's end and the client's end are links like any other. Nothing of a stream survives it: who lost it opens
another, and is somebody new there.
Spec: specification/2024-11-05/basic/transports.mdx (HTTP with SSE).
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from urllib.parse import urljoin

from ..wire import sse
from .http_client import Deadline, HttpError, HttpTimeout, Origin, Requests
from .http_parse import HeaderBlock, Headers, header_block
from .http_server import Reply
from .link import Link, LinkClosed, OnClose, OnFrame

__all__ = ["NoStream", "ServerEnd", "connect"]

_MAX_UNREAD_BYTES = 8 * 1024 * 1024
"""As on any other line: several large lists may wait for a client that is busy."""
_POST_TIMEOUT_S = 30.0
"""A message is taken at once; its answer comes on the stream."""
_ENDPOINT, _MESSAGE = "endpoint", "message"
_PULSE = b":\n\n"
"""A comment: clients and proxies give up a stream that is silent for minutes, and a dead one is found by writing."""


class _End:
    """What both ends share: they hold early frames, and tell once why they closed."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_frame: OnFrame | None = None
        self._on_close: OnClose | None = None
        self._early: list[bytes] = []
        self._why: str | None = None

    def start(self, on_frame: OnFrame, on_close: OnClose) -> None:
        if self._on_frame is not None:
            raise RuntimeError("the link was started before")
        self._on_frame, self._on_close = on_frame, on_close
        early, self._early = self._early, []
        for frame in early:
            on_frame(frame)
        if self._why is not None:
            self._loop.call_soon(self._tell)

    def _deliver(self, frame: bytes) -> None:
        if self._on_frame is None:
            self._early.append(frame)
        else:
            self._on_frame(frame)

    def _end(self, why: str) -> bool:
        """False when it had ended before."""
        if self._why is not None:
            return False
        self._why = why
        self._loop.call_soon(self._tell)
        return True

    def _tell(self) -> None:
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close(self._why or "")


class ServerEnd(_End):
    """One client: its stream is the answer to a GET, its frames are handed in with `take`."""

    def __init__(self, reply: Reply, endpoint: str) -> None:
        """`reply` is an open event stream. `endpoint`: where the client is to POST, from the root of this server."""
        super().__init__()
        self._reply = reply
        reply.gone = self._gone
        reply.write(sse.encode(endpoint.encode("ascii"), event=_ENDPOINT))

    def _gone(self) -> None:
        self._end("the client has gone, or does not read")

    def take(self, frame: bytes) -> bool:
        """A frame the client has sent. False when its stream has ended."""
        if self._why is not None:
            return False
        self._deliver(frame)
        return True

    def send(self, frame: bytes) -> None:
        if self._why is None:
            self._reply.write(sse.encode(frame, event=_MESSAGE), max_unsent_bytes=_MAX_UNREAD_BYTES)
        if self._why is not None:
            raise LinkClosed(self._why)

    def pulse(self) -> None:
        """Keep the stream from falling silent."""
        if self._why is None:
            self._reply.write(_PULSE, max_unsent_bytes=_MAX_UNREAD_BYTES)

    def close(self, why: str) -> None:
        """End the stream."""
        if self._end(why):
            self._reply.gone = None
            self._reply.end()

    async def aclose(self) -> None:
        self.close("closed on this side")
        self._tell()


class NoStream(Exception):
    """What the server says is no stream of this transport, or it has not said it in time: the reason, in words."""


async def connect(http: Requests, url: str, *, headers: Headers, deadline_s: float) -> Link:
    """The link to the server whose stream is at `url`. Raises NoStream; then nothing is left open.

    `headers` go with every request: its endpoint has to be of the same origin.
    """
    end = _ClientEnd(http, url, headers, deadline_s)
    try:
        await end.opened
    except BaseException:
        await end.aclose()
        raise
    return end


class _ClientEnd(_End):
    def __init__(self, http: Requests, url: str, headers: Headers, deadline_s: float) -> None:
        super().__init__()
        self._http, self._url = http, url
        self._origin, self._target = Origin.parse(url)
        self._headers: HeaderBlock = header_block(headers)
        self._endpoint: str | None = None
        self._deadline = Deadline(deadline_s)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._posting: asyncio.Task[None] | None = None
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._listening = self._loop.create_task(self._listen())

    def send(self, frame: bytes) -> None:
        if self._why is not None:
            raise LinkClosed(self._why)
        if self._waiting and self._waiting_bytes + len(frame) > _MAX_UNREAD_BYTES:
            self._break("the server does not take what is sent")
            raise LinkClosed("the server does not take what is sent")
        self._waiting.append(frame)
        self._waiting_bytes += len(frame)
        if self._posting is None:
            self._posting = self._loop.create_task(self._post())

    async def aclose(self) -> None:
        self._break("closed on this side")
        tasks = [task for task in (self._listening, self._posting) if task is not None]
        await asyncio.wait(tasks)
        self._tell()

    def _break(self, why: str) -> None:
        self._end(why)
        if not self.opened.done():
            self.opened.set_exception(NoStream(why))
            self.opened.exception()
        self._waiting.clear()
        self._listening.cancel()
        if self._posting is not None and self._posting is not asyncio.current_task(self._loop):
            self._posting.cancel()

    # --- the stream ---

    async def _listen(self) -> None:
        headers = self._headers.plus((b"accept", b"text/event-stream"))
        try:
            await self._http.request(
                "GET",
                self._origin,
                self._target,
                headers,
                deadline=self._deadline,
                on_event=self._on_event,
                on_headers=_check_head,
            )
            why = "the server has ended its stream"
        except HttpTimeout:
            why = "its stream names no endpoint in time"
        except (HttpError, NoStream) as exc:
            why = str(exc)
        self._break(why)

    def _on_event(self, event: sse.Event) -> None:
        if self._why is not None:
            return
        if self._endpoint is None:
            self._endpoint = self._read_endpoint(event)
            # From here on only its end ends it: silence means nothing, and every call has its own deadline.
            self._deadline.at = float("inf")
            if not self.opened.done():
                self.opened.set_result(None)
        elif event.event == _MESSAGE and event.data:
            self._deliver(event.data)
        elif event.event == _ENDPOINT:
            raise NoStream("its stream names a second endpoint")

    def _read_endpoint(self, event: sse.Event) -> str:
        if event.event != _ENDPOINT:
            raise NoStream(f"its stream begins with {event.event[:40]!r}, not with its endpoint")
        said = event.data.decode("utf-8", "replace")
        if not said or not said.isascii() or not said.isprintable() or " " in said:
            raise NoStream("its endpoint is no URL")
        try:
            origin, target = Origin.parse(urljoin(self._url, said))
        except ValueError as exc:
            raise NoStream(f"its endpoint cannot be used: {exc}") from None
        if origin != self._origin:
            raise NoStream(f"its endpoint is of another origin, {origin.scheme}://{origin.authority}; refused")
        return target

    # --- messages ---

    async def _post(self) -> None:
        # One after the other: this transport knows no other order than that of arrival.
        headers = self._headers.plus((b"content-type", b"application/json"))
        while self._waiting:
            frame = self._waiting.popleft()
            self._waiting_bytes -= len(frame)
            try:
                deadline_s = self._loop.time() + _POST_TIMEOUT_S
                target = self._endpoint or ""
                response = await self._http.request("POST", self._origin, target, headers, frame, deadline=deadline_s)
            except HttpError as exc:
                self._break(f"a message did not arrive: {exc}")
                return
            if not 200 <= response.status < 300:
                self._break(f"the server refused a message with status {response.status}")
                return
        self._posting = None


def _check_head(status: int, headers: Mapping[bytes, bytes]) -> None:
    if status != 200:
        raise NoStream(f"GET is answered with status {status}")
    if not headers.get(b"content-type", b"").lower().startswith(b"text/event-stream"):
        raise NoStream("GET is answered with something else than an event stream")
