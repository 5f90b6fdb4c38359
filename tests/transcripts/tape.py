"""What a raw client and a server say to each other, as text: `> ` the client, `< ` the server, in order.

What nobody can guess (session and event ids, ports, states) is written as a name in angle brackets, the same name for
the same value wherever it comes again. HTTP heads are reduced to what the protocol says something with.
"""

import json
import os
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from gateway_clients import Wire
from peers import Json

HERE = Path(__file__).parent
REWRITE = "DOUANE_WRITE_TRANSCRIPTS"
"""Set, the files are written anew; read what changed in them as you would read code."""
_HEADS = ("accept", "content-type", "last-event-id", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id")
_UNGUESSABLE = {"sessionId": "session", "requestState": "state", "elicitationId": "elicitation"}


class Tape:
    def __init__(self, about: str) -> None:
        self._lines = [f"# {about}"]
        self._names: dict[str, str] = {}

    def part(self, title: str) -> None:
        """What follows is on another connection, or of another moment."""
        self._lines += ["", f"# {title}"]

    def hangs_up(self) -> None:
        self.client("(hangs up)")

    def client(self, line: str) -> None:
        self._lines.append(f"> {line}")

    def server(self, line: str) -> None:
        self._lines.append(f"< {line}".rstrip())

    def named(self, value: str, name: str) -> None:
        """Write `value` as `<name>`, numbered where there are several of that name."""
        if value and value not in self._names:
            known = sum(re.fullmatch(rf"<{name}( \d+)?>", other) is not None for other in self._names.values())
            self._names[value] = f"<{name} {known + 1}>" if known else f"<{name}>"

    def unguessable(self, message: object) -> None:
        """Name what is in a message and will be another the next time."""
        if isinstance(message, list):
            for one in message:
                self.unguessable(one)
        elif isinstance(message, dict):
            for key, value in message.items():
                if isinstance(value, str) and key in _UNGUESSABLE:
                    self.named(value, _UNGUESSABLE[key])
                self.unguessable(value)

    def text(self) -> str:
        text = "\n".join(self._lines) + "\n"
        for value in sorted(self._names, key=len, reverse=True):
            text = text.replace(value, self._names[value])
        return text

    def is_as_written(self, name: str) -> None:
        """It is what the file of that name says; or write it, where that is asked for."""
        file = HERE / f"{name}.txt"
        if REWRITE in os.environ:
            file.write_text(self.text())
        assert self.text() == file.read_text()


class Posts:
    """A client over HTTP: one exchange at a time, each on a connection of its own."""

    def __init__(self, tape: Tape, port: int, token: str | None = None) -> None:
        self._tape, self.port, self._token = tape, port, token

    async def send(self, line: Wire, method: str, headers: dict[str, str], body: Any, path: str = "/mcp") -> None:
        self._tape.client(f"{method} {path}")
        for name, value in headers.items():
            if name in _HEADS:
                self._tape.client(f"{name}: {value}")
        data = b"" if body is None else json.dumps(body).encode()
        if data:
            self._tape.client(data.decode())
        own = {} if self._token is None else {"authorization": f"Bearer {self._token}"}
        await line.send(method, headers | own, data, path)

    async def head(self, line: Wire) -> tuple[int, dict[str, str]]:
        status, headers = await line.status()
        self._tape.server(str(status))
        if "mcp-session-id" in headers:
            self._tape.named(headers["mcp-session-id"], "session")
        for name in _HEADS:
            if name in headers:
                self._tape.server(f"{name}: {headers[name]}")
        return status, headers

    async def whole(self, line: Wire) -> Json:
        """The one JSON document of an answer, or nothing."""
        _, headers = await self.head(line)
        return self.read(b"".join([chunk async for chunk in line.chunks(headers)]))

    def read(self, body: bytes) -> Json:
        """The message in it; what is none is written down as it stands."""
        if not body:
            return {}
        self._tape.server(body.decode())
        message: Any = json.loads(body) if body.startswith((b"{", b"[")) else {}
        self._tape.unguessable(message)
        return message

    async def events(self, line: Wire, headers: dict[str, str]) -> AsyncGenerator[tuple[dict[str, str], Json]]:
        """The events of a stream, with their fields."""
        unread = b""
        async for chunk in line.chunks(headers):
            unread += chunk
            *blocks, unread = unread.split(b"\n\n")
            for block in blocks:
                rows = [row for row in block.decode().split("\n") if not row.startswith(":")]
                fields = {name: value for name, _, value in (row.partition(": ") for row in rows)}
                if not fields:
                    continue
                self._tape.named(fields.get("id", ""), "event")
                data = fields.get("data", "")
                message: Json = json.loads(data) if data.startswith(("{", "[")) else {}
                self._tape.unguessable(message)
                for row in rows:
                    self._tape.server(row)
                yield fields, message
