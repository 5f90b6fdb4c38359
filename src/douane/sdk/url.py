"""A session with the server at a URL, over whichever of the two HTTP transports it speaks.

What is posted to a server of the transport before Streamable HTTP is answered 404 or 405; a GET of the same URL then
opens its stream. Spec: specification/2025-11-25/basic/transports.mdx (backwards compatibility).
"""

import asyncio
from collections.abc import Sequence

from ..auth.credentials import Credentials
from ..protocol.call import JSON
from ..transports import http_legacy
from ..transports.http_client import HttpClient, Requests
from ..transports.link import Link
from ..wire import rpc
from .authorized import Authorized
from .connect import CannotConnect, open_line
from .http_posting import Header
from .http_session import NotTaken, open_http
from .respondent import NOBODY, Respondent
from .session import Noted, Session

__all__ = ["open_url"]


async def open_url(
    http: HttpClient,
    url: str,
    *,
    headers: Sequence[Header],
    client: JSON,
    noted: Noted,
    start_timeout_s: float = 30.0,
    max_deadline_s: float = 600.0,
    limits: rpc.Limits = rpc.json.DEFAULT_LIMITS,
    respondent: Respondent = NOBODY,
    credentials: Credentials | None = None,
) -> Session:
    """Raises CannotConnect; then nothing is left open. `credentials`: what lets its requests in, beside `headers`."""
    loop = asyncio.get_running_loop()
    requests: Requests = http if credentials is None else Authorized(http, credentials)
    deadline_s = loop.time() + start_timeout_s
    try:
        return await open_http(
            requests,
            url,
            headers=headers,
            client=client,
            noted=noted,
            start_timeout_s=start_timeout_s,
            max_deadline_s=max_deadline_s,
            limits=limits,
            respondent=respondent,
        )
    except NotTaken as exc:
        posted = exc
    if credentials is not None:
        # Somebody may have had to log in meanwhile.
        deadline_s = loop.time() + start_timeout_s

    async def stream() -> Link:
        try:
            return await http_legacy.connect(requests, url, headers=headers, deadline_s=deadline_s)
        except http_legacy.NoStream as exc:
            raise CannotConnect(f"speaks neither Streamable HTTP ({posted}) nor HTTP+SSE: {exc}") from exc

    return await open_line(
        stream,
        client=client,
        noted=noted,
        start_timeout_s=deadline_s - loop.time(),
        max_deadline_s=max_deadline_s,
        limits=limits,
        probes=False,
        respondent=respondent,
    )
