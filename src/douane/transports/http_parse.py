"""HTTP/1.1 heads and chunked bodies, read in one way only, for the server and the client alike.

httptools reads the tokens of a head; how long the body is, what may repeat and what is refused is decided here. Each
call reads one whole head, so that nothing of one message can leak into the next. Bodies never pass through httptools:
it accepts chunk extensions and trailers without showing them.

Stricter than RFC 9112 on purpose: no chunk extensions, no trailers, no folded lines, no bare LF, no empty line before
a request, no `_` in header names but after `Mcp-Param-`, no header twice unless it is known to be a list.
"""

import re
from collections.abc import Callable, Iterable, Sequence

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

__all__ = [
    "CHUNKED",
    "UNTIL_CLOSE",
    "ChunkedBody",
    "HeaderBlock",
    "Headers",
    "Malformed",
    "Request",
    "encode_headers",
    "header_block",
    "read_request",
    "read_response",
]

CHUNKED = -1
"""In place of a body length: the body is chunked."""
UNTIL_CLOSE = -2
"""In place of a body length: the body ends with the connection. Responses only."""


class Malformed(Exception):
    """The bytes are not a message we accept. `status` answers them if they were a request."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Request(msgspec.Struct, gc=False):
    """One request. `path` is as it came (still percent-encoded). `headers` have lower-case names and are read-only:
    the next request with the same head shares them, and `memo` too.

    `client` is the address of the peer of the connection; a proxy in front is its own client.
    """

    method: bytes
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes = b""
    client: str = ""
    memo: dict[str, object] = msgspec.field(default_factory=dict[str, object])
    """What the endpoint has found out about this head; it need not find it out again while the connection repeats it."""


_MAY_REPEAT = frozenset(
    b"accept accept-charset accept-encoding accept-language baggage cache-control cookie forwarded if-match"
    b" if-none-match pragma te tracestate trailer via warning x-forwarded-for".split()
)
"""Lists by their definition: joined with ", ". Any other name may come once in a request."""
_RESPONSE_ONCE = frozenset(
    b"content-encoding content-length content-range content-type date etag last-modified location mcp-session-id"
    b" retry-after transfer-encoding".split()
)
"""A response may repeat any name but these: servers add cookies, links and hints that nobody here reads."""

_COMMON = (
    b"accept accept-encoding accept-language authorization baggage cache-control connection content-encoding"
    b" content-length content-type cookie date expect host keep-alive last-event-id location mcp-method mcp-name"
    b" mcp-protocol-version mcp-session-id origin referer server transfer-encoding user-agent"
    b" traceparent tracestate vary www-authenticate x-forwarded-for x-request-id"
).split()
_LOWER = {spelling: name for name in _COMMON for spelling in (name, name.title())} | {
    b"MCP-Protocol-Version": b"mcp-protocol-version"
}
"""The usual spellings of the usual names, so that they are neither checked nor folded again."""
_VISIBLE = bytes(range(0x21, 0x7F))
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?")


class _Sink:
    """What httptools calls: only a dictionary's own setter, so that no Python runs for each header."""

    __slots__ = ("on_header",)

    on_header: Callable[[bytes, bytes], None]


def read_request(head: bytes, max_headers: int) -> tuple[Request, int, bool]:
    """The request whose head, up to and with its empty line, is `head`; its body length or CHUNKED; keep-alive.

    Raises Malformed.
    """
    line_end = head.find(b"\r\n")
    parts = head[:line_end].split(b" ")
    if len(parts) != 3:
        raise Malformed("the request line is malformed")
    method, target, version = parts
    if version != b"HTTP/1.1" and version != b"HTTP/1.0":
        raise Malformed("only HTTP/1.1 and HTTP/1.0 are spoken here", 505 if version[:5] == b"HTTP/" else 400)
    if method == b"CONNECT":
        raise Malformed("CONNECT is refused: this is not a proxy")
    if target[:1] != b"/" or target.translate(None, _VISIBLE) or b"#" in target:
        raise Malformed("the request target must be a path, as in `POST /mcp HTTP/1.1`")
    headers = _headers(HttpRequestParser, head, max_headers, request=True)
    path, _, query = target.partition(b"?")
    length = _length(headers)
    keep_alive = version == b"HTTP/1.1"
    if length is None:
        length = 0
    elif length == CHUNKED and not keep_alive:
        raise Malformed("HTTP/1.0 has no transfer-encoding")
    if keep_alive and b"connection" in headers:
        keep_alive = not _has_close(headers[b"connection"])
    if headers.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise Malformed("the only expectation met is 100-continue", 417)
    return Request(method, path, query, headers), length, keep_alive


