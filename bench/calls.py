"""Calls one at a time: how they are written in each revision, and whether an answer is what the upstream gives."""

import http.client
import json
import os
import select
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from .started import HANDSHAKE, MODERN, TOOLS, CannotMeasure, Started

_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_HELLO = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
_ANSWER_S = 30.0


class Shape(NamedTuple):
    """One kind of load."""

    name: str
    method: str
    text_bytes: int
    connections: int
    """Over standard streams: how many calls are open at once."""


def params(subject: Started, shape: Shape) -> dict[str, Any]:
    meta = {"_meta": _META} if subject.program.revision == MODERN else {}
    if shape.method != "tools/call":
        return meta
    return {"name": subject.program.tool, "arguments": {"text": "x" * shape.text_bytes}, **meta}


def message(method: str, params: Mapping[str, Any], id_: int | None) -> bytes:
    made = {"jsonrpc": "2.0", "method": method, "params": params}
    return json.dumps(made if id_ is None else {**made, "id": id_}, separators=(",", ":")).encode()


def probe(subject: Started, shape: Shape) -> int:
    """One call, looked at closely. How many bytes its answer has.

    Raises CannotMeasure if it is not the answer that the upstream gives: a fast refusal is no result.
    """
    asked = params(subject, shape)
    if subject.program.stdio:
        greet(subject)
        status, raw = 200, ask(subject, message(shape.method, asked, next(subject.ids)))
    else:
        session = opened(subject, 1)[:1]
        headers = {"Mcp-Method": shape.method} if subject.program.revision == MODERN else {}
        if headers and "name" in asked:
            headers["Mcp-Name"] = asked["name"]
        status, _, raw = _post(subject, message(shape.method, asked, next(subject.ids)), headers, *session)
    _check(subject, shape, status, raw)
    return len(raw)


def _check(subject: Started, shape: Shape, status: int, raw: bytes) -> None:
    try:
        result = result_of(raw)
    except (ValueError, KeyError, TypeError):
        result = {}
    if shape.method == "tools/call":
        said = [{"type": "text", "text": "x" * shape.text_bytes}]
        good = result.get("content") == said and not result.get("isError")
    else:
        good = len(result.get("tools", ())) == TOOLS
    if status != 200 or not good:
        raise CannotMeasure(f"{subject.name} answers {shape.name} with {status}: {raw[:300]!r}")


def result_of(raw: bytes) -> dict[str, Any]:
    """The result in an answer, which may be the last event of a stream. Raises ValueError, KeyError, TypeError."""
    data = raw.rstrip().rpartition(b"data: ")[2] if raw.startswith((b"event:", b"id:", b"data:", b":")) else raw
    return json.loads(data)["result"]


# --- sessions ---


def opened(subject: Started, count: int) -> list[str]:
    """That many sessions, for a subject that is called in the handshake; none where the server keeps none."""
    while subject.program.revision == HANDSHAKE and len(subject.sessions) < count:
        status, session, raw = _post(subject, message("initialize", _HELLO, next(subject.ids)), {})
        if status != 200:
            raise CannotMeasure(f"{subject.name} answers initialize with {status}: {raw[:300]!r}")
        if session is None:
            break
        subject.sessions.append(session)
        _post(subject, message("notifications/initialized", {}, None), {}, session)
    return subject.sessions[:count]


def _post(
    subject: Started, body: bytes, headers: Mapping[str, str], session: str | None = None
) -> tuple[int, str | None, bytes]:
    sent = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": subject.program.revision,
        **headers,
    }
    if subject.token is not None:
        sent["Authorization"] = f"Bearer {subject.token}"
    if session is not None:
        sent["Mcp-Session-Id"] = session
    connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=_ANSWER_S)
    try:
        connection.request("POST", "/mcp", body, sent)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Mcp-Session-Id"), answer.read()
    except (OSError, http.client.HTTPException) as exc:
        raise CannotMeasure(f"{subject.name} does not answer: {exc!r}") from None
    finally:
        connection.close()


# --- standard streams ---


def greet(subject: Started) -> None:
    """The handshake on its line, once."""
    if not subject.greeted:
        ask(subject, message("initialize", _HELLO, next(subject.ids)))
        streams(subject)[0].write(message("notifications/initialized", {}, None) + b"\n")
        subject.greeted = True


def ask(subject: Started, body: bytes) -> bytes:
    """The next line that it says after that one. Raises CannotMeasure."""
    to, from_ = streams(subject)
    to.write(body + b"\n")
    said, end_s = b"", time.monotonic() + _ANSWER_S
    while not said.endswith(b"\n"):
        ready = select.select([from_], [], [], max(0.0, end_s - time.monotonic()))[0]
        more = os.read(from_.fileno(), 1 << 20) if ready else b""
        if not more:
            raise CannotMeasure(f"{subject.name} does not answer: its line has {'ended' if ready else 'gone quiet'}")
        said += more
    return said


def streams(subject: Started) -> tuple[Any, Any]:
    """Its standard input and output, unbuffered."""
    assert subject.process.stdin is not None
    assert subject.process.stdout is not None
    return subject.process.stdin, subject.process.stdout
