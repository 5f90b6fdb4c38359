"""The token endpoint: a code, a refresh token or a device code in, an access token out.

Spec: OAuth 2.1 §3.2, §4.1.3, §4.3; RFC 7636 §4.6; RFC 8707 §2.2; RFC 8628 §3.4, §3.5.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from ..exchange import HttpRequest, HttpResponse
from .access import AccessTokens
from .answers import error, json_answer, not_the_client
from .asked import SentBack, scopes_of
from .client import Client, NotTheClient
from .clients import Clients
from .device import Devices, Pending
from .grants import Code, Grant, Grants, Refused
from .parameters import Malformed, form_of
from .settings import Settings
from .subject import Subject

__all__ = ["DEVICE_CODE", "GRANT_TYPES", "TokenEndpoint"]

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
GRANT_TYPES = ("authorization_code", "refresh_token", DEVICE_CODE)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class TokenEndpoint:
    def __init__(
        self,
        clients: Clients,
        grants: Grants,
        devices: Devices,
        access: AccessTokens,
        settings: Settings,
        current: Callable[[Subject], Awaitable[Subject | None]],
        refused: Callable[[str, HttpRequest], None],
    ) -> None:
        """`current`: who that is now; None: gone. `refused`: told of what looks like a theft, or a try at one."""
        self._clients, self._grants, self._devices = clients, grants, devices
        self._access, self._settings, self._current, self._refused = access, settings, current, refused

    async def page(self, request: HttpRequest) -> HttpResponse:
        """Raises StoreFailed."""
        try:
            form = form_of(request)
            client = await self._clients.authenticate(request, form)
            return await self._granted(form, client)
        except Malformed as exc:
            return error(400, "invalid_request", str(exc))
        except NotTheClient as exc:
            self._refused(str(exc), request)
            return not_the_client(exc)
        except Refused as exc:
            self._refused(str(exc), request)
            return error(400, "invalid_grant", str(exc))
        except Pending as exc:
            return error(400, exc.code, str(exc))
        except SentBack as exc:
            return error(400, exc.code, str(exc))

    async def _granted(self, form: Mapping[str, str], client: Client) -> HttpResponse:
        kind = form.get("grant_type")
        if kind == "authorization_code":
            grant = await self._by_code(form, client)
        elif kind == "refresh_token":
            return await self._by_refresh(form, client)
        elif kind == DEVICE_CODE:
            grant = await self._by_device(form, client)
        else:
            raise SentBack("unsupported_grant_type", f"grant_type must be one of {', '.join(GRANT_TYPES)}")
        return self._tokens(grant)

    async def _by_code(self, form: Mapping[str, str], client: Client) -> Grant:
        verifier = form.get("code_verifier", "")
        if not _VERIFIER.fullmatch(verifier):
            raise SentBack("invalid_request", "code_verifier must be 43 to 128 of A-Z a-z 0-9 - . _ ~")

        def fault(code: Code) -> str | None:
            if code.client != client.id:
                return "this code was given to another client"
            if form.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
                return "redirect_uri is not the one of the authorization request"
            if not hmac.compare_digest(_s256(verifier), code.challenge):
                return "code_verifier does not fit the challenge"
            _check_resource(form, code.resource)
            return None

        return await self._grants.spend(_needed(form, "code"), fault)

    async def _by_refresh(self, form: Mapping[str, str], client: Client) -> HttpResponse:
        token = _needed(form, "refresh_token")
        grant = await self._grants.peek(token)
        _check_resource(form, grant.resource)
        scopes = scopes_of(form["scope"], self._settings) if "scope" in form else grant.scopes
        if not frozenset(scopes) <= frozenset(grant.scopes):
            raise SentBack("invalid_scope", "a refresh gives no more scopes than were agreed to")
        subject = await self._current(grant.subject)
        if subject is None:
            await self._grants.revoke(grant.id)
            raise Refused("whoever has given this is not a user here any more")
        grant = await self._grants.refresh(token, client.id)
        return self._tokens(msgspec.structs.replace(grant, subject=subject), scopes)

    async def _by_device(self, form: Mapping[str, str], client: Client) -> Grant:
        device_code = _needed(form, "device_code")
        return await self._devices.poll(device_code, client.id, lambda resource: _check_resource(form, resource))

    def _tokens(self, grant: Grant, scopes: tuple[str, ...] | None = None) -> HttpResponse:
        given = grant if scopes is None else msgspec.structs.replace(grant, scopes=scopes)
        answer = {
            "access_token": self._access.mint(given),
            "token_type": "Bearer",
            "expires_in": int(self._settings.access_s),
            "scope": " ".join(given.scopes),
        }
        if grant.refreshes:
            answer["refresh_token"] = self._grants.refresh_token(grant)
        return json_answer(200, answer)


def _needed(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise SentBack("invalid_request", f"{name} is missing")
    return form[name]


def _check_resource(form: Mapping[str, str], resource: str) -> None:
    if form.get("resource", resource) != resource:
        raise SentBack("invalid_target", "resource is not the one that was agreed to")


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
