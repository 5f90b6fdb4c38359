"""The world around the HTTP server and client: both event loops, raw sockets, a scripted peer, a census at the end."""

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from census import descriptors, until

from douane.transports.address import Reach
from douane.transports.http_client import Deadline, HttpClient, Origin, Response
from douane.transports.http_client import Limits as AnswerLimits
from douane.transports.http_server import Endpoint, Guard, HttpServer, Limits, Reply, Request, serve

GUARD = Guard([b"good", b"good:80"], [b"http://good"])
PATIENCE_S = 10.0
HEAD = b"POST /mcp HTTP/1.1\r\nHost: good\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def on_both_loops(story: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Tell the story under plain asyncio and under uvloop; afterwards no task, descriptor or complaint is left."""

    def told(loop_factory: Callable[[], asyncio.AbstractEventLoop], **arguments: Any) -> None:
        complaints: list[dict[str, Any]] = []

        async def bounded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(30):
                await story(**arguments)
            # asyncio itself keeps a task for each TLS handshake, which ends a moment after it failed.
            assert await until(lambda: asyncio.all_tasks() == {asyncio.current_task()}, 2.0), asyncio.all_tasks()

        with asyncio.Runner(loop_factory=loop_factory) as first:
            # What uvloop opens for the whole process it opens once, and keeps.
            first.run(asyncio.sleep(0))
        before = descriptors()
        # What other tests hold is not looked at: to collect all of it takes ten times as long as the story.
        gc.freeze()
        try:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(bounded())
            gc.collect()
        finally:
            gc.unfreeze()
        assert complaints == []
        assert {line.split()[0] for line in descriptors()} == {line.split()[0] for line in before}

    # Not functools.wraps: pytest would look through it.
    told.__name__, told.__doc__, told.__module__ = story.__name__, story.__doc__, story.__module__
    ours = inspect.Parameter("loop_factory", inspect.Parameter.KEYWORD_ONLY)
    told.__signature__ = inspect.Signature([*inspect.signature(story).parameters.values(), ours])  # pyright: ignore[reportFunctionMemberAccess]
    loops = pytest.mark.parametrize(
        "loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
    )
    return loops(told)


def echo(request: Request, reply: Reply) -> None:
    reply.send(200, [(b"content-type", b"text/plain")], request.method + b" " + request.path + b" " + request.body)


@asynccontextmanager
async def serving(endpoint: Endpoint = echo, *, guard: Guard = GUARD, **limits: Any) -> AsyncIterator[HttpServer]:
    server = await serve(endpoint, guard=guard, limits=Limits(**limits))
    try:
        yield server
    finally:
        await server.aclose(0)


class Wire:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self, end: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(end)

    async def hear_all(self) -> bytes:
        """Until the peer closes; a reset counts as closing."""
        heard = b""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while data := await self.reader.read(65536):
                    heard += data
            except ConnectionError:
                pass
        return heard


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


async def exchange(port: int, data: bytes) -> bytes:
    """Everything the server says to `data` until it closes."""
    async with wire(port) as line:
        try:
            await line.say(data)
        except ConnectionError:
            pass
        return await line.hear_all()


async def alive(port: int) -> bool:
    """Whether the server still answers a decent request."""
    heard = await exchange(port, HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi")
    return heard.startswith(b"HTTP/1.1 200 ") and heard.endswith(b"POST /mcp hi")


Scene = Callable[[Wire], Awaitable[None]]


class Stage:
    """A raw server that plays a scene for each connection, and counts connections and the bytes of requests."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.closed = asyncio.Semaphore(0)

    @property
    def origin(self) -> Origin:
        return Origin("http", "127.0.0.1", self.port)


@asynccontextmanager
async def playing(scene: Scene) -> AsyncIterator[Stage]:
    stage = Stage()
    running: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stage.connections += 1
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await scene(Wire(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            stage.closed.release()
            running.discard(task)

    server = await asyncio.start_server(play, "127.0.0.1", 0)
    stage.port = server.sockets[0].getsockname()[1]
    try:
        yield stage
    finally:
        server.close()
        if running:
            await asyncio.wait(running, timeout=PATIENCE_S)
        await server.wait_closed()


async def request_of(line: Wire) -> bytes:
    """One request as it came. IncompleteReadError when there is no further one."""
    head = await line.hear(b"\r\n\r\n")
    for header in head.split(b"\r\n"):
        if header.lower().startswith(b"content-length: "):
            return head + await line.reader.readexactly(int(header.split()[1]))
    return head


def answering(*answers: bytes) -> Scene:
    """Each request of a connection gets the next answer; after the last, the connection is closed."""

    async def scene(line: Wire) -> None:
        for answer in answers:
            await request_of(line)
            await line.say(answer)

    return scene


@asynccontextmanager
async def calling(limits: AnswerLimits | None = None, **settings: Any) -> AsyncIterator[HttpClient]:
    client = HttpClient(reach=Reach.LOOPBACK, limits=limits or AnswerLimits(), **settings)
    try:
        yield client
    finally:
        await client.aclose()


async def post(
    client: HttpClient,
    origin: Origin,
    body: bytes = b"hi",
    *,
    in_s: float = PATIENCE_S,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Response:
    return await client.request(
        "POST", origin, "/mcp", headers, body, deadline=Deadline(asyncio.get_running_loop().time() + in_s)
    )
