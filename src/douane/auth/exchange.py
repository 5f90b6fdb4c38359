"""One HTTP request and its answer as values, for everything here that speaks HTTP and does none of it.

What asks (discovery, login, introspection) hands a `HttpRequest` out and is given the `HttpResponse`; what is asked (metadata,
the authorization server) is given one and hands the other out. Who carries them decides where a request may go.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

__all__ = ["Fetch", "HttpRequest", "HttpResponse", "Page"]

_NO_HEADERS: Mapping[str, str] = {}


class HttpRequest(msgspec.Struct, frozen=True):
    method: str
    url: str
    """Absolute when it is to be sent; what was asked for, `/path?query`, when it was received."""
    headers: Mapping[str, str] = _NO_HEADERS
    """Names in lower case."""
    body: bytes = b""
    address: str = ""
    """The peer's, when it was received."""


class HttpResponse(msgspec.Struct, frozen=True):
    status: int
    headers: Sequence[tuple[str, str]] = ()
    """Names in lower case, in the order of the wire."""
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first of that name, which is given in lower case."""
        return next((value for each, value in self.headers if each == name), None)


Fetch = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""Sends one. Follows no redirect. Raises OSError or TimeoutError, with the reason, when there is no answer."""
Page = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""Answers one."""
