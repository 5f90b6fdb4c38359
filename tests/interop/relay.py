"""What passes between a client and the gateway over HTTP, unchanged and listened to."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

_REVISION = re.compile(rb"^mcp-protocol-version: *([0-9-]+)", re.IGNORECASE | re.MULTILINE)
# Neither begins a line: the body before it ends without one. No JSON has a bare CR in it.
_ASKED = re.compile(rb"(DELETE|GET|OPTIONS|POST|PUT) /\S* HTTP/1\.1\r\n")
_REFUSED = re.compile(rb"HTTP/1\.1 ([45]\d\d [^\r\n]*)\r\n")


class Passed(NamedTuple):
    revisions: list[str]
    """Those that a request named in its header."""
    methods: list[str]
    refused: list[str]
    """Every status from 400 up."""


class Relay:
    """Connections to `port` are those to the gateway at `to`."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._asked, self._answered = bytearray(), bytearray()

    def taken(self) -> Passed:
        """What passed since this was asked last."""
        asked, answered = bytes(self._asked), bytes(self._answered)
        self._asked.clear()
        self._answered.clear()
        return Passed(_found(_REVISION, asked), _found(_ASKED, asked), _found(_REFUSED, answered))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        await asyncio.gather(
            _pass_on(reader, far_writer, self._asked),
            _pass_on(far_reader, writer, self._answered),
        )


def _found(what: re.Pattern[bytes], said: bytes) -> list[str]:
    return sorted({match.decode() for match in what.findall(said)})


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray) -> None:
    try:
        while data := await reader.read(1 << 16):
            heard += data
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def relay(port: int, to: int) -> AsyncIterator[Relay]:
    """Raises OSError when somebody has the port."""
    between = Relay(to)
    server = await asyncio.start_server(between.serve, "127.0.0.1", port)
    try:
        yield between
    finally:
        server.close()
