"""What a connection may ask of the server: which hosts and origins it may name, and how much, how slowly.

A browser that was led to this address by DNS rebinding still sends the foreign name as Host, and a page of another
site still sends its Origin: both are compared exactly, so that no prefix or suffix trick passes.

Spec: specification/2026-07-28/basic/transports/streamable-http.mdx (security: Origin must be validated); RFC 9112 §3.2.
"""

from collections.abc import Iterable

import msgspec

from .http_parse import Malformed, Request

__all__ = ["Guard", "Limits"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one server holds and how long it waits. nginx's defaults where it has one."""

    max_header_bytes: int = 32 * 1024
    max_headers: int = 100
    max_body_bytes: int = 4 * 1024 * 1024
    """The same as the largest frame (wire.json.Limits)."""
    header_timeout_s: float = 10.0
    """From the first byte of a request, or from the opening of the connection, to the end of the head."""
    body_floor_bytes_s: float = 1024.0
    """A body must arrive this fast, after a grace of `header_timeout_s`."""
    idle_timeout_s: float = 75.0
    """For a connection between requests, and for a peer that reads nothing of its answer."""
    max_connections: int = 10_000
    max_buffered_bytes: int = 1024 * 1024
    """What may wait unsent on one stream before its connection is closed."""


class Guard:
    """The names this server answers to. Hosts are compared without case, origins as they are; nothing is a pattern.

    `hosts` holds `host:port` or, where clients leave the port out, `host`. A request without Origin comes from no
    browser page and passes; one with an Origin that is not in `origins` does not.
    """

    __slots__ = ("_hosts", "_origins")

    def __init__(self, hosts: Iterable[bytes], origins: Iterable[bytes] = ()) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)
        if not self._hosts:
            raise ValueError("a guard without hosts would refuse every request; name the hosts clients will use")

    @classmethod
    def loopback(cls, port: int) -> "Guard":
        """For a server on this machine only: the three loopback names with `port`, no browser origin."""
        return cls([b"127.0.0.1:%d" % port, b"localhost:%d" % port, b"[::1]:%d" % port])

    def check(self, request: Request) -> None:
        """Raises Malformed (400 or 403) unless the request names this server, and comes from an allowed origin."""
        headers = request.headers
        host = headers.get(b"host")
        if host is None:
            raise Malformed("exactly one Host header is needed")
        # The exact spelling first: nearly every request has it, and lower() makes a copy.
        if host not in self._hosts and host.lower() not in self._hosts:
            raise Malformed("this Host is not served here; add it to the allowed hosts of this listener", 403)
        origin = headers.get(b"origin")
        if origin is not None and origin not in self._origins:
            raise Malformed("this Origin is not allowed here; add it to the allowed origins of this listener", 403)
