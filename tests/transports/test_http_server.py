"""What the server promises decent clients, slow ones, and those that leave."""

import asyncio
import logging

import pytest
from census import until
from http_world import HEAD, alive, exchange, on_both_loops, serving, wire

from douane.transports.http_parse import encode_headers
from douane.transports.http_server import Reply, Request

TEXT = encode_headers([(b"content-type", b"text/plain")])
BYE = b"Connection: close\r\n"


def post(body: bytes, *headers: bytes) -> bytes:
    return HEAD + b"".join(headers) + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Held:
    """An endpoint that keeps what it was asked and answers when the test says so."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[Request, Reply]] = asyncio.Queue()
        self.gone: asyncio.Queue[bytes] = asyncio.Queue()

    def __call__(self, request: Request, reply: Reply) -> None:
        reply.gone = lambda: self.gone.put_nowait(request.path)
        self.asked.put_nowait((request, reply))


@on_both_loops
async def test_a_request_reaches_the_endpoint_as_it_came() -> None:
    held = Held()
    async with serving(held) as server, wire(server.port) as line:
        await line.say(
            b"PUT /a/..%2f..%2fmcp?x=1&y=%20 HTTP/1.1\r\nHost: good\r\nX-Odd:  a b\t \r\nEmpty:\r\n"
            b"Accept: a\r\nACCEPT: b\r\nContent-Length: 3\r\n\r\nabc"
        )
        request, reply = await held.asked.get()
        assert (request.method, request.path, request.query) == (b"PUT", b"/a/..%2f..%2fmcp", b"x=1&y=%20")
        assert request.headers == {
            b"host": b"good",
            b"x-odd": b"a b",
            b"empty": b"",
            b"accept": b"a, b",
            b"content-length": b"3",
        }
        assert (request.body, request.client) == (b"abc", "127.0.0.1")
        reply.send(204, [])
        heard = await line.hear(b"\r\n\r\n")
        assert heard.startswith(b"HTTP/1.1 204 No Content\r\ndate: ")
        assert b"content-length" not in heard


@on_both_loops
async def test_long_answers_leave_whole_and_in_their_order() -> None:
    bodies = [letter * size for letter, size in ((b"a", 65_536), (b"b", 1), (b"c", 300_000), (b"d", 65_535))]
    async with serving() as server, wire(server.port) as line:
        for body in (*bodies, *bodies):
            await line.say(post(body))
            assert await line.hear(b"POST /mcp " + body)
        await line.say(b"".join(map(post, bodies)) + post(b"end", BYE))
        heard = await line.hear_all()
        assert [heard.count(b"POST /mcp " + body + b"HTTP/1.1 200") for body in bodies] == [1, 1, 1, 1]
        assert heard.endswith(b"POST /mcp end")


@on_both_loops
async def test_a_connection_serves_many_requests_and_close_is_honoured() -> None:
    async with serving() as server, wire(server.port) as line:
        for body in (b"one", b"two", b"two", b""):
            await line.say(post(body))
            await line.hear(b"POST /mcp " + body)
        assert server.connections == 1
        await line.say(post(b"three", BYE))
        heard = await line.hear_all()
        assert b"\r\nconnection: close\r\n" in heard
        assert heard.endswith(b"three")


@on_both_loops
async def test_a_head_said_again_is_the_same_head_with_the_memo_of_the_first_and_a_body_of_its_own() -> None:
    held = Held()
    async with serving(held) as server, wire(server.port) as line:
        memos: list[object] = []
        for body in (b"one", b"two", b"six", b"three"):
            await line.say(post(body))
            request, reply = await held.asked.get()
            request.memo.setdefault("first", body)
            memos.append(request.memo["first"])
            assert (request.method, request.path, request.body) == (b"POST", b"/mcp", body)
            reply.send(200, [], body)
            assert (await line.hear(b"\r\n\r\n" + body)).startswith(b"HTTP/1.1 200")
        # Another length is another head.
        assert memos == [b"one", b"one", b"one", b"three"]


@on_both_loops
async def test_a_head_said_again_is_read_wherever_it_is_cut_and_whatever_follows_it() -> None:
    async with serving() as server, wire(server.port) as line:
        again = post(b"one")
        await line.say(again)
        await line.hear(b"POST /mcp one")
        for cut in range(1, len(again), 7):
            await line.say(again[:cut])
            await line.say(again[cut:])
            await line.hear(b"POST /mcp one")
        await line.say(again + post(b"two") + again)
        for body in (b"one", b"two", b"one"):
            await line.hear(b"POST /mcp " + body)
        await line.say(again)
        await line.hear(b"POST /mcp one")


@on_both_loops
async def test_pipelined_requests_are_answered_in_order_and_one_at_a_time() -> None:
    held = Held()
    async with serving(held) as server, wire(server.port) as line:
        await line.say(b"".join(post(b"%d" % number) for number in range(50)) + post(b"last", BYE))
        for _ in range(51):
            request, reply = await held.asked.get()
            assert held.asked.empty()
            reply.send(200, TEXT, b"<" + request.body + b">")
        heard = await line.hear_all()
        bodies = [part.partition(b">")[0] for part in heard.split(b"<")[1:]]
        assert bodies == [*(b"%d" % number for number in range(50)), b"last"]


@on_both_loops
async def test_what_is_pipelined_beyond_measure_waits_in_the_kernel() -> None:
    held = Held()
    async with serving(held) as server, wire(server.port) as line:
        count = 200
        body = b"x" * 10_000
        telling = asyncio.create_task(line.say(post(body) * (count - 1) + post(body, BYE)))
        for _ in range(count):
            _, reply = await held.asked.get()
            reply.send(200, TEXT, b"ok")
        assert (await line.hear_all()).count(b"\r\n\r\nok") == count
        await telling


@on_both_loops
async def test_a_chunked_body_is_put_together_wherever_it_is_cut() -> None:
    data = HEAD + BYE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n \r\n00000005\r\nworld\r\n0\r\n\r\n"
    async with serving() as server:
        assert (await exchange(server.port, data)).endswith(b"POST /mcp hello world")
        async with wire(server.port) as line:
            for at in range(len(data)):
                await line.say(data[at : at + 1])
                await asyncio.sleep(0)
            assert (await line.hear_all()).endswith(b"POST /mcp hello world")


@on_both_loops
async def test_100_continue_is_said_before_the_body_is_awaited() -> None:
    async with serving() as server, wire(server.port) as line:
        await line.say(HEAD + BYE + b"Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
        assert await line.hear(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await line.say(b"hi")
        assert (await line.hear_all()).endswith(b"POST /mcp hi")


@on_both_loops
async def test_an_offered_upgrade_is_not_taken_up_and_the_body_is_still_the_body() -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    async with serving() as server, wire(server.port) as line:
        await line.say(post(b"hi", offer) + post(b"again", BYE))
        heard = await line.hear_all()
        assert heard.count(b"HTTP/1.1 200 OK") == 2
        assert heard.endswith(b"POST /mcp again")


@on_both_loops
async def test_head_has_the_length_and_no_body_and_http_1_0_is_closed() -> None:
    async with serving() as server:
        heard = await exchange(server.port, b"HEAD /x HTTP/1.0\r\nHost: good\r\nConnection: keep-alive\r\n\r\n")
        assert b"\r\ncontent-length: 8\r\n" in heard
        assert heard.endswith(b"\r\n\r\n")


def streaming(request: Request, reply: Reply) -> None:
    reply.open(200, [(b"content-type", b"text/event-stream")])
    reply.write(b"data: 1\n\n")
    reply.write(b"")
    reply.end(b"data: 2\n\n")


@on_both_loops
async def test_a_stream_is_chunked_and_the_connection_lives_on() -> None:
    async with serving(streaming) as server, wire(server.port) as line:
        for _ in range(2):
            await line.say(post(b"hi"))
            heard = await line.hear(b"0\r\n\r\n")
            assert b"\r\ntransfer-encoding: chunked\r\n" in heard
            assert heard.endswith(b"\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n")


@on_both_loops
async def test_a_stream_to_http_1_0_ends_with_the_connection() -> None:
    async with serving(streaming) as server:
        heard = await exchange(server.port, b"GET / HTTP/1.0\r\nHost: good\r\nX: HTTP/1.1\r\n\r\n")
        assert b"transfer-encoding" not in heard
        assert heard.endswith(b"\r\n\r\ndata: 1\n\ndata: 2\n\n")


@on_both_loops
async def test_the_endpoint_hears_once_that_the_peer_has_gone() -> None:
    held = Held()
    async with serving(held) as server:
        async with wire(server.port) as line:
            await line.say(b"GET /left HTTP/1.1\r\nHost: good\r\n\r\n")
            _, reply = await held.asked.get()
            reply.open(200, TEXT)
        assert await held.gone.get() == b"/left"
        reply.write(b"into the void")
        reply.end()
    assert held.gone.empty()


@on_both_loops
async def test_a_peer_that_reads_nothing_of_its_stream_is_cut_off() -> None:
    held = Held()
    async with serving(held, max_buffered_bytes=100_000) as server, wire(server.port) as line:
        await line.say(b"GET /deaf HTTP/1.1\r\nHost: good\r\n\r\n")
        _, reply = await held.asked.get()
        reply.open(200, TEXT)
        written = 0
        while held.gone.empty():
            reply.write(b"x" * 50_000)
            written += 50_000
            assert written < 50_000_000
            await asyncio.sleep(0)
        await line.hear_all()


@on_both_loops
async def test_a_request_is_answered_once() -> None:
    held = Held()
    async with serving(held) as server, wire(server.port) as line:
        await line.say(post(b"hi"))
        _, reply = await held.asked.get()
        with pytest.raises(RuntimeError):
            reply.write(b"too soon")
        reply.send(200, TEXT)
        for again in (lambda: reply.send(200, TEXT), lambda: reply.open(200, TEXT), reply.end):
            with pytest.raises(RuntimeError):
                again()


@pytest.mark.parametrize(
    "header",
    [
        (b"x", b"a\r\nb: c"),
        (b"x", b"a\nb"),
        (b"x", b"a\0"),
        (b"x y", b"a"),
        (b"", b"a"),
        (b"x:", b"a"),
        (b"Content-Length", b"1"),
    ],
)
def test_a_header_that_would_break_the_message_is_not_written(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="header"):
        encode_headers([header])


@on_both_loops
async def test_a_failing_endpoint_is_500_once_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def fails(request: Request, reply: Reply) -> None:
        raise KeyError("secret")

    async with serving(fails) as server:
        with caplog.at_level(logging.ERROR):
            heard = await exchange(server.port, post(b"hi") * 2)
        assert heard.startswith(b"HTTP/1.1 500 ")
        assert heard.count(b"\r\ndate: ") == 1
        assert b"secret" not in heard
    assert len(caplog.records) == 1


# Slow peers. The limits are small, so that the tests are not.

SLOW: dict[str, bytes] = {
    "says nothing": b"",
    "a method and no more": b"POST ",
    "a head and no end": HEAD,
    "a length and no body": HEAD + b"Content-Length: 5\r\n\r\n",
    "half a body": HEAD + b"Content-Length: 5\r\n\r\nab",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
}


@pytest.mark.parametrize("case", SLOW)
@on_both_loops
async def test_a_slow_request_is_cut_off(case: str) -> None:
    async with serving(header_timeout_s=0.1) as server:
        assert (await exchange(server.port, SLOW[case])).startswith(b"HTTP/1.1 408 ")
        assert await alive(server.port)


@on_both_loops
async def test_a_head_that_comes_drop_by_drop_gets_no_more_time_for_each_drop() -> None:
    async with serving(header_timeout_s=0.2) as server, wire(server.port) as line:
        await line.say(HEAD + b"X: ")

        async def drip() -> None:
            while True:
                await line.say(b"a")
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert b" 408 " in await line.hear_all()
        dripping.cancel()
        await asyncio.wait([dripping])


@on_both_loops
async def test_a_body_above_the_floor_has_all_the_time_it_needs() -> None:
    async with serving(header_timeout_s=0.1, body_floor_bytes_s=10.0) as server, wire(server.port) as line:
        await line.say(HEAD + BYE + b"Content-Length: 40\r\n\r\n")
        for _ in range(40):
            await line.say(b"a")
            await asyncio.sleep(0.01)
        assert (await line.hear_all()).endswith(b"a" * 40)


@on_both_loops
async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with serving(idle_timeout_s=0.1) as server, wire(server.port) as line:
        await line.say(post(b"hi"))
        assert (await line.hear_all()).endswith(b"POST /mcp hi")


@on_both_loops
async def test_five_hundred_slow_peers_keep_no_one_waiting() -> None:
    async with serving(header_timeout_s=0.5) as server:
        lines = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(500)]
        for _, writer in lines:
            writer.write(HEAD)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert await alive(server.port)
        assert loop.time() - begun < 0.3
        heard = await asyncio.gather(*(reader.read() for reader, _ in lines))
        assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in heard)
        for _, writer in lines:
            writer.close()


@on_both_loops
async def test_one_connection_too_many_is_told_so() -> None:
    async with serving(max_connections=1) as server, wire(server.port) as line:
        await line.say(post(b"hi"))
        await line.hear(b"POST /mcp hi")
        assert (await exchange(server.port, b"")).startswith(b"HTTP/1.1 503 ")
        await line.say(post(b"still here"))
        await line.hear(b"still here")


# The end.


@on_both_loops
async def test_draining_lets_the_request_in_hand_finish_and_closes_idle_connections() -> None:
    held = Held()
    async with serving(held) as server, wire(server.port) as busy, wire(server.port) as idle:
        await idle.say(post(b"x"))
        (await held.asked.get())[1].send(200, TEXT)
        await idle.hear(b"\r\n\r\n")
        await busy.say(post(b"hi"))
        _, reply = await held.asked.get()
        closing = asyncio.create_task(server.aclose(5))
        assert await idle.hear_all() == b""
        with pytest.raises(OSError):  # noqa: PT011 - the port is closed; which error says so depends on the system
            await asyncio.open_connection("127.0.0.1", server.port)
        assert not closing.done()
        reply.send(200, TEXT, b"finished")
        heard = await busy.hear_all()
        assert heard.endswith(b"finished")
        assert b"\r\nconnection: close\r\n" in heard
        await closing
        assert server.connections == 0


@on_both_loops
async def test_what_is_not_finished_when_the_drain_is_over_is_cut_and_told() -> None:
    held = Held()
    async with serving(held) as server, wire(server.port) as line:
        await line.say(b"GET /long HTTP/1.1\r\nHost: good\r\n\r\n")
        await held.asked.get()
        await server.aclose(0.05)
        assert held.gone.get_nowait() == b"/long"
        assert await line.hear_all() == b""


@on_both_loops
async def test_a_server_closes_twice_without_complaint() -> None:
    async with serving() as server:
        await server.aclose(0)


@on_both_loops
async def test_who_sends_far_ahead_is_read_on_when_the_last_of_it_was_half_a_head() -> None:
    held = Held()
    async with serving(held) as server, wire(server.port) as line:
        one, last = post(b""), post(b"last")
        ahead = 100 * 1024 // len(one)
        await line.say(one)
        _, reply = await held.asked.get()
        await line.say(one * ahead + last[:20])
        connection = reply._connection  # pyright: ignore[reportPrivateUsage]
        assert connection is not None
        ahead_bytes = ahead * len(one)
        assert await until(lambda: len(connection._unread) >= ahead_bytes or connection._reading_paused, 5.0)  # pyright: ignore[reportPrivateUsage]
        reply.send(200, [])
        for _ in range(ahead):
            _, reply = await asyncio.wait_for(held.asked.get(), 5)
            reply.send(200, [])
        await line.say(last[20:])
        request, reply = await asyncio.wait_for(held.asked.get(), 5)
        assert request.body == b"last"
        reply.send(200, [])


@on_both_loops
async def test_a_continue_does_not_overtake_the_answer_before_it() -> None:
    held = Held()
    async with serving(held) as server, wire(server.port) as line:
        await line.say(post(b"one"))
        _, reply = await held.asked.get()
        connection = reply._connection  # pyright: ignore[reportPrivateUsage]
        assert connection is not None
        # The answer and the next head meet in one turn of the loop.
        reply.send(200, [], b"first")
        connection.data_received(HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        heard = await line.hear(b"100 Continue\r\n\r\n")
        assert b"first" in heard
        await line.say(b"two")
        _, reply = await asyncio.wait_for(held.asked.get(), 5)
        reply.send(200, [])
