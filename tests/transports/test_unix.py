import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest
from census import nothing_left
from ear import BOUND_S, Ear

from douane.transports.link import Link, LinkClosed
from douane.transports.unix import SocketRefused, UnixServer, connect_unix, serve_unix


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "run" / "gateway.sock")


class Guests(asyncio.Queue[Link]):
    async def next(self) -> Link:
        async with asyncio.timeout(BOUND_S):
            return await self.get()


@pytest.fixture
async def guests() -> Guests:
    return Guests()


async def joined(path: str, guests: Guests, **bounds: int) -> tuple[UnixServer, Link, Link]:
    server = await serve_unix(path, guests.put_nowait, **bounds)
    client = await connect_unix(path)
    return server, client, await guests.next()


async def test_frames_cross_both_ways_and_both_ends_hear_the_close(path: str, guests: Guests) -> None:
    async with nothing_left():
        server, client, guest = await joined(path, guests)
        client.send(b'{"early":1}')
        here, there = Ear(client), Ear(guest)
        assert await there.frame() == b'{"early":1}'
        guest.send(b"x" * 3_000_000)
        assert await here.frame() == b"x" * 3_000_000
        await client.aclose()
        await client.aclose()
        assert (await here.end(), await there.end()) == ("closed on this side", "the peer closed its end")
        with pytest.raises(LinkClosed):
            guest.send(b"late")
        await guest.aclose()
        await server.aclose()
    assert (len(here.ends), len(there.ends)) == (1, 1)


async def test_only_the_owner_may_come_in_and_the_file_goes_with_the_server(path: str, guests: Guests) -> None:
    server = await serve_unix(path, guests.put_nowait)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    await server.aclose()
    await server.aclose()
    assert os.listdir(os.path.dirname(path)) == []


async def test_closing_the_server_closes_its_links(path: str, guests: Guests) -> None:
    async with nothing_left():
        server, client, guest = await joined(path, guests)
        here, there = Ear(client), Ear(guest)
        guest.send(b"last")
        await server.aclose()
        assert await here.frame() == b"last"
        assert await here.end() == "the peer closed its end"
        assert await there.end() == "closed on this side"
        await client.aclose()


async def test_a_second_gateway_is_refused_and_the_first_goes_on(path: str, guests: Guests) -> None:
    server = await serve_unix(path, guests.put_nowait)
    with pytest.raises(SocketRefused, match="already listens"):
        await serve_unix(path, guests.put_nowait)
    client = await connect_unix(path)
    await client.aclose()
    await server.aclose()


async def test_a_file_left_by_a_dead_gateway_is_replaced(path: str, guests: Guests) -> None:
    os.mkdir(os.path.dirname(path), 0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with pytest.raises(SocketRefused, match="no gateway listens"):
        await connect_unix(path)
    server, client, _ = await joined(path, guests)
    await client.aclose()
    await server.aclose()


async def test_what_is_no_socket_is_left_alone(path: str, guests: Guests) -> None:
    os.mkdir(os.path.dirname(path), 0o700)
    os.mkfifo(path)
    with pytest.raises(SocketRefused, match="not a socket"):
        await serve_unix(path, guests.put_nowait)
    assert stat.S_ISFIFO(os.stat(path).st_mode)


async def test_a_directory_open_to_others_is_refused(path: str, guests: Guests) -> None:
    os.mkdir(os.path.dirname(path))
    os.chmod(os.path.dirname(path), 0o755)
    with pytest.raises(SocketRefused, match="yours alone"):
        await serve_unix(path, guests.put_nowait)


async def test_a_path_too_long_is_said_with_the_limit(tmp_path: Path, guests: Guests) -> None:
    long = str(tmp_path / ("x" * 120))
    for attempt in (serve_unix(long, guests.put_nowait), connect_unix(long)):
        with pytest.raises(SocketRefused, match="allows 107"):
            await attempt


async def test_nobody_there_is_said_with_the_remedy(path: str) -> None:
    with pytest.raises(SocketRefused, match="start one first"):
        await connect_unix(path)


async def test_a_peer_that_does_not_read_is_given_up_at_the_bound(path: str, guests: Guests) -> None:
    async with nothing_left():
        server, client, guest = await joined(path, guests, max_unread_bytes=300_000)
        there = Ear(guest)
        with pytest.raises(LinkClosed, match="does not read"):  # noqa: PT012
            for _ in range(100):
                guest.send(b"x" * 100_000)
        assert await there.end() == "the peer does not read"
        await client.aclose()
        await server.aclose()


async def test_a_line_over_the_limit_ends_the_link(path: str, guests: Guests) -> None:
    async with nothing_left():
        server, client, guest = await joined(path, guests, max_frame_bytes=1000)
        here, there = Ear(client), Ear(guest)
        client.send(b"x" * 1001)
        assert "longer than the limit" in await there.end()
        await here.end()
        await client.aclose()
        await server.aclose()


async def test_a_close_does_not_wait_for_a_peer_that_never_reads(path: str, guests: Guests) -> None:
    async with nothing_left():
        server, client, guest = await joined(path, guests)
        guest.send(b"x" * 3_000_000)
        async with asyncio.timeout(5):
            await server.aclose()
        await client.aclose()
