"""Requests with credentials that change: one that is refused is sent once more with others, a few times at most.

A request answered 401 or 403 was not run, so nothing is sent twice that may have been. While somebody logs in the deadline
stands still. Spec: basic/authorization/index.mdx (error handling).
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

from ..auth.challenge import demand_of
from ..auth.credentials import Challenge, Credentials, Header, LoginFailed
from ..auth.dance import plain
from ..transports.http_client import Deadline, HttpError, Origin, Requests, Response
from ..transports.http_connection import OnEvent, OnHeaders
from ..transports.http_parse import Headers, header_block

T = TypeVar("T")

__all__ = ["TURNED_AWAY", "Authorized", "TurnedAway", "refusal_said"]

TURNED_AWAY = (401, 403)
_MAX_RENEWALS = 4
"""A login, a scope more, and the nonces that both may want."""


class TurnedAway(HttpError):
    """The server does not let the request in, and did not run it."""


class Authorized:
    """In place of an `HttpClient`, for one server."""

    def __init__(self, http: Requests, credentials: Credentials) -> None:
        self._http, self._credentials = http, credentials

    async def request(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Headers,
        body: bytes = b"",
        *,
        deadline: Deadline | float,
        on_event: OnEvent | None = None,
        on_headers: OnHeaders | None = None,
        beyond: bool = False,
    ) -> Response:
        """As `HttpClient.request`. Raises TurnedAway too, when nothing can be had to be let in with."""
        url = f"{origin.scheme}://{origin.authority}{target}"
        block = header_block(headers)
        heard = None if on_headers is None else _unless_turned_away(on_headers)
        before = 0
        while True:
            own, deadline = await _stopped(self._credentials.headers(method, url), deadline)
            response = await self._http.request(
                method,
                origin,
                target,
                block.plus(*own),
                body,
                deadline=deadline,
                on_event=on_event,
                on_headers=heard,
                beyond=beyond,
            )
            if response.status not in TURNED_AWAY:
                return response
            if before == _MAX_RENEWALS:
                break
            challenge = _challenge(response, own, before)
            renewed, deadline = await _stopped(self._credentials.renew(challenge, method, url), deadline)
            if not renewed:
                break
            before += 1
        if on_headers is not None:
            on_headers(response.status, response.headers)
        return response


async def _stopped(work: Awaitable[T], deadline: Deadline | float) -> tuple[T, Deadline | float]:
    """What `work` comes to, and `deadline` as much later as it took. Raises TurnedAway."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    try:
        result = await work
    except LoginFailed as exc:
        raise TurnedAway(str(exc), "no") from exc
    took_s = loop.time() - began_s
    if isinstance(deadline, Deadline):
        deadline.at += took_s
        return result, deadline
    return result, deadline + took_s


def _unless_turned_away(on_headers: OnHeaders) -> OnHeaders:
    def heard(status: int, headers: Mapping[bytes, bytes]) -> None:
        # It may be asked once more, and then it is that answer which counts.
        if status not in TURNED_AWAY:
            on_headers(status, headers)

    return heard


def _challenge(response: Response, sent: Sequence[Header], before: int) -> Challenge:
    nonce = _text(response.headers.get(b"dpop-nonce"))
    return Challenge(response.status, _demands(response), nonce or None, sent, before)


def _demands(response: Response) -> Sequence[str]:
    said = response.headers.get(b"www-authenticate")
    return () if said is None else (_text(said),)


def refusal_said(response: Response) -> str:
    """A 401 or 403, in words for an operator."""
    demand = demand_of(_demands(response))
    params: Mapping[str, str] = {} if demand is None else demand.params
    why = ": ".join(plain(params[name]) for name in ("error", "error_description") if name in params)
    return f"refuses our credentials ({response.status}{': ' + why if why else ''})"


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("latin-1")
