"""Tokens that clients give back, and tokens that a resource server asks about. Spec: RFC 7009, RFC 7662."""

from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from ..exchange import HttpRequest, HttpResponse
from .access import grant_of
from .answers import error, json_answer, not_the_client
from .assertions import key_set
from .client import NotTheClient
from .clients import Clients
from .grants import Grant, Grants, Refused
from .keys import ALG, SigningKeys
from .parameters import Malformed, form_of
from .settings import Settings

__all__ = ["Inspection"]


class Inspection:
    def __init__(
        self,
        clients: Clients,
        grants: Grants,
        keys: Callable[[], SigningKeys],
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        """`clock`: Unix seconds."""
        self._clients, self._grants, self._keys = clients, grants, keys
        self._settings, self._clock = settings, clock

    async def revoke(self, request: HttpRequest) -> HttpResponse:
        """Ends all that came of the consent a token stands for. Raises StoreFailed."""
        try:
            form = form_of(request)
            client = await self._clients.authenticate(request, form)
        except Malformed as exc:
            return error(400, "invalid_request", str(exc))
        except NotTheClient as exc:
            return not_the_client(exc)
        if "token" not in form:
            return error(400, "invalid_request", "token is missing")
        grant = await self._behind(form["token"])
        if grant is not None and grant.client == client.id:
            await self._grants.revoke(grant.id)
        # The same for one that is not known. Spec: RFC 7009 §2.2.
        return json_answer(200, {})

    async def introspect(self, request: HttpRequest) -> HttpResponse:
        """For clients with a secret only: who has none would learn what a stolen token is good for. Raises StoreFailed."""
        try:
            form = form_of(request)
            client = await self._clients.authenticate(request, form)
        except Malformed as exc:
            return error(400, "invalid_request", str(exc))
        except NotTheClient as exc:
            return not_the_client(exc)
        if client.known != "configured" or client.authenticates == "none":
            return error(403, "access_denied", "only configured clients with a secret may ask about tokens")
        return json_answer(200, await self._about(form.get("token", "")))

    async def _about(self, token: str) -> dict[str, Any]:
        claims = self._claims(token)
        if claims is not None:
            grant = await self._grants.get(grant_of(str(claims.get("jti"))))
            return {"active": False} if grant is None else {"active": True, "token_type": "Bearer", **claims}
        grant = await self._grants.counting(token)
        if grant is None:
            return {"active": False}
        about = {"active": True, "client_id": grant.client, "sub": grant.subject.name, "iss": self._settings.issuer}
        return {**about, "scope": " ".join(grant.scopes), "aud": grant.resource}

    async def _behind(self, token: str) -> Grant | None:
        claims = self._claims(token)
        if claims is not None:
            return await self._grants.get(grant_of(str(claims.get("jti"))))
        try:
            return await self._grants.peek(token)
        except Refused:
            return None

    def _claims(self, token: str) -> dict[str, Any] | None:
        """Of an access token of ours that has not expired."""
        try:
            read = jwt.decode(token, key_set(self._keys().jwks), algorithms=[ALG])
            jwt.JWTClaimsRegistry(now=int(self._clock()), leeway=0, exp={"essential": True}).validate(read.claims)
        except (JoseError, ValueError):
            return None
        return dict(read.claims) if read.claims.get("iss") == self._settings.issuer else None
