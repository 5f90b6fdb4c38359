"""Pages beside the endpoints: found by path, bounded, and silent about what goes wrong in them."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import pytest
from gateway_clients import Wire

from douane.auth.exchange import HttpRequest, HttpResponse, Page
from douane.gateway.health import routed
from douane.gateway.pages import Pages
from douane.protocol.call import Principal
from douane.sdk.held import NotYet, Turned
from douane.sdk.waiting import Waiting
from douane.transports.http_server import Endpoint, Guard, Reply, Request, serve


@asynccontextmanager
async def served(
    pages: Pages, paths: Mapping[bytes, Endpoint] = {}, waiting: Waiting | None = None
) -> AsyncGenerator[int]:
    def nobody(request: Request) -> Principal:
        raise Turned(401, "client: nobody")

    waiting = waiting or Waiting()
    bound = socket.create_server(("127.0.0.1", 0))
    guard = Guard.loopback(bound.getsockname()[1])
    listening = await serve(routed(paths, nobody, waiting, pages.find), guard=guard, sock=bound)
    try:
        yield listening.port
    finally:
        await waiting.aclose()
        await pages.aclose()
        await listening.aclose(0)


@asynccontextmanager
async def wire(port: int) -> AsyncGenerator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    line = Wire(reader, writer, port)
    try:
        yield line
    finally:
        await line.hang_up()


def saying(word: str) -> Page:
    async def page(request: HttpRequest) -> HttpResponse:
        said = f"{word} {request.method} {request.url} {request.body.decode()}"
        return HttpResponse(
            200, [("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2")], said.encode()
        )

    return page


async def test_a_page_is_found_by_its_path_or_by_the_longest_above_it_and_is_told_what_was_asked() -> None:
    pages = Pages({"/a": saying("a"), "/b/": saying("b"), "/b/c/": saying("c")})
    async with served(pages) as port, wire(port) as line:
        said: list[str] = []
        for method, path, body in (("GET", "/a?x=1", b""), ("POST", "/b/any", b"x=y"), ("GET", "/b/c/d", b"")):
            await line.send(method, {}, body, path)
            answer = await line.answer()
            said.append(answer.body.decode().rstrip())
        assert said == ["a GET /a?x=1", "b POST /b/any x=y", "c GET /b/c/d"]
        await line.send("GET", {}, path="/a/b")
        assert (await line.answer()).status == 404


async def test_a_page_that_fails_or_never_ends_says_no_more_than_that(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: HttpRequest) -> HttpResponse:
        raise RuntimeError("the password is hunter2")

    async def endless(request: HttpRequest) -> HttpResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def torn(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, [("x-a", "b\r\nset-cookie: a=b")])

    pages = Pages({"/broken": broken, "/endless": endless, "/torn": torn}, within_s=0.01)
    async with served(pages) as port, wire(port) as line:
        for path, status in (("/broken", 500), ("/endless", 504), ("/torn", 500)):
            await line.send("GET", {}, path=path)
            answer = await line.answer()
            assert (answer.status, b"hunter2" in answer.body) == (status, False)
    assert "hunter2" in caplog.text


async def test_pages_are_bounded_in_number_and_size_and_end_with_who_asked() -> None:
    begun, given_up = asyncio.Event(), asyncio.Event()

    async def slow(request: HttpRequest) -> HttpResponse:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        raise AssertionError

    async with served(Pages({"/slow": slow, "/a": saying("a")}, max_open=1)) as port, wire(port) as line:
        async with wire(port) as other:
            await other.send("GET", {}, path="/slow")
            await begun.wait()
            await line.send("GET", {}, path="/a")
            assert (await line.answer()).status == 503
        await given_up.wait()
        await line.send("POST", {}, b"x" * 65_537, "/a")
        assert (await line.answer()).status == 413


def endpoint(known: dict[str, Principal], asked: list[str], gate: asyncio.Event, begun: asyncio.Event) -> Endpoint:
    """Answers with who was let in; whoever is not known is asked for, once the gate is open."""

    def serve(request: Request, reply: Reply) -> None:
        name = request.headers[b"authorization"].decode()
        admitted = request.memo.pop("admitted", None) or known.get(name)
        if admitted is None:
            raise NotYet(lambda: ask(name))
        assert isinstance(admitted, Principal)
        reply.send(200, (), admitted.subject.encode())

    async def ask(name: str) -> Principal:
        asked.append(name)
        begun.set()
        await gate.wait()
        if name == "broken":
            raise RuntimeError
        if name == "bad":
            raise Turned(401, "client: no")
        return Principal(name)

    return serve


async def test_who_has_to_be_asked_for_waits_and_is_then_let_in_or_turned_away() -> None:
    asked: list[str] = []
    gate = asyncio.Event()
    gate.set()
    door = endpoint({"known": Principal("known")}, asked, gate, asyncio.Event())
    async with served(Pages({}), {b"/mcp": door}) as port, wire(port) as line:
        answers: list[tuple[int, bytes]] = []
        for name in ("known", "anna", "bad", "broken"):
            await line.send("GET", {"authorization": name})
            answer = await line.answer()
            answers.append((answer.status, answer.body[:9]))
    assert answers == [(200, b"known"), (200, b"anna"), (401, b"client: n"), (500, b"gateway: ")]
    assert asked == ["anna", "bad", "broken"]


async def test_those_who_wait_are_bounded_and_one_that_hangs_up_is_not_asked_for_any_more() -> None:
    asked: list[str] = []
    gate, begun = asyncio.Event(), asyncio.Event()
    door = endpoint({}, asked, gate, begun)
    async with served(Pages({}), {b"/mcp": door}, Waiting(max_waiting=1)) as port, wire(port) as line:
        async with wire(port) as first:
            await first.send("GET", {"authorization": "anna"})
            async with asyncio.timeout(5):
                await begun.wait()
            await line.send("GET", {"authorization": "bert"})
            assert (await line.answer()).status == 503
        gate.set()
        async with asyncio.timeout(5):
            while True:
                await line.send("GET", {"authorization": "carl"})
                if (await line.answer()).status == 200:
                    break
    assert asked == ["anna", "carl"]
