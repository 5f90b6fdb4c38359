"""DNS rebinding and foreign pages: Host and Origin are compared exactly."""

import pytest
from http_world import exchange, on_both_loops, serving

from douane.transports.http_server import Guard

GUARD = Guard([b"gate.example", b"gate.example:8443", b"127.0.0.1:7070", b"[::1]:7070"], [b"https://app.example"])

HOSTS = {
    b"gate.example": 200,
    b"GATE.example": 200,
    b"gate.example:8443": 200,
    b"127.0.0.1:7070": 200,
    b"[::1]:7070": 200,
    b"gate.example ": 200,
    b"": 403,
    b"evil.example": 403,
    b"evil.example:8443": 403,
    b"gate.example.": 403,
    b"gate.example.evil.example": 403,
    b"evilgate.example": 403,
    b"sub.gate.example": 403,
    b"gate.example:80": 403,
    b"gate.example:08443": 403,
    b"gate.example:8443 ": 200,
    b"gate.example:8443:8443": 403,
    b"gate.example:": 403,
    b"gate.example@evil.example": 403,
    b"evil.example@gate.example": 403,
    b"gate.example/": 403,
    b"gate.example#evil.example": 403,
    b"gate.example, evil.example": 403,
    b"evil.example gate.example": 403,
    b"http://gate.example": 403,
    b"127.0.0.1": 403,
    b"127.1:7070": 403,
    b"2130706433:7070": 403,
    b"0x7f000001:7070": 403,
    b"127.0.0.1.nip.io:7070": 403,
    b"localhost:7070": 403,
    b"[::ffff:127.0.0.1]:7070": 403,
    b"0.0.0.0:7070": 403,
    b"gate.ex\xc3\xa4mple": 403,
}
ORIGINS = {
    b"https://app.example": 200,
    b"https://APP.example": 403,
    b"http://app.example": 403,
    b"https://app.example:443": 403,
    b"https://app.example/": 403,
    b"https://app.example.evil.example": 403,
    b"https://evil.example": 403,
    b"https://app.example, https://evil.example": 403,
    b"https://app.example https://evil.example": 403,
    b"null": 403,
    b"": 403,
    b"*": 403,
    b"file://": 403,
    b"app.example": 403,
    b"https://gate.example": 403,
}


async def _status(head: bytes) -> int:
    async with serving(guard=GUARD) as server:
        return int((await exchange(server.port, head + b"Connection: close\r\n\r\n"))[9:12])


@pytest.mark.parametrize(("host", "status"), HOSTS.items(), ids=[repr(host) for host in HOSTS])
@on_both_loops
async def test_only_a_named_host_is_served(host: bytes, status: int) -> None:
    assert await _status(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n") == status


@pytest.mark.parametrize(("origin", "status"), ORIGINS.items(), ids=[repr(origin) for origin in ORIGINS])
@on_both_loops
async def test_only_a_named_origin_is_served(origin: bytes, status: int) -> None:
    assert await _status(b"GET / HTTP/1.1\r\nHost: gate.example\r\nOrigin: " + origin + b"\r\n") == status


def test_a_guard_without_hosts_is_refused() -> None:
    with pytest.raises(ValueError, match="hosts"):
        Guard([])
