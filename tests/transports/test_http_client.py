"""What the client promises: the pool, the deadline, cancelling, and what an error says about the request."""

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from census import until
from certificates import Authority
from http_world import OK, Wire, answering, calling, echo, on_both_loops, playing, post, request_of

from douane.transports.address import Reach
from douane.transports.http_client import (
    AddressRefused,
    ClientClosed,
    ConnectFailed,
    ConnectionLost,
    Deadline,
    HttpClient,
    HttpError,
    HttpTimeout,
    MalformedResponse,
    Origin,
    TlsFailed,
)
from douane.transports.http_client import Limits as AnswerLimits
from douane.transports.http_connection import Connection
from douane.transports.http_parse import encode_headers
from douane.transports.http_server import Guard, serve
from douane.wire import sse


async def silent(line: Wire) -> None:
    await request_of(line)
    await line.hear_all()


@on_both_loops
async def test_a_request_is_written_as_it_should_be_and_the_answer_comes_back() -> None:
    seen: list[bytes] = []

    async def scene(line: Wire) -> None:
        seen.append(await request_of(line))
        await line.say(b"HTTP/1.1 404 No\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc")

    async with playing(scene) as stage, calling() as client:
        response = await post(client, stage.origin, b"hi", headers=[(b"mcp-name", b"x")])
        assert (response.status, response.headers[b"x-a"], response.body) == (404, b"1, 2", b"abc")
        assert seen == [
            b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept-encoding: identity\r\n" % stage.port
            + b"mcp-name: x\r\ncontent-length: 2\r\n\r\nhi"
        ]


@on_both_loops
async def test_a_connection_is_used_again() -> None:
    async with playing(answering(OK, OK, OK)) as stage, calling() as client:
        for _ in range(3):
            assert (await post(client, stage.origin)).body == b"ok"
        assert stage.connections == 1


@on_both_loops
async def test_an_answer_with_the_head_of_the_last_is_read_wherever_it_is_cut() -> None:
    answer = OK.replace(b"ok", b"%b")

    async def scene(line: Wire) -> None:
        for number, cut in enumerate([0, 0, *range(1, len(OK), 5), 0]):
            await request_of(line)
            whole = answer.replace(b"%b", b"%02d" % number)
            await line.say(whole[:cut])
            await line.say(whole[cut:])

    async with playing(scene) as stage, calling() as client:
        for number in range(len(range(1, len(OK), 5)) + 3):
            assert (await post(client, stage.origin)).body == b"%02d" % number
        assert stage.connections == 1


@on_both_loops
async def test_a_stream_is_a_stream_also_when_its_head_was_that_of_a_whole_answer() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9\r\n\r\ndata: x\n\n"
    async with playing(answering(answer, answer)) as stage, calling() as client:
        assert (await post(client, stage.origin)).body == b"data: x\n\n"
        heard: list[bytes] = []
        deadline = asyncio.get_running_loop().time() + 5
        got = await client.request(
            "POST", stage.origin, "/mcp", [], b"hi", deadline=deadline, on_event=lambda event: heard.append(event.data)
        )
        assert (got.body, heard) == (b"", [b"x"])


@on_both_loops
async def test_our_client_and_our_server_understand_each_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        server = await serve(echo, guard=Guard.loopback(port), sock=sock)
        async with calling() as client:
            bodies = [b"%d" % number * number for number in range(0, 100_000, 20_000)]
            answers = await asyncio.gather(*(post(client, Origin("http", "localhost", port), body) for body in bodies))
            assert [answer.body for answer in answers] == [b"POST /mcp " + body for body in bodies]
        await server.aclose(1)


@on_both_loops
async def test_a_connection_closed_while_idle_is_replaced_without_a_word() -> None:
    async with playing(answering(OK)) as stage, calling() as client:
        for _ in range(3):
            assert (await post(client, stage.origin)).status == 200
            await stage.closed.acquire()
            assert await until(lambda: client.open_connections == 0, 5)
        assert stage.connections == 3


@on_both_loops
async def test_bytes_on_an_idle_connection_are_no_answer_to_the_next_request() -> None:
    async def scene(line: Wire) -> None:
        await request_of(line)
        await line.say(OK)
        await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await line.hear_all()

    async with playing(scene) as stage, calling() as client:
        for _ in range(3):
            assert (await post(client, stage.origin)).body == b"ok"
            assert await until(lambda: client.open_connections == 0, 5)
        assert stage.connections == 3


