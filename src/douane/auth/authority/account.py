"""A person's own page: which passkeys he has, one more, one less. Only soon after he has logged in."""

from collections.abc import Callable
from datetime import UTC, datetime

from ..exchange import HttpRequest, HttpResponse
from .browser import Browser, Browsers, FormRefused
from .login import Login
from .look import Look
from .parameters import Malformed, form_of
from .passkeys import NoPasskey, Passkeys
from .subject import Subject

__all__ = ["Account"]

PATH = "/oauth/account"
_ADD, _REMOVE = "passkey", "no passkey"
_FRESH_S = 600.0
"""A browser that was left open must not be a way to come back for ever."""


class Account:
    def __init__(
        self,
        passkeys: Passkeys | None,
        browsers: Browsers,
        login: Login,
        look: Look,
        clock: Callable[[], float],
        refused: Callable[[str, HttpRequest], None],
    ) -> None:
        """`passkeys`: None where no browser has any. `clock`: Unix seconds."""
        self._passkeys, self._browsers, self._login, self._look = passkeys, browsers, login, look
        self._clock, self._refused = clock, refused

    async def page(self, request: HttpRequest) -> HttpResponse:
        """GET. Raises StoreFailed."""
        browser = await self._browsers.of(request)
        if browser.subject is None or not self._is_fresh(browser):
            return self._login.ask(browser, PATH)
        return await self._show(browser, browser.subject)

    async def add(self, request: HttpRequest) -> HttpResponse:
        """POST of what the browser has made. Raises StoreFailed."""
        return await self._changed(request, _ADD)

    async def remove(self, request: HttpRequest) -> HttpResponse:
        """POST. Raises StoreFailed."""
        return await self._changed(request, _REMOVE)

    async def _changed(self, request: HttpRequest, purpose: str) -> HttpResponse:
        browser = await self._browsers.of(request)
        if browser.subject is None or not self._is_fresh(browser) or self._passkeys is None:
            return self._login.ask(browser, PATH)
        try:
            form = form_of(request)
            content = await self._browsers.returned(browser, purpose, form.get("form"))
            if purpose == _ADD:
                await self._passkeys.add(browser.subject.name, form["form"], form.get("credential", ""))
            else:
                await self._passkeys.remove(browser.subject.name, content)
        except (Malformed, FormRefused, NoPasskey) as exc:
            self._refused(str(exc), request)
            return self._look.refused(400, "Nothing was changed", str(exc), f"Begin again at {PATH}.")
        return HttpResponse(303, (("location", PATH), ("cache-control", "no-store")))

    async def _show(self, browser: Browser, subject: Subject) -> HttpResponse:
        user = subject.name
        # A passkey lets in a user of ours by his name: whom a provider calls the same must not make one for him, and no form is
        # shown that could be sent.
        if self._passkeys is None or subject.provider:
            outside = bool(subject.provider)
            return self._look.page(200, "account", subject=user, possible=False, outside=outside, passkeys=[])
        form = self._browsers.form(browser, _ADD, "")
        passkeys = [
            (_day(held.value.since_s), _day(held.value.used_s), self._browsers.form(browser, _REMOVE, held.key))
            for held in await self._passkeys.of(user)
        ]
        options = await self._passkeys.to_make(user, form)
        return self._look.page(
            200, "account", script=True, subject=user, possible=True, passkeys=passkeys, form=form, options=options
        )

    def _is_fresh(self, browser: Browser) -> bool:
        return self._clock() - browser.since_s < _FRESH_S


def _day(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d")
