"""Single requests of `auth`, carried by our client: where each may go is the reach of that client."""

import asyncio

from ..auth.exchange import Fetch, HttpRequest, HttpResponse
from ..transports.http_client import HttpClient, Origin
from ..transports.http_connection import HttpError, HttpTimeout

__all__ = ["fetching"]

_WITHIN_S = 10.0


def fetching(client: HttpClient, *, within_s: float = _WITHIN_S) -> Fetch:
    """A `Fetch` that takes no longer than that. What an answer may weigh is for the client's limits to say."""

    async def fetch(request: HttpRequest) -> HttpResponse:
        try:
            origin, target = Origin.parse(request.url)
        except ValueError as exc:
            raise OSError(f"{exc}") from None
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
        deadline_s = asyncio.get_running_loop().time() + within_s
        try:
            answer = await client.request(request.method, origin, target, headers, request.body, deadline=deadline_s)
        except HttpTimeout as exc:
            raise TimeoutError(f"{exc}") from None
        except HttpError as exc:
            raise OSError(f"{exc}") from None
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers.items()]
        return HttpResponse(answer.status, pairs, answer.body)

    return fetch