@on_both_loops
async def test_once_bytes_were_written_nothing_is_sent_again() -> None:
    async def scene(line: Wire) -> None:
        await request_of(line)
        await line.say(OK)
        await request_of(line)

    async with playing(scene) as stage, calling() as client:
        await post(client, stage.origin)
        with pytest.raises(ConnectionLost) as lost:
            await post(client, stage.origin)
        assert lost.value.sent == "unknown"
        assert stage.connections == 1


@on_both_loops
async def test_a_silent_upstream_costs_the_deadline_and_no_more() -> None:
    async with playing(silent) as stage, calling() as client:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(HttpTimeout) as timeout:
            await post(client, stage.origin, in_s=0.2)
        assert timeout.value.sent == "unknown"
        assert 0.199 <= loop.time() - begun < 0.7
        await stage.closed.acquire()


@on_both_loops
async def test_a_deadline_that_has_passed_sends_nothing() -> None:
    async with playing(silent) as stage, calling() as client:
        with pytest.raises(HttpTimeout) as timeout:
            await post(client, stage.origin, in_s=-1)
        assert timeout.value.sent == "no"
        assert stage.connections == 0


@on_both_loops
async def test_progress_can_move_the_deadline() -> None:
    async def scene(line: Wire) -> None:
        await request_of(line)
        await line.say(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for number in range(6):
            await line.say(sse.encode(b"%d" % number))
            await asyncio.sleep(0.05)

    async with playing(scene) as stage, calling() as client:
        loop = asyncio.get_running_loop()
        deadline = Deadline(loop.time() + 0.15)
        heard: list[bytes] = []

        def on_event(event: sse.Event) -> None:
            heard.append(event.data)
            deadline.at = loop.time() + 0.15

        await client.request("GET", stage.origin, "/", [], deadline=deadline, on_event=on_event)
        assert heard == [b"%d" % number for number in range(6)]


@on_both_loops
async def test_cancelling_closes_the_connection_upstream() -> None:
    asked = asyncio.Event()

    async def scene(line: Wire) -> None:
        await request_of(line)
        asked.set()
        assert await line.hear_all() == b""

    async with playing(scene) as stage, calling() as client:
        running = asyncio.create_task(post(client, stage.origin))
        await asked.wait()
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        await asyncio.wait_for(stage.closed.acquire(), 5)


@on_both_loops
async def test_cancelling_as_the_answer_comes_harms_no_other_request() -> None:
    async with playing(answering(*[OK] * 4)) as stage, calling(max_per_origin=1) as client:
        for _ in range(2):
            first = asyncio.create_task(post(client, stage.origin))
            second = asyncio.create_task(post(client, stage.origin))
            assert await until(lambda: client.open_connections > 0, 5)
            await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
            first.cancel()
            assert (await second).body == b"ok"


@on_both_loops
async def test_a_full_pool_serves_in_the_order_of_asking() -> None:
    order: list[bytes] = []

    async def scene(line: Wire) -> None:
        while True:
            order.append((await request_of(line)).rpartition(b"\r\n")[2])
            await line.say(OK)

    async with playing(scene) as stage, calling(max_per_origin=1) as client:
        await asyncio.gather(*(post(client, stage.origin, b"%02d" % number) for number in range(20)))
        assert order == [b"%02d" % number for number in range(20)]
        assert stage.connections == 1


@on_both_loops
async def test_waiting_for_a_free_connection_ends_at_the_deadline_or_by_cancelling() -> None:
    asked = asyncio.Event()
    answer = asyncio.Event()

    async def scene(line: Wire) -> None:
        await request_of(line)
        asked.set()
        await answer.wait()
        await line.say(OK)
        await request_of(line)
        await line.say(OK)

    async with playing(scene) as stage, calling(max_per_origin=1) as client:
        first = asyncio.create_task(post(client, stage.origin))
        await asked.wait()
        cancelled = asyncio.create_task(post(client, stage.origin))
        with pytest.raises(HttpTimeout) as timeout:
            await post(client, stage.origin, in_s=0.1)
        assert timeout.value.sent == "no"
        cancelled.cancel()
        third = asyncio.create_task(post(client, stage.origin))
        answer.set()
        assert [(await first).body, (await third).body] == [b"ok", b"ok"]
        assert stage.connections == 1


@on_both_loops
async def test_a_place_in_the_pool_is_free_again_after_a_failure() -> None:
    async with playing(silent) as stage, calling(max_per_origin=1) as client:
        for _ in range(3):
            with pytest.raises(HttpTimeout):
                await post(client, stage.origin, in_s=0.05)
        assert stage.connections == 3


@on_both_loops
async def test_an_idle_connection_is_closed_after_its_time() -> None:
    async with playing(answering(OK, OK)) as stage, calling(idle_s=0.05) as client:
        await post(client, stage.origin)
        await asyncio.wait_for(stage.closed.acquire(), 5)


@on_both_loops
async def test_closing_the_client_fails_what_runs_and_leaves_nothing() -> None:
    asked = asyncio.Event()

    async def scene(line: Wire) -> None:
        await request_of(line)
        asked.set()
        await line.hear_all()

    async with playing(scene) as stage, calling(max_per_origin=1) as client:
        running = asyncio.create_task(post(client, stage.origin))
        await asked.wait()
        waiting = asyncio.create_task(post(client, stage.origin))
        await asyncio.sleep(0)
        await client.aclose()
        for task, sent in ((running, "unknown"), (waiting, "no")):
            with pytest.raises(ClientClosed) as closed:
                await task
            assert closed.value.sent == sent
        with pytest.raises(ClientClosed):
            await post(client, stage.origin)


@on_both_loops
async def test_a_refused_connection_was_not_sent() -> None:
    async with playing(silent) as stage:
        origin = stage.origin
    async with calling() as client:
        with pytest.raises(ConnectFailed) as refused:
            await post(client, origin)
        assert refused.value.sent == "no"


@on_both_loops
async def test_an_address_out_of_reach_is_not_connected_to() -> None:
    async def rebinds(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with playing(silent) as stage:
        client = HttpClient(reach=Reach.PUBLIC, resolver=rebinds)
        with pytest.raises(AddressRefused) as refused:
            await post(client, Origin("http", "rebind.example", stage.port))
        assert refused.value.sent == "no"
        assert stage.connections == 0
        await client.aclose()


@on_both_loops
async def test_the_first_address_that_answers_is_taken() -> None:
    async def two(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with playing(answering(OK)) as stage, calling(resolver=two) as client:
        assert (await post(client, Origin("http", "two.example", stage.port))).status == 200


@on_both_loops
async def test_a_resolver_that_does_not_answer_costs_the_connect_time() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async with calling(resolver=never, connect_timeout_s=0.1) as client:
        with pytest.raises(HttpTimeout) as timeout:
            await post(client, Origin("http", "slow.example", 80))
        assert timeout.value.sent == "no"


@pytest.mark.parametrize("headers", [[(b"x", b"a\r\nb: c")], [(b"x\n", b"a")], [(b"x", b"\0")], [(b"host", b"evil")]])
@on_both_loops
async def test_a_request_that_cannot_be_written_is_not(headers: list[tuple[bytes, bytes]]) -> None:
    async with playing(silent) as stage, calling() as client:
        with pytest.raises(ValueError, match="header"):
            await post(client, stage.origin, headers=headers)
        for method, target in (("post", "/"), ("GET /x", "/"), ("GET", "mcp"), ("GET", "/a b"), ("GET", "/a\r\nx: y")):
            with pytest.raises(ValueError, match="method"):
                await client.request(method, stage.origin, target, [], deadline=asyncio.get_running_loop().time() + 5)
        assert stage.connections == 0


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("http://Host.example", (Origin("http", "host.example", 80), "/")),
        ("https://host.example:8443/mcp?a=b", (Origin("https", "host.example", 8443), "/mcp?a=b")),
        ("http://[::1]:7000/x", (Origin("http", "::1", 7000), "/x")),
    ],
)
def test_a_url_is_an_origin_and_a_target(url: str, parsed: tuple[Origin, str]) -> None:
    assert Origin.parse(url) == parsed


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/", "host", "/mcp", "http://", "http://user@host/", "http://user:pw@host/", "http://host/#a",
        "http://host/a b", "http://host:99999/", "http://host:x/", "http://höst/", "http://host\\@evil/", "http://host/\r\n",
    ],
)  # fmt: skip
def test_a_url_with_surprises_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - urlsplit has words of its own for some
        Origin.parse(url)


