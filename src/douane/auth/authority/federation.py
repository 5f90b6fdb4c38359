"""Logging in with an outside provider: there with the browser, and back to the page one came from.

What is remembered of it is bound to the browser that began it and counts once. Each provider is answered at an address of its
own, so that none can speak for another. Spec: RFC 9700 §2.1, §4.4 (mix-up); OpenID Connect Core 1.0 §15.5.2.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ...stores.ports import Records
from ..exchange import HttpRequest, HttpResponse, Page
from ..tokens import source_of
from .attempts import Attempts
from .browser import Browsers, FormRefused
from .login import IN, Login, onward_as
from .look import Look
from .parameters import Malformed, form_of, query_of
from .provider import NotLoggedIn, Provider
from .settings import Settings
from .stored import Shelf, digest
from .subject import Subject

__all__ = ["Federation"]

_AGAIN = "Go back to the program you came from, and connect again from there."


class _Begun(msgspec.Struct, frozen=True):
    browser: str
    provider: str
    onward: str
    nonce: str
    verifier: str


class Federation:
    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        records: Records,
        browsers: Browsers,
        login: Login,
        look: Look,
        settings: Settings,
        clock: Callable[[], float],
        attempts: Attempts,
        refused: Callable[[str, HttpRequest], None],
    ) -> None:
        """`clock`: Unix seconds. `attempts`: how many logins one address may begin."""
        self._providers = {provider.outside.name: provider for provider in providers}
        self._begun = Shelf(records, "federated", _Begun)
        self._browsers, self._login, self._look, self._settings = browsers, login, look, settings
        self._clock, self._attempts, self._refused = clock, attempts, refused

    @property
    def pages(self) -> Mapping[str, Page]:
        """What is answered to GET, by path."""
        return {_path(name): self._returned(provider) for name, provider in self._providers.items()}

    async def begin(self, request: HttpRequest) -> HttpResponse:
        """POST: the button of a provider. Raises StoreFailed."""
        browser = await self._browsers.of(request)
        try:
            form = form_of(request)
            onward = await self._browsers.returned(browser, IN, form.get("form"))
        except (Malformed, FormRefused) as exc:
            return self._stop(request, str(exc))
        provider = self._providers.get(form.get("provider", ""))
        source = source_of(request.address)
        wait_s = self._attempts.wait_s(source)
        if provider is None or wait_s:
            fault = f"Too many tries. Wait {int(wait_s) + 1} seconds." if wait_s else "There is no such provider."
            return self._login.ask(browser, onward, fault=fault, status=429 if wait_s else 400)
        self._attempts.count(source)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        try:
            page = await provider.page(self._settings.url(_path(provider.outside.name)), state, nonce, verifier)
        except NotLoggedIn as exc:
            return self._login.ask(browser, onward, fault=str(exc), status=502)
        begun = _Begun(browser.key, provider.outside.name, onward, nonce, verifier)
        await self._begun.add(digest(state), begun, self._clock() + self._settings.form_s)
        return HttpResponse(303, (("location", page), ("cache-control", "no-store")))

    def _returned(self, provider: Provider) -> Page:
        async def page(request: HttpRequest) -> HttpResponse:
            browser = await self._browsers.of(request)
            try:
                query = query_of(request)
            except Malformed as exc:
                return self._stop(request, str(exc))
            begun = await self._begun.take(digest(query.get("state", "")))
            if begun is None or begun.browser != browser.key or begun.provider != provider.outside.name:
                return self._stop(request, "This login was not begun in this browser, or has ended already.")
            try:
                subject = await self._subject(provider, query, begun)
            except NotLoggedIn as exc:
                self._refused(str(exc), request)
                return self._login.ask(browser, begun.onward, fault=str(exc), status=403)
            return onward_as(begun.onward, await self._browsers.log_in(browser, subject))

        return page

    async def _subject(self, provider: Provider, query: Mapping[str, str], begun: _Begun) -> Subject:
        outside = provider.outside
        # Also of an error. Spec: RFC 9207 §2.4.
        if query.get("iss", outside.issuer) != outside.issuer:
            raise NotLoggedIn("Another provider has answered.")
        if "error" in query or "code" not in query:
            raise NotLoggedIn(f"{outside.title} did not let you in.")
        return await provider.subject(
            query["code"], self._settings.url(_path(outside.name)), begun.nonce, begun.verifier
        )

    def _stop(self, request: HttpRequest, reason: str) -> HttpResponse:
        self._refused(reason, request)
        return self._look.refused(400, "This login does not count", reason, _AGAIN)


def _path(name: str) -> str:
    return f"/oauth/callback/{name}"
