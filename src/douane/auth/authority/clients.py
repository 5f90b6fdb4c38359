"""Which clients are known, and whether one that asks for tokens is the one it says.

Configured ones first, then the document at an https id, then those that registered themselves. Spec: RFC 6749 §2.3, §3.2.1.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import unquote_plus

from ..exchange import HttpRequest
from .assertions import Assertions
from .client import Client, NotTheClient, NotUsable
from .registrations import Registrations
from .stored import digest

__all__ = ["Clients", "Documents"]


class Documents(Protocol):
    """Clients whose id is the address of their metadata."""

    async def client_at(self, url: str) -> Client:
        """Raises NotUsable."""
        ...


class Clients:
    def __init__(
        self,
        configured: Iterable[Client],
        registrations: Registrations,
        documents: Documents | None,
        assertions: Assertions,
    ) -> None:
        self._configured = {client.id: client for client in configured}
        self._registrations, self._documents, self._assertions = registrations, documents, assertions

    @property
    def reads_documents(self) -> bool:
        return self._documents is not None

    async def find(self, id_: str) -> Client:
        """Raises NotUsable, StoreFailed."""
        client = self._configured.get(id_)
        if client is not None:
            return client
        if id_.startswith("https://") and self._documents is not None:
            return await self._documents.client_at(id_)
        client = await self._registrations.find(id_)
        if client is None:
            raise NotUsable("this client is not known here; it may have to register again")
        return client

    async def authenticate(self, request: HttpRequest, form: Mapping[str, str]) -> Client:
        """Who posts to the token endpoint. Raises NotTheClient, StoreFailed."""
        header = request.headers.get("authorization")
        if header is not None:
            return await self._by_header(header, form)
        if "client_assertion" in form or "client_assertion_type" in form:
            return await self._by_assertion(form)
        client = await self._named(form.get("client_id", ""))
        secret = form.get("client_secret")
        way = "none" if secret is None else "client_secret_post"
        if client.authenticates != way or (secret is not None and not _is_its(client, secret)):
            raise NotTheClient("the client must authenticate as it is registered")
        return client

    async def _by_header(self, header: str, form: Mapping[str, str]) -> Client:
        id_, secret = _basic(header)
        if form.get("client_id", id_) != id_ or "client_secret" in form or "client_assertion" in form:
            raise NotTheClient("the client authenticates in two ways at once", basic=True)
        client = await self._named(id_, basic=True)
        if client.authenticates != "client_secret_basic" or not _is_its(client, secret):
            raise NotTheClient("the client must authenticate as it is registered", basic=True)
        return client

    async def _by_assertion(self, form: Mapping[str, str]) -> Client:
        if "client_secret" in form:
            raise NotTheClient("the client authenticates in two ways at once")
        id_ = self._assertions.claimed(form)
        if form.get("client_id", id_) != id_:
            raise NotTheClient("the assertion is about another client")
        client = await self._named(id_)
        fault = await self._assertions.fault(form["client_assertion"], client)
        if fault is not None:
            raise NotTheClient(fault)
        return client

    async def _named(self, id_: str, *, basic: bool = False) -> Client:
        try:
            return await self.find(id_)
        except NotUsable as exc:
            raise NotTheClient(str(exc), basic=basic, passes=exc.passes) from None


def _is_its(client: Client, secret: str) -> bool:
    return hmac.compare_digest(client.secret_digest, digest(secret))


def _basic(header: str) -> tuple[str, str]:
    scheme, _, credentials = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise NotTheClient("clients authenticate by Basic here", basic=True)
        id_, _, secret = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise NotTheClient("the Authorization header is malformed", basic=True) from None
    # Spec: RFC 6749 §2.3.1, both are form-encoded before they are joined.
    return unquote_plus(id_), unquote_plus(secret)
