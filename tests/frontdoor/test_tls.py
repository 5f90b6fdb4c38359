"""TLS and the way out, through the doors: what is shown, what is trusted, and what is said when it does not hold."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from certificates import Authority, serial_in, serial_of
from gateway_clients import http, text_of
from gateway_world import World, gateway, hostile, until
from http_upstream import http_upstream
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

NAME = "tickets.example"


async def shown(port: int, authority: Path) -> int:
    context = ssl.create_default_context(cafile=str(authority))
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return serial_of(der)


@pytest.mark.counterpart
async def test_the_doors_speak_https_and_a_renewed_certificate_needs_no_restart(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("door")
    tls = {"certificate": "door.pem", "key": "door.key"}
    async with gateway(tmp_path, {"hostile": hostile()}, listen={"tls": tls}) as running:
        context = ssl.create_default_context(cafile=str(authority.path))
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(verify=context, headers=headers) as over:
            url = f"https://localhost:{running.port}/mcp"
            async with Client(streamable_http_client(url, http_client=over)) as client:
                told = await client.call_tool("hostile_echo", {"text": "hello"})
                assert told.content[0].text == "hello"  # type: ignore[union-attr]
                first = serial_in(pair.certificate)
                assert await shown(running.port, authority.path) == first
                authority.issue("door")
                new = serial_in(pair.certificate)
                assert await until(lambda: any("changed certificate is in use" in line for line in running.log))
                assert await shown(running.port, authority.path) == new != first
                # Who is connected stays so.
                assert not (await client.call_tool("hostile_echo", {"text": "again"})).is_error
        with pytest.raises(httpx2.HTTPError):
            async with httpx2.AsyncClient() as plain:
                await plain.get(f"http://localhost:{running.port}/healthz", timeout=5)


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[tuple[int, list[str]]]:
    """A proxy that takes every name to `port` of this machine, and what it was asked for."""
    asked: list[str] = []
    running: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        asked.extend([head[0], *[line for line in head if line.startswith("proxy-auth")]])
        inner = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pumps = {asyncio.create_task(pump(reader, inner[1])), asyncio.create_task(pump(inner[0], writer))}
        running.update(pumps)
        await asyncio.wait(pumps)

    server = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()
        if running:
            await asyncio.wait(running, timeout=10)
        await server.wait_closed()


async def test_an_upstream_of_a_private_authority_is_reached_through_a_proxy_with_our_certificate(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    inner = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.path))
    inner.load_cert_chain(*authority.issue("upstream", [NAME]))
    inner.verify_mode = ssl.CERT_REQUIRED
    authority.issue("ours", ["gateway"])
    async with http_upstream(tls=inner, names=[NAME]) as upstream, proxy_to(upstream.port) as (port, asked):
        tickets = upstream.config | {"url": f"https://{NAME}:{upstream.port}/mcp"}
        tls = {"ca": "../authority.pem", "certificate": "../ours.pem", "key": "../ours.key"}
        network = {
            "proxy": f"http://127.0.0.1:{port}",
            "proxy_authorization": "${PROXY}",
            "proxy_names": "proxy",
        }
        known = gateway(
            tmp_path / "a",
            {"tickets": tickets | {"tls": tls}},
            network=network,
            environment={"PROXY": "Basic abc"},
        )
        async with known as running, http(running) as client:
            assert text_of(await client.call("tickets_echo", text="hello")) == '{"text": "hello"}'
        assert set(asked) == {f"CONNECT {NAME}:{upstream.port} HTTP/1.1", "proxy-authorization: Basic abc"}
        heard = len(upstream.heard)
        unknown = gateway(tmp_path / "b", {"tickets": tickets}, network=network, environment={"PROXY": "Basic abc"})
        async with unknown as running, http(running) as client:
            assert "the gateway's log says why" in str(await client.call("tickets_echo", text="hello"))
            assert any("no TLS with the upstream" in line for line in running.log)
        assert len(upstream.heard) == heard


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ({"certificate": "none.pem"}, "listen.tls: "),
        ({"key": "door.key"}, "has no `certificate` beside it"),
        ({"certificate": "door.pem", "key": "open.key"}, "chmod o-rwx"),
    ],
)
async def test_a_certificate_that_cannot_be_used_keeps_the_doors_shut(
    tmp_path: Path, listen: dict[str, str], said: str
) -> None:
    authority = Authority(tmp_path)
    authority.issue("open").key.chmod(0o644)
    authority.issue("door")
    world = World(tmp_path, {"hostile": hostile()}, listen={"tls": listen})
    ran = await world.run("up", "--config", str(world.config), "--port", "0")
    assert ran.code == 3
    assert said in ran.err
    assert "Traceback" not in ran.err
