"""The way of a user through his browser and back to this process: a page is opened, and one answer is waited for.

It is waited for on 127.0.0.1, by a server that answers once: what does not carry the state of this very login is none of its
business. Spec: RFC 8252 §7.3, §8.3; docs/2026-07-28/tutorials/security/security_best_practices.mdx (URL handling).
"""

import asyncio
import socket
import sys
import webbrowser
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

from ..auth.credentials import LoginFailed
from ..auth.dance import endpoint
from ..transports.http_parse import encode_headers
from ..transports.http_server import Guard, Limits, Reply, Request, serve

__all__ = ["Loopback", "Show", "show_in_browser"]

Show = Callable[[str], object]
"""Shows the page at a URL to the user. Must not wait for him."""

_PATH = b"/callback"
_LIMITS = Limits(max_header_bytes=24 * 1024, max_body_bytes=1024, max_connections=16)
_AS_PAGE = encode_headers(
    [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"referrer-policy", b"no-referrer"),
    ]
)
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Douane</title>'
    "<main><h1>{heading}</h1><p>{text}</p></main></html>"
)
_DONE = _PAGE.format(heading="That is all", text="You can close this page and go back to the program.").encode()
_FOREIGN = _PAGE.format(heading="Nothing to do", text="This page belongs to no login that is under way.").encode()


def show_in_browser(url: str) -> None:
    """Tell the URL on standard error, and open it where there is a browser. Raises LoginFailed for what is no web page."""
    # `webbrowser` hands what it is given to a program: nothing but a URL of the web may get there.
    endpoint(url, "authorization server: its login page")
    print(f"log in at {url}", file=sys.stderr)
    webbrowser.open(url)


class Loopback:
    """Where the user comes back to. Made by `Loopback.listening`."""

    def __init__(self, port: int) -> None:
        self.redirect_uri = f"http://127.0.0.1:{port}{_PATH.decode()}"
        self._awaited: tuple[str, asyncio.Future[str]] | None = None

    @classmethod
    @asynccontextmanager
    async def listening(cls, port: int = 0) -> AsyncGenerator["Loopback"]:
        """`port`: the one to have if it is free; 0 for any. Raises LoginFailed."""
        try:
            bound = _bound(port)
        except OSError as exc:
            raise LoginFailed(f"client: nothing can be listened to on 127.0.0.1: {exc.strerror}") from exc
        port = int(bound.getsockname()[1])
        back = cls(port)
        server = await serve(back, guard=Guard.loopback(port), sock=bound, limits=_LIMITS)
        try:
            yield back
        finally:
            await server.aclose(1.0)

    async def visit(self, url: str, state: str, show: Show) -> str:
        """Show `url`; what its login came back with."""
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._awaited = (state, answered)
        try:
            # Some browsers are waited for until they end.
            showing = asyncio.ensure_future(asyncio.to_thread(show, url))
            showing.add_done_callback(lambda task: task.cancelled() or task.exception())
            done, _ = await asyncio.wait({showing, answered}, return_when=asyncio.FIRST_COMPLETED)
            if answered not in done:
                # Its faults are the login's.
                showing.result()
            return await answered
        finally:
            self._awaited = None

    def __call__(self, request: Request, reply: Reply) -> None:
        query = request.query.decode("latin-1")
        if request.method != b"GET" or request.path != _PATH or not self._take(query):
            reply.send(404, _AS_PAGE, _FOREIGN)
            return
        reply.send(200, _AS_PAGE, _DONE)

    def _take(self, query: str) -> bool:
        """Whether it is the answer that is waited for, which is then here."""
        if self._awaited is None:
            return False
        state, answered = self._awaited
        try:
            states = [value for name, value in parse_qsl(query, max_num_fields=32) if name == "state"]
        except ValueError:
            return False
        if states != [state] or answered.done():
            return False
        answered.set_result(query)
        return True


def _bound(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        if port == 0:
            raise
        return socket.create_server(("127.0.0.1", 0))