def read_response(head: bytes, max_headers: int) -> tuple[int, dict[bytes, bytes], int, bool]:
    """The status, headers, body length (or CHUNKED or UNTIL_CLOSE) and keep-alive of the response with this head.

    The length is of a response to anything but HEAD. Raises Malformed.
    """
    line = _STATUS_LINE.fullmatch(head, 0, head.find(b"\r\n"))
    if line is None:
        raise Malformed("the status line is malformed")
    status = int(line[2])
    headers = _headers(HttpResponseParser, head, max_headers, request=False)
    length = _length(headers)
    if length == CHUNKED and line[1] == b"0":
        raise Malformed("HTTP/1.0 has no transfer-encoding")
    if status < 200 or status == 204 or status == 304:
        length = 0
    elif length is None:
        length = UNTIL_CLOSE
    keep_alive = line[1] == b"1" and length != UNTIL_CLOSE
    if keep_alive and b"connection" in headers:
        keep_alive = not _has_close(headers[b"connection"])
    return status, headers, length, keep_alive


def _headers(
    parser: type[HttpRequestParser] | type[HttpResponseParser], head: bytes, max_headers: int, *, request: bool
) -> dict[bytes, bytes]:
    raw: dict[bytes, bytes] = {}
    sink = _Sink()
    sink.on_header = raw.__setitem__
    _feed(parser(sink), head)
    headers: dict[bytes, bytes] = {}
    for name, value in raw.items():
        known = _LOWER.get(name)
        # llhttp keeps white space at the end of a value; other control characters it refuses.
        headers[known or _fold(name)] = value.rstrip()
    lines = head.count(b"\n") - 2
    if lines > max_headers:
        raise Malformed("too many headers", 431)
    if len(headers) != lines:
        return _repeated(parser, head, lines, request=request)
    return headers


def _feed(parser: HttpRequestParser | HttpResponseParser, head: bytes) -> None:
    try:
        parser.feed_data(head)
    except HttpParserUpgrade:
        # Upgrade is an offer; not taking it up is an answer (RFC 9110 §7.8). Java's client offers h2c unasked.
        pass
    except HttpParserError as fault:
        raise Malformed(f"malformed HTTP: {str(fault)[:80]}") from None


def _repeated(
    parser: type[HttpRequestParser] | type[HttpResponseParser], head: bytes, lines: int, *, request: bool
) -> dict[bytes, bytes]:
    """The slow way: some name comes twice, or a line is no header."""
    pairs: list[tuple[bytes, bytes]] = []

    def on_header(name: bytes, value: bytes) -> None:
        pairs.append((_fold(name), value.rstrip()))

    sink = _Sink()
    sink.on_header = on_header
    _feed(parser(sink), head)
    if len(pairs) != lines:
        raise Malformed("a header line is malformed")
    headers: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name not in headers:
            headers[name] = value
        elif (name in _MAY_REPEAT) if request else (name not in _RESPONSE_ONCE):
            headers[name] += (b"; " if name == b"cookie" else b", ") + value
        else:
            raise Malformed(f"the header {name.decode('latin-1')} came twice; send it once")
    return headers


