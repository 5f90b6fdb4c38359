"""The way out through a proxy: a real one, and ones that misbehave."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from census import until
from certificates import Authority
from http_world import OK, Wire, answering, calling, echo, on_both_loops, playing, post, request_of

from douane.transports.address import Reach
from douane.transports.http_client import AddressRefused, ConnectFailed, HttpClient, HttpTimeout, Origin, Proxy
from douane.transports.http_server import Guard, serve
from douane.transports.proxy import basic
from douane.transports.tls import client_tls, server_tls

NAME = "upstream.example"
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@asynccontextmanager
async def a_real_proxy(folder: Path, *arguments: str) -> AsyncIterator[int]:
    """The port of a proxy.py of its own process."""
    port_file = folder / "port"
    argv = ("--hostname", "127.0.0.1", "--port", "0", "--port-file", str(port_file), "--num-workers", "1")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy", *argv, "--num-acceptors", "1", *arguments,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    try:
        assert await until(lambda: port_file.is_file() and port_file.read_text().strip() != "", 20.0)
        yield int(port_file.read_text())
    finally:
        os.killpg(process.pid, 9)
        await process.wait()


async def test_an_upstream_is_reached_through_a_real_proxy_with_tls_end_to_end(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    listening, _ = server_tls(*authority.issue("server", [NAME]))
    async with a_real_proxy(tmp_path, "--basic-auth", "us:secret") as port:
        tls = client_tls([authority.path]).current
        for scheme in ("https", "http"):
            guard = Guard([f"{NAME}:{free}".encode() for free in range(1024, 65536)])
            server = await serve(echo, guard=guard, tls=listening if scheme == "https" else None)
            origin = Origin("https" if scheme == "https" else "http", NAME, server.port)
            proxy = Proxy("127.0.0.1", port, authorization=basic("us", "secret"))
            async with calling(tls=tls, proxy=proxy, resolver=here) as client:
                for _ in range(2):
                    assert (await post(client, origin)).body == b"POST /mcp hi"
                assert client.open_connections == 1
            async with calling(tls=tls, proxy=Proxy("127.0.0.1", port), resolver=here) as client:
                with pytest.raises(ConnectFailed, match="407"):
                    await post(client, origin)
            await server.aclose(1)


@on_both_loops
async def test_the_way_to_the_proxy_itself_may_be_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context, _ = server_tls(*authority.issue("proxy"))
    inner, _ = server_tls(*authority.issue("server", [NAME]))
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Wire(reader, writer)
        asked.append(await request_of(line))
        await line.say(OPEN)
        await writer.start_tls(inner)
        await request_of(line)
        await line.say(OK)
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    way = Proxy("localhost", port, tls=True)

    async def system(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with calling(tls=client_tls([authority.path]).current, proxy=way, resolver=system) as client:
        assert (await post(client, Origin("https", NAME, 443))).body == b"ok"
    assert asked == [b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nhost: 127.0.0.1:443\r\n\r\n"]
    server.close()
    await server.wait_closed()


@on_both_loops
async def test_names_are_judged_here_or_are_the_business_of_the_proxy() -> None:
    asked: list[bytes] = []

    async def scene(line: Wire) -> None:
        asked.append((await request_of(line)).split(b"\r\n")[0])
        await line.say(OPEN)
        await request_of(line)
        await line.say(OK)

    async def inside(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if host == "proxy" else ["10.0.0.7"]

    async with playing(scene) as stage:
        judging = Proxy("proxy", stage.port)
        client = HttpClient(reach=Reach.PUBLIC, proxy=judging, resolver=inside)
        with pytest.raises(AddressRefused):
            await post(client, Origin("http", NAME, 80))
        await client.aclose()
        trusting = Proxy("proxy", stage.port, resolves=True)
        client = HttpClient(reach=Reach.PUBLIC, proxy=trusting, resolver=inside)
        assert (await post(client, Origin("http", NAME, 80))).body == b"ok"
        for host in ("10.0.0.7", "169.254.169.254", "0x7f.1", "2130706433", "::ffff:10.0.0.7"):
            with pytest.raises(AddressRefused):
                await post(client, Origin("http", host, 80))
        await client.aclose()
    assert asked == [b"CONNECT upstream.example:80 HTTP/1.1"]


@on_both_loops
async def test_what_is_to_be_reached_directly_is() -> None:
    proxy = Proxy("127.0.0.1", 1, direct=["in.example", "*.corp.example", "10.0.0.0/8", "fd00::/8"])
    served = {
        host: proxy.serves(host)
        for host in ("in.example", "a.corp.example", "10.1.2.3", "fd00::1", "localhost", "127.0.0.1", "::1")
    }
    assert not any(served.values())
    assert all(map(proxy.serves, ("x.in.example", "corp.example", "evilcorp.example", "11.0.0.1", "fe00::1")))
    async with playing(answering(OK)) as stage, calling(proxy=proxy) as client:
        assert (await post(client, stage.origin)).body == b"ok"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refused: 403 Forbidden"),
        (b"HTTP/1.1 407 Authenticate\r\n\r\n", "credentials"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "refused: 502"),
        (OPEN + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno", "more than its answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "did not answer as a proxy"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 4000, "did not answer as a proxy"),
        (b"", "closed the connection"),
    ],
)
@on_both_loops
async def test_a_proxy_that_does_not_open_a_tunnel_says_why(answer: bytes, said: str) -> None:
    async def scene(line: Wire) -> None:
        await request_of(line)
        await line.say(answer)

    async with playing(scene) as stage, calling(proxy=Proxy("127.0.0.1", stage.port), resolver=here) as client:
        with pytest.raises(ConnectFailed, match=said) as failed:
            await post(client, Origin("http", NAME, 80))
        assert failed.value.sent == "no"
        assert client.open_connections == 0


@on_both_loops
async def test_a_proxy_that_stays_silent_is_waited_for_in_bounds() -> None:
    async def scene(line: Wire) -> None:
        await request_of(line)
        await line.hear_all()

    async with playing(scene) as stage, calling(proxy=Proxy("127.0.0.1", stage.port), resolver=here) as client:
        with pytest.raises(HttpTimeout) as failed:
            await post(client, Origin("http", NAME, 80), in_s=0.3)
        assert failed.value.sent == "no"
