"""Small documents of anybody's: fetched without following redirects, bounded in size and time, within one reach."""

import asyncio

from ..auth.exchange import Fetch, HttpRequest, HttpResponse
from ..transports.http_client import HttpClient, HttpError, HttpTimeout, Limits, Origin

__all__ = ["FETCHED", "fetching"]

FETCHED = Limits(max_body_bytes=256 * 1024)
"""For the client that fetches: metadata and tokens are small, whoever wrote them."""
_WITHIN_S = 20.0


def fetching(http: HttpClient, *, within_s: float = _WITHIN_S) -> Fetch:
    """A `Fetch` that takes no longer than that. How large an answer may be, and where it may come from, says `http`."""

    async def fetch(request: HttpRequest) -> HttpResponse:
        try:
            origin, target = Origin.parse(request.url)
        except ValueError as exc:
            raise OSError(str(exc)) from exc
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in request.headers.items()]
        deadline_s = asyncio.get_running_loop().time() + within_s
        try:
            response = await http.request(request.method, origin, target, headers, request.body, deadline=deadline_s)
        except HttpTimeout as exc:
            raise TimeoutError(str(exc)) from exc
        except HttpError as exc:
            raise OSError(str(exc)) from exc
        said = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.items()]
        return HttpResponse(response.status, said, response.body)

    return fetch
