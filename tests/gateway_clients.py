"""Clients of a gateway that share no code with it: raw HTTP/1.1 in both eras, and lines over `douane stdio`."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

from gateway_world import BIN, BOUND_S, World

MODERN = "2026-07-28"
OLDER = "2025-11-25"
_META = "io.modelcontextprotocol/"
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"} | dict.fromkeys(
    ("tasks/get", "tasks/update", "tasks/cancel"), "taskId"
)

Headers = dict[str, str]
Message = dict[str, Any]


class Reached(Protocol):
    """A gateway, as one caller reaches it."""

    port: int
    log: list[str]

    @property
    def token(self) -> str: ...


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes

    @property
    def message(self) -> Message:
        return json.loads(self.body)

    @property
    def code(self) -> int:
        """Of the JSON-RPC error in it."""
        return self.message["error"]["code"]


def enveloped(params: Message | None = None, *, revision: str = MODERN, **meta: Any) -> Message:
    """`params` with the envelope of the stateless era."""
    own = {_META + "protocolVersion": revision, _META + "clientCapabilities": {}}
    return {**(params or {}), "_meta": {**own, **meta}}


def request(method: str, params: Message | None = None, id: int | str = 1) -> Message:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}


def tool(name: str, arguments: Message | None = None) -> Message:
    return {"name": name, "arguments": arguments or {}}


def head(token: str | None, message: Message | None = None, **more: str) -> Headers:
    """The headers of a POST; with `message`, those that mirror a request of the stateless era too."""
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    if message is not None:
        headers |= {"mcp-protocol-version": MODERN, "mcp-method": message["method"]}
        key = _NAMED.get(message["method"])
        if key is not None:
            headers["mcp-name"] = message["params"][key]
    return headers | {name.replace("_", "-"): value for name, value in more.items()}


class Wire:
    """One connection over TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader, self._writer, self._port = reader, writer, port

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send(self, method: str, headers: Headers, body: bytes = b"", path: str = "/mcp") -> None:
        lines = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{self._port}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        await self.say("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def status(self) -> tuple[int, Headers]:
        """The head of an answer."""
        async with asyncio.timeout(BOUND_S):
            raw = await self._reader.readuntil(b"\r\n\r\n")
        first, *rest = raw.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in rest if line)
        return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def chunks(self, headers: Headers) -> AsyncIterator[bytes]:
        """The body of an answer as it comes."""
        if "content-length" in headers:
            yield await self._exactly(int(headers["content-length"]))
            return
        if headers.get("transfer-encoding") != "chunked":
            return
        while True:
            async with asyncio.timeout(BOUND_S):
                size = int(await self._reader.readuntil(b"\r\n"), 16)
            data = await self._exactly(size + 2)
            if not size:
                return
            yield data[:-2]

    async def _exactly(self, size: int) -> bytes:
        async with asyncio.timeout(BOUND_S):
            return await self._reader.readexactly(size)

    async def answer(self) -> Answer:
        status, headers = await self.status()
        return Answer(status, headers, b"".join([chunk async for chunk in self.chunks(headers)]))

    async def closed(self) -> bool:
        """Whether the peer closes without another byte."""
        async with asyncio.timeout(BOUND_S):
            try:
                return await self._reader.read(1) == b""
            except ConnectionError:
                return True

    async def hang_up(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def wire(gateway: Reached) -> AsyncIterator[Wire]:
    async with wire_to(gateway.port) as line:
        yield line


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    line = Wire(reader, writer, port)
    try:
        yield line
    finally:
        await line.hang_up()


async def post(gateway: Reached, body: Message | bytes, headers: Headers, path: str = "/mcp") -> Answer:
    """One POST on a connection of its own, answered whole."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with wire(gateway) as line:
        await line.send("POST", headers, data, path)
        return await line.answer()


async def get(gateway: Reached, path: str, headers: Headers | None = None) -> Answer:
    async with wire(gateway) as line:
        await line.send("GET", headers or {}, path=path)
        return await line.answer()


async def ready(gateway: Reached) -> bool:
    return (await get(gateway, "/readyz")).status == 200


async def until_ready(gateway: Reached, seconds: float = BOUND_S) -> None:
    """It says that it is ready. `/readyz` sends no event, so it is asked again and again."""
    end_s = time.monotonic() + seconds
    while not await ready(gateway):
        assert time.monotonic() < end_s, gateway.log[-10:]
        await asyncio.sleep(0.02)


async def holding(
    gateway: Reached, fact: Callable[[Message], bool] = lambda held: True, seconds: float = BOUND_S
) -> Message:
    """What `/statusz` says once `fact` holds of it. It sends no event either."""
    end_s = time.monotonic() + seconds
    while not fact(held := (await get(gateway, "/statusz", head(gateway.token))).message):
        assert time.monotonic() < end_s, held
        await asyncio.sleep(0.02)
    return held


class HttpClient:
    """A client over HTTP, of the stateless era until `greet` has opened a session."""

    def __init__(self, gateway: Reached, line: Wire, path: str = "/mcp") -> None:
        self.gateway, self.line, self.path = gateway, line, path
        self.session: str | None = None
        self.revision = OLDER
        self._token = gateway.token
        self._ids = itertools.count(1)

    async def greet(self, revision: str = OLDER, capabilities: Message | None = None) -> Message:
        about = {"name": "test", "version": "1"}
        hello = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": about}
        await self.line.send("POST", head(self._token), json.dumps(request("initialize", hello)).encode(), self.path)
        answer = await self.line.answer()
        self.session = answer.headers["mcp-session-id"]
        self.revision = answer.message["result"]["protocolVersion"]
        assert (await self.note("notifications/initialized")).status == 202
        return answer.message["result"]

    def headers(self, message: Message | None = None) -> Headers:
        if self.session is None:
            return head(self._token, message)
        return head(self._token) | {"mcp-session-id": self.session, "mcp-protocol-version": self.revision}

    async def begin(self, method: str, params: Message | None = None, id: int | None = None, **meta: Any) -> int:
        """Send a request; its answer is heard with `messages`."""
        id = next(self._ids) if id is None else id
        if self.session is None:
            params = enveloped(params, **meta)
        elif meta:
            params = {**(params or {}), "_meta": meta}
        message = request(method, params, id)
        await self.line.send("POST", self.headers(message), json.dumps(message).encode(), self.path)
        return id

    async def messages(self) -> AsyncIterator[Message]:
        """What the answer holds: one JSON document, or the events of a stream."""
        status, headers = await self.line.status()
        if headers.get("content-type") != "text/event-stream":
            body = b"".join([chunk async for chunk in self.line.chunks(headers)])
            yield json.loads(body) if body else {"status": status}
            return
        unread = b""
        async for chunk in self.line.chunks(headers):
            unread += chunk
            *whole, unread = unread.split(b"\n\n")
            for event in whole:
                data = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
                # A stream begins with an event that has an id and no data.
                if any(data):
                    yield json.loads(b"\n".join(data))

    async def ask(self, method: str, params: Message | None = None, **meta: Any) -> Message:
        """The last message of the answer."""
        await self.begin(method, params, **meta)
        return [message async for message in self.messages()][-1]

    async def call(self, name: str, **arguments: Any) -> Message:
        return await self.ask("tools/call", tool(name, arguments))

    async def note(self, method: str, params: Message | None = None) -> Answer:
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        headers = self.headers(message) if self.session is not None else head(self._token, message)
        return await post(self.gateway, message, headers, self.path)


@asynccontextmanager
async def http(gateway: Reached, path: str = "/mcp") -> AsyncIterator[HttpClient]:
    async with wire(gateway) as line:
        yield HttpClient(gateway, line, path)


@asynccontextmanager
async def session(gateway: Reached, path: str = "/mcp") -> AsyncIterator[HttpClient]:
    async with http(gateway, path) as client:
        await client.greet()
        yield client


class TwoWay:
    """A client that says and hears one message at a time. Of the stateless era until it has greeted."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        """What came that nobody was waiting for."""
        self._modern = True
        self._ids = itertools.count(1)

    async def say(self, data: bytes) -> None:
        raise NotImplementedError

    async def hear(self) -> Message:
        raise NotImplementedError

    async def answer_to(self, id: object) -> Message:
        while True:
            message = await self.hear()
            if "method" not in message and message.get("id") == id:
                return message
            self.heard.append(message)

    async def note_of(self, method: str) -> Message:
        """The next notification of that method."""
        while True:
            for at, message in enumerate(self.heard):
                if message.get("method") == method:
                    return self.heard.pop(at)
            self.heard.append(await self.hear())

    async def greet(self, revision: str = OLDER, capabilities: Message | None = None) -> Message:
        self._modern = False
        about = {"name": "test", "version": "1"}
        hello = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": about}
        answer = await self.ask("initialize", hello)
        await self.note("notifications/initialized")
        return answer["result"]

    async def begin(self, method: str, params: Message | None = None, id: int | None = None, **meta: Any) -> int:
        id = next(self._ids) if id is None else id
        if self._modern:
            params = enveloped(params, **meta)
        elif meta:
            params = {**(params or {}), "_meta": meta}
        await self.say(json.dumps(request(method, params, id)).encode())
        return id

    async def ask(self, method: str, params: Message | None = None, **meta: Any) -> Message:
        return await self.answer_to(await self.begin(method, params, **meta))

    async def call(self, name: str, **arguments: Any) -> Message:
        return await self.ask("tools/call", tool(name, arguments))

    async def note(self, method: str, params: Message | None = None) -> None:
        await self.say(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}).encode())


class LineClient(TwoWay):
    """A client that launched `douane stdio`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__()
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self._in, self._out = process, process.stdin, process.stdout

    async def say(self, data: bytes) -> None:
        self._in.write(data + b"\n")
        await self._in.drain()

    async def hear(self) -> Message:
        async with asyncio.timeout(BOUND_S):
            line = await self._out.readline()
        assert line, "the line has ended"
        return json.loads(line)

    def close(self) -> None:
        """The client has said all it will."""
        self._in.close()

    async def ended(self) -> int:
        """The exit code, once the rest of what it says has been read."""
        async with asyncio.timeout(BOUND_S):
            await self._out.read()
            return await self.process.wait()


@asynccontextmanager
async def stdio(world: World, *options: str) -> AsyncIterator[LineClient]:
    """Launched as a client does it: joins the running gateway of this world, or starts one."""
    process = await asyncio.create_subprocess_exec(
        BIN / "douane",
        *("stdio", "--config", str(world.config), *options),
        env=world.env,
        cwd=world.home,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 24,
    )
    client = LineClient(process)
    try:
        yield client
    finally:
        client.close()
        try:
            await client.ended()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise


class SseClient(TwoWay):
    """A client of 2024-11-05: it listens on a stream, and posts what it says."""

    def __init__(self, gateway: Reached, line: Wire, endpoint: str, events: AsyncIterator[tuple[str, bytes]]) -> None:
        super().__init__()
        self.gateway, self.line, self.endpoint, self._events = gateway, line, endpoint, events

    async def say(self, data: bytes) -> None:
        answer = await post(self.gateway, data, head(self.gateway.token), self.endpoint)
        assert (answer.status, answer.body) == (202, b"Accepted")

    async def hear(self) -> Message:
        name, data = await anext(self._events)
        assert name == "message"
        return json.loads(data)

    async def plain(self, method: str) -> Message:
        """A request as clients of this era send it, greeted or not."""
        self._modern = False
        return await self.ask(method)

    async def ended(self) -> bool:
        """Whether the stream ends without another event."""
        return await anext(self._events, None) is None


async def events(line: Wire, headers: Headers) -> AsyncIterator[tuple[str, bytes]]:
    """The events of a stream, by name, without comments."""
    unread = b""
    async for chunk in line.chunks(headers):
        unread += chunk
        *whole, unread = unread.split(b"\n\n")
        for block in whole:
            fields = dict(field.split(b": ", 1) for field in block.split(b"\n") if not field.startswith(b":"))
            if fields:
                yield fields[b"event"].decode(), fields[b"data"]


@asynccontextmanager
async def sse(gateway: Reached, path: str = "/sse") -> AsyncIterator[SseClient]:
    async with wire(gateway) as line:
        await line.send("GET", {"authorization": f"Bearer {gateway.token}", "accept": "text/event-stream"}, path=path)
        status, headers = await line.status()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        stream = events(line, headers)
        name, endpoint = await anext(stream)
        assert name == "endpoint"
        yield SseClient(gateway, line, endpoint.decode(), stream)


def text_of(answer: Message) -> str:
    """The text of a tool's result."""
    return "".join(item["text"] for item in answer["result"]["content"])


def names_of(answer: Message) -> Sequence[str]:
    return [item["name"] for item in answer["result"]["tools"]]


def missing_of(answer: Message) -> dict[str, str]:
    """What a list says is not in it, and why."""
    return {gap["name"]: gap["reason"] for gap in answer["result"].get("_meta", {}).get("douane/missing", [])}
