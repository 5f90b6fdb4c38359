"""Who sits at the browser, and whether a form that comes back is one that was shown to him.

A form is sealed, bound to the cookie of the browser it was shown in, and counts once; nothing is kept for one that never
comes back. Who logs in gets another cookie, so that nobody can be made to use one that somebody else knows.
Spec: docs/tutorials/security/security_best_practices.mdx (consent flow); RFC 6265 §4.1.3 of draft-ietf-httpbis-rfc6265bis.
"""

import secrets
from collections.abc import Callable

import msgspec

from ...stores.ports import Conflict, Records
from ..exchange import HttpRequest
from ..seal import Broken, Seal
from .settings import Settings
from .stored import Shelf, digest
from .subject import Subject

__all__ = ["Browser", "Browsers", "FormRefused", "Session"]


class FormRefused(Exception):
    """A form that was not shown to this browser, was sent before, or is too old. The text is for a person."""


class Browser(msgspec.Struct, frozen=True):
    """One that asks for a page, or sends a form."""

    key: str
    """Digest of its cookie."""
    subject: Subject | None = None
    """Who has logged in there."""
    since_s: float = 0.0
    """When, in Unix seconds."""
    set_cookie: str | None = None
    """The header of the answer, when it has to be told its cookie."""


class Session(msgspec.Struct, frozen=True):
    """Of somebody who has logged in."""

    subject: Subject
    since_s: float


class _Form(msgspec.Struct, frozen=True, array_like=True):
    browser: str
    expires_s: float
    once: str
    content: str


class Browsers:
    def __init__(self, records: Records, seal: Seal, settings: Settings, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._seal, self._settings, self._clock = seal, settings, clock
        self._sessions = Shelf(records, "session", Session)
        self._spent = Shelf(records, "form", bool)
        # Without TLS no browser takes a `__Host-` cookie; then it is for the pages of this server alone.
        self._cookie = "__Host-douane" if settings.secure else "douane-authority"
        self._attributes = "Path=/; Secure" if settings.secure else "Path=/oauth"

    async def of(self, request: HttpRequest) -> Browser:
        """Raises StoreFailed."""
        cookie = self._sent(request)
        if cookie is None:
            return self._new(None)[1]
        held = await self._sessions.get(digest(cookie))
        if held is None:
            return Browser(digest(cookie))
        return Browser(digest(cookie), held.value.subject, held.value.since_s)

    async def log_in(self, browser: Browser, subject: Subject) -> Browser:
        """Somebody showed who he is. Raises StoreFailed."""
        await self.log_out(browser)
        cookie, new = self._new(subject)
        now_s = self._clock()
        await self._sessions.add(digest(cookie), Session(subject, now_s), now_s + self._settings.session_s)
        return new

    async def log_out(self, browser: Browser) -> None:
        """Raises StoreFailed."""
        await self._sessions.remove(browser.key)

    def form(self, browser: Browser, purpose: str, content: str) -> str:
        """A token to be hidden in a form for `purpose`, with what is to be known when it comes back."""
        form = _Form(browser.key, self._clock() + self._settings.form_s, secrets.token_urlsafe(12), content)
        return self._seal.close(_sealed_for(purpose), msgspec.json.encode(form))

    async def returned(self, browser: Browser, purpose: str, token: str | None) -> str:
        """The content of a form that was shown to this browser, once. Raises FormRefused, StoreFailed."""
        try:
            form = msgspec.json.decode(self._seal.open(_sealed_for(purpose), token or ""), type=_Form)
        except (Broken, msgspec.MsgspecError):
            raise FormRefused("This form was not made here.") from None
        if form.browser != browser.key:
            raise FormRefused("This form was shown in another browser, or before somebody else logged in.")
        if form.expires_s <= self._clock():
            raise FormRefused("This form was open for too long.")
        try:
            await self._spent.add(form.once, True, form.expires_s)
        except Conflict:
            raise FormRefused("This form was sent before.") from None
        return form.content

    def _new(self, subject: Subject | None) -> tuple[str, Browser]:
        cookie = secrets.token_urlsafe(32)
        header = f"{self._cookie}={cookie}; {self._attributes}; HttpOnly; SameSite=Lax"
        return cookie, Browser(digest(cookie), subject, set_cookie=header)

    def _sent(self, request: HttpRequest) -> str | None:
        pairs = (pair.strip().partition("=") for pair in request.headers.get("cookie", "").split(";"))
        values = [value for name, _, value in pairs if name == self._cookie]
        # Two of one name: somebody else could set one of them.
        return values[0] if len(values) == 1 and values[0] else None


def _sealed_for(purpose: str) -> str:
    return f"authority form {purpose}"
