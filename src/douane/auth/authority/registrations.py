"""Clients that register themselves: few at a time, and gone unless somebody logs in with them. Spec: RFC 7591.

Nobody vouches for what they say, so consent is asked for each of them and shows where it leads.
"""

import secrets
from collections.abc import Callable
from typing import Any

from ...stores.ports import Conflict, Records
from ..exchange import HttpRequest, HttpResponse
from ..tokens import source_of
from .answers import error, json_answer
from .attempts import Attempts
from .client import Client, shown_name
from .described import Described, NotDescribed, read_described
from .stored import Shelf, digest

__all__ = ["Registrations"]

_UNUSED_S = 3600.0
"""For the login that it was registered for."""
_USED_S = 180 * 86_400.0
_MAX_CLIENTS = 1000
_METHODS = ("none", "client_secret_basic", "client_secret_post")


class Registrations:
    def __init__(self, records: Records, clock: Callable[[], float], attempts: Attempts) -> None:
        """`clock`: Unix seconds. `attempts`: how many one address may make."""
        self._shelf = Shelf(records, "client", Client)
        self._clock, self._attempts = clock, attempts

    async def find(self, id_: str) -> Client | None:
        """Raises StoreFailed."""
        held = await self._shelf.get(id_)
        return None if held is None else held.value

    async def keep(self, id_: str) -> None:
        """Somebody agreed to it: it stays. Raises StoreFailed."""
        held = await self._shelf.get(id_)
        if held is None:
            return
        try:
            await self._shelf.change(held, held.value, self._clock() + _USED_S)
        except Conflict:
            return

    async def all(self) -> list[Client]:
        """Raises StoreFailed."""
        return [held.value for held in await self._shelf.all()]

    async def page(self, request: HttpRequest) -> HttpResponse:
        """The registration endpoint. Raises StoreFailed."""
        source = source_of(request.address)
        wait_s = self._attempts.wait_s(source)
        if wait_s:
            return error(
                429, "temporarily_unavailable", "too many registrations from this address", retry_after_s=wait_s
            )
        self._attempts.count(source)
        try:
            asked = read_described(request.body)
        except NotDescribed as exc:
            return error(400, exc.code, str(exc))
        if asked.token_endpoint_auth_method not in _METHODS:
            words = f"token_endpoint_auth_method must be one of {', '.join(_METHODS)}"
            return error(400, "invalid_client_metadata", words)
        if len(await self._shelf.all(most=_MAX_CLIENTS)) >= _MAX_CLIENTS:
            return error(503, "temporarily_unavailable", "too many clients are registered; they expire within an hour")
        return await self._register(asked)

    async def _register(self, asked: Described) -> HttpResponse:
        id_, method = f"client-{secrets.token_urlsafe(16)}", asked.token_endpoint_auth_method
        secret = secrets.token_urlsafe(32) if method != "none" else None
        client = Client(
            id=id_,
            name=shown_name(asked.client_name, "A client without a name"),
            redirect_uris=asked.redirect_uris,
            known="registered",
            authenticates=method,
            secret_digest="" if secret is None else digest(secret),
            refreshes=asked.refreshes,
        )
        await self._shelf.add(id_, client, self._clock() + _UNUSED_S)
        answer: dict[str, Any] = {
            "client_id": id_,
            "client_id_issued_at": int(self._clock()),
            "client_name": client.name,
            "redirect_uris": list(client.redirect_uris),
            "token_endpoint_auth_method": method,
            "grant_types": ["authorization_code", *(["refresh_token"] if client.refreshes else [])],
            "response_types": ["code"],
            "application_type": asked.application_type or "web",
        }
        if secret is not None:
            answer |= {"client_secret": secret, "client_secret_expires_at": 0}
        return json_answer(201, answer)
