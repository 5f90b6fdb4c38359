"""The authorization endpoint, and the page on which a person agrees.

Spec: OAuth 2.1 §4.1; docs/tutorials/security/security_best_practices.mdx (confused deputy: consent for each client).
"""

import secrets
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from ..exchange import HttpRequest, HttpResponse
from .asked import Asked, SentBack, Unanswerable, back, read, redirect_of
from .browser import Browser, Browsers, FormRefused
from .client import Client, NotUsable
from .clients import Clients
from .consents import Consents
from .grants import Grant, Grants
from .login import Login
from .look import Look
from .parameters import Malformed, form_of, query_of
from .redirects import host_of, is_loopback
from .registrations import Registrations
from .settings import Settings
from .subject import Subject

__all__ = ["Authorization", "grant_for"]

_PURPOSE = "consent"
_AGAIN = "Close this page, go back to the program you came from, and connect again from there."
_LOG_IN = frozenset({"login", "select_account"})
_TITLE = "This request cannot be answered"


class Authorization:
    def __init__(
        self,
        *,
        clients: Clients,
        registrations: Registrations,
        grants: Grants,
        consents: Consents,
        browsers: Browsers,
        login: Login,
        look: Look,
        settings: Settings,
        clock: Callable[[], float],
        refused: Callable[[str, HttpRequest], None],
    ) -> None:
        """`clock`: Unix seconds. `refused`: told of what looks like a try at somebody else's codes."""
        self._clients, self._registrations, self._grants = clients, registrations, grants
        self._consents, self._browsers, self._login, self._look = consents, browsers, login, look
        self._settings, self._clock, self._refused = settings, clock, refused

    async def page(self, request: HttpRequest) -> HttpResponse:
        """GET: log in, agree, go back with a code. Raises StoreFailed."""
        try:
            query = query_of(request)
            client = await self._clients.find(query.get("client_id", ""))
            redirect_uri = redirect_of(query, client)
        except (Malformed, NotUsable, Unanswerable) as exc:
            self._refused(str(exc), request)
            return self._look.refused(400, _TITLE, str(exc), _AGAIN)
        try:
            asked = read(query, client, self._settings)
            return await self._go_on(request, asked, query)
        except SentBack as exc:
            answer = {"error": exc.code, "error_description": str(exc)}
            return back(redirect_uri, query.get("state"), self._settings, answer)

    async def consent(self, request: HttpRequest) -> HttpResponse:
        """POST: what a person has decided. Raises StoreFailed."""
        browser = await self._browsers.of(request)
        try:
            form = form_of(request)
            content = await self._browsers.returned(browser, _PURPOSE, form.get("form"))
        except (Malformed, FormRefused) as exc:
            self._refused(str(exc), request)
            return self._look.refused(400, "This form does not count", str(exc), _AGAIN)
        # Sealed by us after it had been looked at; the client may be gone since, or answer elsewhere.
        query = query_of(HttpRequest("GET", f"/?{content}"))
        try:
            client = await self._clients.find(query["client_id"])
            redirect_uri = redirect_of(query, client)
        except (NotUsable, Unanswerable) as exc:
            return self._look.refused(400, _TITLE, str(exc), _AGAIN)
        if form.get("decision") != "allow" or browser.subject is None:
            answer = {"error": "access_denied", "error_description": "the person at the browser has refused"}
            return back(redirect_uri, query.get("state"), self._settings, answer)
        try:
            asked = read(query, client, self._settings)
        except SentBack as exc:
            # What was good when the page was shown: the operator has changed the scopes, or the endpoints.
            answer = {"error": exc.code, "error_description": str(exc)}
            return back(redirect_uri, query.get("state"), self._settings, answer)
        await self._consents.remember(browser.subject, asked)
        await self._registrations.keep(client.id)
        return await self._code(browser.subject, asked)

    async def _go_on(self, request: HttpRequest, asked: Asked, query: Mapping[str, str]) -> HttpResponse:
        browser = await self._browsers.of(request)
        if "none" in asked.prompts:
            return await self._silently(browser, asked)
        if browser.subject is None or asked.prompts & _LOG_IN:
            # Asked for once: after that he has logged in. He is still asked whether he agrees.
            rest = {name: value for name, value in query.items() if name != "prompt"}
            if "consent" in asked.prompts:
                rest["prompt"] = "consent"
            return self._login.ask(browser, f"/oauth/authorize?{urlencode(rest)}", asked.client)
        if "consent" not in asked.prompts and await self._is_agreed(browser.subject, asked):
            return await self._code(browser.subject, asked)
        return await self._ask(browser, browser.subject, asked, query)

    async def _silently(self, browser: Browser, asked: Asked) -> HttpResponse:
        if browser.subject is None:
            raise SentBack("login_required", "nobody has logged in in this browser")
        if not await self._is_agreed(browser.subject, asked):
            raise SentBack("consent_required", "a person has to agree first")
        return await self._code(browser.subject, asked)

    async def _is_agreed(self, subject: Subject, asked: Asked) -> bool:
        # Any program of this machine can listen there, so that a person sees each of them. Spec: RFC 8252 §8.6.
        return not is_loopback(asked.redirect_uri) and await self._consents.covers(subject, asked)

    async def _ask(self, browser: Browser, subject: Subject, asked: Asked, query: Mapping[str, str]) -> HttpResponse:
        return self._look.page(
            200,
            "consent",
            leads_to=_leads_to(asked.redirect_uri),
            cookie=browser.set_cookie,
            client=asked.client,
            subject=subject.name,
            scopes=[(name, self._settings.scopes[name]) for name in asked.scopes],
            resource=asked.resource,
            host=host_of(asked.redirect_uri),
            redirect_uri=asked.redirect_uri,
            loopback=is_loopback(asked.redirect_uri),
            before=await self._consents.covers(subject, asked),
            form=self._browsers.form(browser, _PURPOSE, urlencode(query)),
            leave=self._login.leave_form(browser, f"/oauth/authorize?{urlencode(query)}"),
        )

    async def _code(self, subject: Subject, asked: Asked) -> HttpResponse:
        grant = grant_for(subject, asked.client, asked.scopes, asked.resource, self._clock())
        await self._grants.give(grant)
        code = await self._grants.code_for(grant, asked.redirect_uri, asked.challenge)
        return back(asked.redirect_uri, asked.state, self._settings, {"code": code})


def grant_for(subject: Subject, client: Client, scopes: tuple[str, ...], resource: str, now_s: float) -> Grant:
    """One that was agreed to just now."""
    return Grant(
        id=secrets.token_urlsafe(16),
        subject=subject,
        client=client.id,
        client_name=client.name,
        scopes=scopes,
        resource=resource,
        created_s=now_s,
        used_s=now_s,
        refreshes=client.refreshes,
    )


def _leads_to(redirect_uri: str) -> str:
    # Browsers hold a form to this through all redirects that follow, and clients redirect on among themselves.
    if not is_loopback(redirect_uri):
        return "https:"
    host = host_of(redirect_uri).rpartition(":")[0] or host_of(redirect_uri)
    return "http:" if "[" in host else "http://127.0.0.1:* http://localhost:*"
