"""The way out through a proxy: a tunnel, so that what crosses it is between us and the upstream alone.

By default a name is resolved and judged here, and the proxy is asked for the address: what may be reached stays this
side's rule. Where only the proxy knows names, it is asked for the name, and its rule decides.
Spec: RFC 9110 §9.3.6 (CONNECT).
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import cast

import msgspec

__all__ = ["Proxy", "Tunnel", "TunnelRefused", "basic"]

_MAX_HEAD_BYTES = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: ([^\r\n]*))?\r?\n")


class Proxy(msgspec.Struct, frozen=True):
    host: str
    port: int
    tls: bool = False
    """The way to the proxy itself is TLS, with the system's roots or those of the client."""
    authorization: bytes | None = None
    """The value of Proxy-Authorization."""
    resolves: bool = False
    """Names are the proxy's business: they are not resolved and not judged here."""
    direct: Sequence[str] = ()
    """What is reached without it: names, `*.suffix`, addresses and networks."""

    def serves(self, host: str) -> bool:
        """Whether `host` is reached through it. This machine never is."""
        try:
            ip = ip_address(host)
        except ValueError:
            return host != "localhost" and not any(_is_named(host, each) for each in self.direct)
        return not ip.is_loopback and not any(_is_in(each, host) for each in self.direct)


def basic(user: str, password: str) -> bytes:
    """Spec: RFC 7617."""
    return b"Basic " + b64encode(f"{user}:{password}".encode())


class TunnelRefused(Exception):
    """The proxy would not, or did not answer as a proxy. `temporary`: another address may be worth a try."""

    def __init__(self, message: str, *, temporary: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary


class Tunnel(asyncio.Protocol):
    """Asks for one tunnel. When `open` is done the transport is free for another protocol."""

    def __init__(self, host: str, port: int, authorization: bytes | None) -> None:
        named = f"[{host}]" if ":" in host else host
        self._ask = f"CONNECT {named}:{port} HTTP/1.1\r\nhost: {named}:{port}\r\n".encode()
        if authorization is not None:
            self._ask += b"proxy-authorization: " + authorization + b"\r\n"
        self._head = bytearray()
        self.open: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    async def wait(self) -> asyncio.Transport:
        """The transport, for another protocol; it is not read from. Raises TunnelRefused."""
        try:
            return await self.open
        except asyncio.CancelledError:
            if self._transport is not None:
                self._transport.abort()
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._ask + b"\r\n")

    def data_received(self, data: bytes) -> None:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if self.open.done() or self._transport is None:
            return
        if end < 0 and len(self._head) <= _MAX_HEAD_BYTES:
            return
        fault = self._fault(end)
        if fault is not None:
            self._refuse(fault)
        else:
            self._transport.pause_reading()
            self.open.set_result(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.open.done():
            self.open.set_exception(TunnelRefused("the proxy closed the connection"))

    def _fault(self, end: int) -> TunnelRefused | None:
        status = _STATUS.match(self._head)
        if status is None or end < 0:
            return TunnelRefused("the proxy did not answer as a proxy does")
        code = int(status[1])
        if 200 <= code < 300:
            # The upstream never speaks first: what follows here was put there by somebody else.
            return TunnelRefused("the proxy sent more than its answer") if len(self._head) > end + 4 else None
        if code == 407:
            return TunnelRefused("the proxy wants credentials, or others (407); see network.proxy_authorization")
        reason = (status[2] or b"").decode("latin-1")[:80]
        return TunnelRefused(f"the proxy refused: {code} {reason}".rstrip(), temporary=code in (502, 503, 504))

    def _refuse(self, fault: TunnelRefused) -> None:
        if self._transport is not None:
            self._transport.abort()
        self.open.set_exception(fault)


def _is_named(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _is_in(network: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
