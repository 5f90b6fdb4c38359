"""Certificates from files: served, shown, trusted, and renewed while connections come in."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from census import until
from certificates import Authority, Pair, serial_in, serial_of
from http_world import OK, Wire, calling, echo, on_both_loops, post, request_of

from douane.transports.http_client import ConnectionLost, Origin, TlsFailed
from douane.transports.http_server import Guard, serve
from douane.transports.tls import TlsUnusable, client_tls, keep_renewed, server_tls


async def shown(port: int, authority: Path, host: str | None = "localhost") -> int:
    """The serial number of the certificate that is shown. Without `host` no name is asked for."""
    context = ssl.create_default_context(cafile=str(authority))
    context.check_hostname = host is not None
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host or "")
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return serial_of(der)


@on_both_loops
async def test_a_renewed_certificate_is_shown_to_who_comes_next(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    listening, files = server_tls(*pair)
    server = await serve(echo, guard=Guard([b"localhost"]), tls=listening)
    for host in ("localhost", None):
        assert await shown(server.port, authority.path, host) == serial_in(pair.certificate)
    assert not files.look()
    first = serial_in(pair.certificate)
    authority.issue("server")
    assert await shown(server.port, authority.path) == first
    assert files.look()
    for host in ("localhost", None):
        assert await shown(server.port, authority.path, host) == serial_in(pair.certificate) != first
    await server.aclose(1)


@on_both_loops
async def test_half_a_renewal_changes_nothing_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    listening, files = server_tls(*pair)
    server = await serve(echo, guard=Guard([b"localhost"]), tls=listening)
    first = serial_in(pair.certificate)
    new = authority.issue("new")
    pair.certificate.write_bytes(new.certificate.read_bytes())
    with caplog.at_level(logging.ERROR):
        assert [files.look() for _ in range(3)] == [False] * 3
    assert [record.message.count("is not the key of") for record in caplog.records] == [1]
    assert await shown(server.port, authority.path) == first
    pair.key.write_bytes(new.key.read_bytes())
    assert files.look()
    assert await shown(server.port, authority.path) == serial_in(pair.certificate) != first
    await server.aclose(1)


@on_both_loops
async def test_what_has_changed_is_handed_on_while_it_is_looked_after(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = client_tls([authority.path])
    taken: list[ssl.SSLContext] = []
    files.taken = taken.append
    looking = asyncio.get_running_loop().create_task(keep_renewed([files]))
    Authority(tmp_path)
    assert await until(lambda: taken == [files.current], 5.0)
    looking.cancel()
    await asyncio.wait({looking})


@on_both_loops
async def test_an_upstream_of_a_private_authority_sees_our_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context, _ = server_tls(*authority.issue("server"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    seen: list[int] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(serial_of(writer.get_extra_info("ssl_object").getpeercert(binary_form=True)))
        line = Wire(reader, writer)
        await request_of(line)
        await line.say(OK)
        writer.close()
        await writer.wait_closed()

    context.sni_callback = None  # type: ignore[assignment]
    server = await asyncio.start_server(upstream, "127.0.0.1", 0, ssl=context)
    origin = Origin("https", "localhost", server.sockets[0].getsockname()[1])
    ours = authority.issue("ours", ["gateway"])
    async with calling(tls=client_tls([authority.path], *ours).current) as client:
        assert (await post(client, origin)).body == b"ok"
    assert seen == [serial_in(ours.certificate)]
    async with calling(tls=client_tls([authority.path]).current) as client:
        with pytest.raises((ConnectionLost, TlsFailed)):
            await post(client, origin)
    async with calling() as client:
        with pytest.raises(TlsFailed, match=r"self-signed certificate|local issuer"):
            await post(client, origin)
    server.close()
    await server.wait_closed()


Spoil = Callable[[Pair, Authority], object]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda pair, _: pair.certificate.unlink(), "cannot be read"),
        (lambda pair, _: pair.key.unlink(), "cannot be read"),
        (lambda pair, _: pair.certificate.write_text("no PEM"), "cannot be used"),
        (lambda pair, _: pair.key.chmod(0o604), "everyone can read the key"),
        (lambda pair, ca: pair.key.write_bytes(ca.issue("other").key.read_bytes()), "is not the key of"),
    ],
)
def test_files_that_cannot_be_used_say_why(tmp_path: Path, spoil: Spoil, said: str) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    spoil(pair, authority)
    with pytest.raises(TlsUnusable, match=said):
        server_tls(*pair)


def test_an_authority_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no PEM")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(TlsUnusable, match=f"{name} cannot be used as an authority"):
            client_tls([tmp_path / name])