def _fold(name: bytes) -> bytes:
    folded = name.lower()
    # CGI-like peers read `_` and `-` as one: `Transfer_Encoding` would be another header here than there. Authors of
    # tools name what follows `Mcp-Param-`, and that means nothing to anybody else.
    if b"_" in folded and not folded.startswith(b"mcp-param-"):
        raise Malformed("a header name with `_` is refused; use `-`")
    return folded


def _length(headers: dict[bytes, bytes]) -> int | None:
    coding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise Malformed("both content-length and transfer-encoding; send one")
        if coding.lower() != b"chunked":
            raise Malformed("the only transfer-encoding is `chunked`")
        return CHUNKED
    if length is None:
        return None
    if not length.isdigit() or len(length) > 15:
        raise Malformed("content-length must be digits")
    return int(length)


def _has_close(value: bytes) -> bool:
    return any(token.strip() == b"close" for token in value.lower().split(b","))


_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_SIZE_SO_FAR = re.compile(rb"[0-9A-Fa-f]{1,8}\r?")


class ChunkedBody:
    """Reads one chunked body. When `done`, `rest` is what came after it."""

    __slots__ = ("_left", "_part", "done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._left = 0
        self._part = "size"

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`. Raises Malformed."""
        if self.rest:
            data = self.rest + data
            self.rest = b""
        payload: list[bytes] = []
        at = 0
        while at < len(data):
            if self._part == "payload":
                piece = data[at : at + self._left]
                payload.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._part = "end of chunk"
            elif self._part == "size":
                size = _SIZE.match(data, at)
                if size is None:
                    if _SIZE_SO_FAR.fullmatch(data, at) is None:
                        raise Malformed("a chunk size must be plain hexadecimal digits and CR LF")
                    break
                at = size.end()
                self._left = int(size[1], 16)
                self._part = "payload" if self._left else "end of body"
            else:
                if data[at : at + 2] != b"\r\n"[: len(data) - at]:
                    raise Malformed(f"no CR LF at the {self._part}; trailers are refused")
                if len(data) - at < 2:
                    break
                at += 2
                if self._part == "end of body":
                    self.done = True
                    break
                self._part = "size"
        self.rest = data[at:]
        return payload[0] if len(payload) == 1 else b"".join(payload)


class HeaderBlock(bytes):
    """Header lines, checked, each with its CR LF. Made by `encode_headers` only; make it once, send it often."""

    __slots__ = ()

    def plus(self, *pairs: tuple[bytes, bytes]) -> "HeaderBlock":
        """This block and more lines."""
        return HeaderBlock(self + encode_headers(pairs))


Headers = HeaderBlock | Sequence[tuple[bytes, bytes]]
"""What callers give as headers: pairs, checked at each use, or a block that was checked before."""

_TOKEN = re.compile(rb"[!#$%&'*+.^`|~0-9A-Za-z-]+")
_OURS = frozenset(b"connection content-length host keep-alive te trailer transfer-encoding upgrade expect".split())
_VALUE = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])


def encode_headers(pairs: Iterable[tuple[bytes, bytes]]) -> HeaderBlock:
    """`pairs` as header lines.

    Raises ValueError for a name that is no token or that frames the message (the transport writes those), and for
    control characters in a value.
    """
    lines: list[bytes] = []
    for name, value in pairs:
        if name not in _LOWER and _TOKEN.fullmatch(name) is None:
            raise ValueError(f"not a header name: {name!r}")
        if name.lower() in _OURS:
            raise ValueError(f"the transport itself writes the header {name.decode('ascii')}")
        if value.translate(None, _VALUE):
            raise ValueError(f"control characters in the value of the header {name.decode('ascii')}")
        lines += (name, b": ", value, b"\r\n")
    return HeaderBlock(b"".join(lines))


def header_block(headers: Headers) -> HeaderBlock:
    """`headers` as a block: itself if it is one. Raises ValueError."""
    return headers if isinstance(headers, HeaderBlock) else encode_headers(headers)