# The answers of a broken or hostile upstream.

HTML = b"HTTP/1.1 200 OK\r\n"
STREAM = HTML + b"content-type: text/event-stream\r\n"
BAD: dict[str, tuple[bytes, type[HttpError], str]] = {
    "length and chunked": (HTML + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", MalformedResponse, "yes"),
    "two lengths": (HTML + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab", MalformedResponse, "yes"),
    "two equal lengths": (HTML + b"content-length: 2\r\nContent-Length: 2\r\n\r\nab", MalformedResponse, "yes"),
    "a length that is none": (HTML + b"content-length: +2\r\n\r\nab", MalformedResponse, "yes"),
    "another transfer-encoding": (HTML + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", MalformedResponse, "yes"),
    "garbage": (b"garbage\r\n\r\n", MalformedResponse, "yes"),
    "garbage without an end": (b"\x15\x03\x01", MalformedResponse, "yes"),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", MalformedResponse, "yes"),
    "status 99": (b"HTTP/1.1 099 X\r\n\r\n", MalformedResponse, "yes"),
    "status 2000": (b"HTTP/1.1 2000 X\r\n\r\n", MalformedResponse, "yes"),
    "no status": (b"HTTP/1.1 OK\r\n\r\n", MalformedResponse, "yes"),
    "a folded line": (HTML + b"a: b\r\n c\r\n\r\n", MalformedResponse, "yes"),
    "bare LF": (b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", ConnectionLost, "unknown"),
    "NUL": (HTML + b"a: \0\r\n\r\n", MalformedResponse, "yes"),
    "a truncated body": (HTML + b"content-length: 5\r\n\r\nab", ConnectionLost, "yes"),
    "a truncated chunk": (HTML + b"transfer-encoding: chunked\r\n\r\n5\r\nab", ConnectionLost, "yes"),
    "chunks without an end": (HTML + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n", ConnectionLost, "yes"),
    "a bad chunk": (HTML + b"transfer-encoding: chunked\r\n\r\nxx\r\n", MalformedResponse, "yes"),
    "closed at once": (b"", ConnectionLost, "unknown"),
    "closed in the head": (b"HTTP/1.1 200 OK\r\nconte", ConnectionLost, "unknown"),
    "a large head": (HTML + b"a: " + b"x" * 40_000 + b"\r\n\r\n", MalformedResponse, "yes"),
    "a head without an end": (HTML + b"a: " + b"x" * 40_000, MalformedResponse, "yes"),
    "1000 headers": (HTML + b"a: b\r\n" * 1000 + b"\r\n", MalformedResponse, "yes"),
    "a large body announced": (HTML + b"content-length: 5000000\r\n\r\n", MalformedResponse, "yes"),
    "a large body in chunks": (HTML + b"transfer-encoding: chunked\r\n\r\n4C4B40\r\n" + b"x" * 5_000_000, MalformedResponse, "yes"),
    "a large body to the end": (HTML + b"\r\n" + b"x" * 5_000_000, MalformedResponse, "yes"),
    "a flood of 1xx": (b"HTTP/1.1 102 Processing\r\n\r\n" * 100 + OK, MalformedResponse, "yes"),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", MalformedResponse, "yes"),
    "gzip": (HTML + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b", MalformedResponse, "yes"),
    "an event too large": (STREAM + b"\r\ndata: " + b"x" * 5_000_000, MalformedResponse, "yes"),
    "a stream cut off": (STREAM + b"transfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n", ConnectionLost, "yes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
@on_both_loops
async def test_a_broken_answer_is_an_error_that_says_what_was_sent(case: str) -> None:
    answer, kind, sent = BAD[case]
    async with playing(answering(answer)) as stage, calling() as client:
        with pytest.raises(kind) as error:
            await client.request(
                "POST", stage.origin, "/mcp", [], b"hi",
                deadline=asyncio.get_running_loop().time() + 10, on_event=lambda _: None,
            )  # fmt: skip
        assert error.value.sent == sent
        assert stage.connections == 1
        await stage.closed.acquire()


GOOD: dict[str, tuple[bytes, int, bytes]] = {
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, b""),
    "202 without a body": (b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", 202, b""),
    "302 is not followed": (b"HTTP/1.1 302 Found\r\nlocation: http://evil/\r\ncontent-length: 0\r\n\r\n", 302, b""),
    "100 first": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
    "103 first": (b"HTTP/1.1 103 Early Hints\r\nlink: a\r\nlink: b\r\n\r\n" + OK, 200, b"ok"),
    "chunks": (HTML + b"transfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", 200, b"ok"),
    "to the end": (HTML + b"\r\nok", 200, b"ok"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
    "no reason": (b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
    "cookies": (HTML + b"set-cookie: a\r\nset-cookie: b\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
    "identity": (HTML + b"content-encoding: identity\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
}


@pytest.mark.parametrize("case", GOOD)
@on_both_loops
async def test_an_answer_is_read_wherever_it_is_cut(case: str) -> None:
    answer, status, body = GOOD[case]

    async def drop_by_drop(line: Wire) -> None:
        await request_of(line)
        for at in range(len(answer)):
            await line.say(answer[at : at + 1])
            await asyncio.sleep(0)

    for scene in (answering(answer), drop_by_drop):
        async with playing(scene) as stage, calling() as client:
            response = await post(client, stage.origin)
            assert (response.status, response.body) == (status, body)


@on_both_loops
async def test_a_stream_is_delivered_as_it_comes_and_its_head_before() -> None:
    go_on = asyncio.Event()
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    sessions: list[bytes] = []

    async def scene(line: Wire) -> None:
        await request_of(line)
        await line.say(STREAM + b"mcp-session-id: s1\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        await go_on.wait()
        await line.say(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")
        await request_of(line)
        await line.say(OK)

    async with playing(scene) as stage, calling() as client:
        running = asyncio.create_task(
            client.request(
                "POST", stage.origin, "/mcp", encode_headers([(b"accept", b"text/event-stream")]), b"{}",
                deadline=asyncio.get_running_loop().time() + 10,
                on_event=lambda event: heard.put_nowait(event.data),
                on_headers=lambda status, headers: sessions.append(headers[b"mcp-session-id"]),
            )
        )  # fmt: skip
        assert await heard.get() == b"1"
        assert sessions == [b"s1"]
        assert not running.done()
        go_on.set()
        response = await running
        assert (response.status, response.body, await heard.get()) == (200, b"", b"2")
        assert (await post(client, stage.origin)).body == b"ok"
        assert stage.connections == 1


@on_both_loops
async def test_a_fault_in_a_callback_fails_its_request_alone() -> None:
    def faulty(event: sse.Event) -> None:
        raise KeyError("mine")

    async with playing(answering(STREAM + b"\r\ndata: 1\n\n")) as stage, calling() as client:
        with pytest.raises(KeyError, match="mine"):
            await client.request(
                "GET", stage.origin, "/", [], deadline=asyncio.get_running_loop().time() + 5, on_event=faulty
            )


@on_both_loops
async def test_a_body_above_its_limit_is_refused() -> None:
    async with playing(answering(OK)) as stage, calling(AnswerLimits(max_body_bytes=1)) as client:
        with pytest.raises(MalformedResponse):
            await post(client, stage.origin)


# TLS.


Story = Callable[[HttpClient, int], Awaitable[None]]


async def _over_tls(folder: Path, name: str, trusted: bool, valid_days: int, story: Story) -> None:
    authority = Authority(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", [name], valid_days=valid_days))
    server = await serve(echo, guard=Guard([b"localhost"]), tls=context)
    roots = ssl.create_default_context(cafile=str(authority.path) if trusted else None)
    async with calling(tls=roots) as client:
        await story(client, server.port)
    await server.aclose(1)


@on_both_loops
async def test_tls_reaches_the_endpoint_and_guards_it(tmp_path: Path) -> None:
    async def story(client: HttpClient, port: int) -> None:
        for _ in range(2):
            response = await post(client, Origin("https", "localhost", port))
            # The guard knows `localhost` without a port only.
            assert response.status == 403

    await _over_tls(tmp_path, "localhost", True, 1, story)


@pytest.mark.parametrize(
    ("name", "trusted", "valid_days"), [("localhost", False, 1), ("other", True, 1), ("localhost", True, -1)]
)
@on_both_loops
async def test_a_certificate_that_does_not_hold_is_not_sent_to(
    tmp_path: Path, name: str, trusted: bool, valid_days: int
) -> None:
    async def story(client: HttpClient, port: int) -> None:
        with pytest.raises(TlsFailed) as failed:
            await post(client, Origin("https", "localhost", port))
        assert failed.value.sent == "no"

    await _over_tls(tmp_path, name, trusted, valid_days, story)


class Ear:
    def __call__(self, event: sse.Event) -> None: ...


@on_both_loops
async def test_an_idle_connection_holds_nothing_of_what_it_carried() -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    answers = (OK, OK, chunked + b"2\r\nok\r\n0\r\n\r\n")
    async with playing(answering(*answers, OK)) as stage, calling() as client:
        for _ in answers:
            ear = Ear()
            told = weakref.ref(ear)
            deadline = asyncio.get_running_loop().time() + 10
            answer = await client.request("POST", stage.origin, "/", (), b"hi", deadline=deadline, on_event=ear)
            del ear
            assert (answer.body, client.open_connections, told()) == (b"ok", 1, None)
            assert not [holder for holder in gc.get_referrers(answer) if isinstance(holder, Connection)]
