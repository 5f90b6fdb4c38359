"""Documents that others name are fetched within bounds, whoever has written where they are."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from douane.auth.exchange import Fetch, HttpRequest
from douane.sdk.fetching import FETCHED, fetching
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient
from douane.transports.http_server import Endpoint, Guard, serve


@asynccontextmanager
async def served(
    endpoint: Endpoint, reach: Reach = Reach.LOOPBACK, within_s: float = 10.0
) -> AsyncIterator[tuple[str, Fetch]]:
    bound = socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    server = await serve(endpoint, guard=Guard.loopback(port), sock=bound)
    http = HttpClient(reach=reach, limits=FETCHED)
    try:
        yield f"http://127.0.0.1:{port}/x", fetching(http, within_s=within_s)
    finally:
        await http.aclose()
        await server.aclose(0)


async def test_an_answer_is_a_value_and_a_redirect_is_an_answer() -> None:
    there = [(b"location", b"http://127.0.0.1:1/secret"), (b"x-a", b"1")]
    async with served(lambda request, reply: reply.send(302, there, b"gone")) as (url, fetch):
        answer = await fetch(HttpRequest("POST", url, {"x-b": "2"}, b"body"))
        assert (answer.status, answer.header("location"), answer.body) == (302, "http://127.0.0.1:1/secret", b"gone")


@pytest.mark.parametrize("reach", [Reach.PUBLIC, Reach.PRIVATE])
async def test_what_is_out_of_reach_is_not_even_connected_to(reach: Reach) -> None:
    asked: list[bytes] = []
    async with served(lambda request, reply: asked.append(request.path), reach) as (url, fetch):
        with pytest.raises(OSError, match="out of reach"):
            await fetch(HttpRequest("GET", url))
        for metadata in (
            "http://169.254.169.254/latest",
            "http://[::ffff:169.254.169.254]/",
            "http://100.100.100.200/",
        ):
            with pytest.raises(OSError, match="out of reach"):
                await fetch(HttpRequest("GET", metadata))
    assert asked == []


async def test_more_than_a_small_document_is_not_read() -> None:
    async with served(lambda request, reply: reply.send(200, [], b" " * (FETCHED.max_body_bytes + 1))) as (url, fetch):
        with pytest.raises(OSError, match="has more than 262144 bytes"):
            await fetch(HttpRequest("GET", url))


async def test_who_never_answers_is_given_up() -> None:
    async with served(lambda request, reply: None, within_s=0.05) as (url, fetch), asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            await fetch(HttpRequest("GET", url))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://a/", "http://a@b/", "https://a/#b", "https://a b/"])
async def test_what_is_no_url_of_the_web_is_refused(url: str) -> None:
    async with served(lambda request, reply: None) as (_, fetch):
        with pytest.raises(OSError, match="a URL"):
            await fetch(HttpRequest("GET", url))
