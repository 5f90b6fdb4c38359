"""A relay of HTTP/1.1 requests that adds one header to each, or refuses those of one revision, and changes nothing else.

The suite cannot send a token, and the gateway serves nobody without: so a relay stands between them. And a server of
both eras becomes one of the handshake era behind a relay that refuses what names the newer revision.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

__all__ = ["Relay", "relaying"]

_MAX_HEAD = 1 << 16
_REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


class Relay:
    def __init__(self, port: int) -> None:
        self.port = port
        """Where it listens."""
        self.to_port = 0
        """Where it leads; set before the first request."""
        self.adds = b""
        """Header lines."""
        self.refuses = b""
        """A revision."""

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            there, away = await asyncio.open_connection("127.0.0.1", self.to_port, limit=_MAX_HEAD)
        except OSError:
            writer.close()
            return
        back = asyncio.ensure_future(_pipe(there, writer))
        out = asyncio.ensure_future(self._requests(reader, writer, away))
        try:
            # Whichever side hangs up, the other is told at once: that is what cancels a call.
            await asyncio.wait({back, out}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (back, out):
                task.cancel()
            await asyncio.wait({back, out})
            away.close()
            writer.close()

    async def _requests(self, reader: StreamReader, writer: StreamWriter, away: StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, _, lines = head.partition(b"\r\n")
                body = await reader.readexactly(_length(lines))
                if self.refuses and b"mcp-protocol-version: " + self.refuses in lines.lower():
                    writer.write(_REFUSED)
                else:
                    away.write(line + b"\r\n" + self.adds + lines + body)


def _length(lines: bytes) -> int:
    for line in lines.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _pipe(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_MAX_HEAD):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def relaying() -> AsyncGenerator[Relay]:
    """One that listens, at a port of its own, until the block ends."""
    open_: set[asyncio.Task[None]] = set()

    def serve(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.ensure_future(relay.serve(reader, writer))
        open_.add(task)
        task.add_done_callback(open_.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_MAX_HEAD)
    relay = Relay(server.sockets[0].getsockname()[1])
    try:
        yield relay
    finally:
        server.close()
        for task in tuple(open_):
            task.cancel()
        if open_:
            await asyncio.wait(open_)
        await server.wait_closed()
