"""Pages beside the endpoints: what is asked for by path and answered as a value (`auth.exchange.Page`).

They are reached past the same guard as the endpoints, and know for themselves whom they serve. A page that fails says
nothing of why; one that takes too long is given up; no more than so many are at work at once.
"""

import asyncio
import logging
from collections.abc import Mapping

from ..auth.exchange import HttpRequest, Page
from ..transports.http_server import Endpoint, Reply, Request

__all__ = ["Pages"]

logger = logging.getLogger(__name__)

_MAX_BODY_BYTES = 64 * 1024
"""A form with a signed assertion has some 4 KiB."""
_MAX_OPEN = 64
_WITHIN_S = 30.0
"""A page may ask another server, which has ten seconds, and once more."""
_TEXT = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"))


class Pages:
    def __init__(self, pages: Mapping[str, Page], *, max_open: int = _MAX_OPEN, within_s: float = _WITHIN_S) -> None:
        """By path; one that ends in `/` serves all that lies below it."""
        self._exact = {path.encode(): page for path, page in pages.items() if not path.endswith("/")}
        below = {path.encode(): page for path, page in pages.items() if path.endswith("/")}
        # The longest first: it says more of what is meant.
        self._below = sorted(below.items(), key=lambda one: -len(one[0]))
        self._max_open, self._within_s = max_open, within_s
        self._tasks: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return bool(self._exact or self._below)

    def find(self, path: bytes) -> Endpoint | None:
        """What serves `path`, if it is one of theirs."""
        page = self._exact.get(path) or next((page for above, page in self._below if path.startswith(above)), None)
        return None if page is None else self._serving(page)

    async def aclose(self) -> None:
        """Give up what is at work."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _serving(self, page: Page) -> Endpoint:
        def serve(request: Request, reply: Reply) -> None:
            if len(self._tasks) >= self._max_open:
                reply.send(503, (*_TEXT, (b"retry-after", b"1")), b"gateway: too many pages are asked for; try again")
            elif len(request.body) > _MAX_BODY_BYTES:
                reply.send(413, _TEXT, b"client: this is more than a page takes")
            else:
                task = asyncio.get_running_loop().create_task(self._answer(page, request, reply))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                reply.gone = task.cancel

        return serve

    async def _answer(self, page: Page, request: Request, reply: Reply) -> None:
        try:
            async with asyncio.timeout(self._within_s):
                answer = await page(_as_value(request))
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
            reply.send(answer.status, headers, answer.body)
        except TimeoutError:
            self._fault(reply, 504, b"gateway: the page took too long; try again")
        except Exception:
            # The edge of the task: what went wrong is for the log.
            logger.exception("a page failed: %s", request.path[:200])
            self._fault(reply, 500, b"gateway: an internal error; it is in the gateway's log")

    def _fault(self, reply: Reply, status: int, words: bytes) -> None:
        if not reply.begun:
            reply.send(status, _TEXT, words)


def _as_value(request: Request) -> HttpRequest:
    query = b"?" + request.query if request.query else b""
    return HttpRequest(
        request.method.decode("latin-1"),
        (request.path + query).decode("latin-1"),
        {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.items()},
        request.body,
        request.client,
    )
