"""Who sits at the browser: somebody who has shown the credential that he calls with, and whom a cookie knows for a while.

That is what binds a grant to him: a link alone binds nobody's account to anybody.
Spec: docs/tutorials/security/security_best_practices.mdx; RFC 6265bis §4.1.3 (cookie prefixes).
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import parse_qsl

import msgspec

from ..exchange import HttpRequest, HttpResponse
from ..grants import Owner
from ..seal import Broken, Seal
from .html import alert, button, form, hidden, page, paragraph, secret_field

__all__ = ["ByCredential", "Knows", "Persons", "Visitor", "Visitors", "form_of", "refusal"]

Knows = Callable[[str, str], Awaitable[Owner | str]]
"""Whose a credential is that came from an address; or why it is nobody's, for him to read. Counts failures by address."""

_PURPOSE = "connect visitor"
_MAX_FORM = 16 * 1024
_ELSEWHERE = "This form was shown in another browser, or is too old."


class Visitor(msgspec.Struct, frozen=True):
    browser: str
    """One of its own for each browser, and another when somebody has shown who he is."""
    owner: Owner | None = None
    set_cookie: str | None = None


class Persons(Protocol):
    """People who log in by name, where the gateway has an authorization server of its own."""

    async def owner(self, request: HttpRequest) -> Owner | None:
        """Who has, at this browser. Raises StoreFailed."""
        ...

    async def ask(self, request: HttpRequest, onward: str) -> HttpResponse:
        """The page on which one does, and then goes on to `onward`. Raises StoreFailed."""
        ...


class Visitors(Protocol):
    async def of(self, request: HttpRequest) -> Visitor: ...

    def ask(self, visitor: Visitor, onward: str, fault: str = "", status: int = 200) -> HttpResponse:
        """Asks him who he is; then he goes on to `onward`, a path of ours."""
        ...


class _Cookie(msgspec.Struct, frozen=True, array_like=True):
    browser: str
    owner: Owner | None
    until_s: float


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Cookie).decode


class ByCredential:
    """Visitors who show the token or key that they call the gateway with, or log in by name."""

    def __init__(
        self,
        knows: Knows,
        seal: Seal,
        now: Callable[[], float],
        *,
        at: str,
        secure: Callable[[], bool],
        known_s: float,
        persons: Persons | None = None,
    ) -> None:
        """`at`: the path of its own pages, and of the cookie. `secure`: browsers come by https. `known_s`: for how long he
        is not asked again. `persons`: who can log in by name instead."""
        self._persons = persons
        self._knows, self._seal, self._now, self._at, self._secure = knows, seal, now, at, secure
        self._known_s = known_s

    async def of(self, request: HttpRequest) -> Visitor:
        """Raises StoreFailed."""
        visitor = self._told(request)
        if visitor.owner is not None or self._persons is None:
            return visitor
        return msgspec.structs.replace(visitor, owner=await self._persons.owner(request))

    def _told(self, request: HttpRequest) -> Visitor:
        """By his cookie of ours."""
        pairs = (pair.strip().partition("=") for pair in request.headers.get("cookie", "").split(";"))
        values = [value for name, _, value in pairs if name == self._name]
        # Two of one name: somebody else could have set one of them.
        if len(values) == 1:
            try:
                cookie = _unpack(self._seal.open(_PURPOSE, values[0]))
            except (Broken, msgspec.MsgspecError):
                return self._new(None)
            if cookie.until_s > self._now():
                return Visitor(cookie.browser, cookie.owner)
        return self._new(None)

    def ask(self, visitor: Visitor, onward: str, fault: str = "", status: int = 200) -> HttpResponse:
        token = self._seal.close(f"{_PURPOSE} {visitor.browser}", onward.encode())
        return page(
            status,
            "Who are you?",
            *([alert(fault)] if fault else []),
            *([self._by_name(token)] if self._persons is not None else []),
            paragraph(
                "Show the token or key that your program calls this gateway with. It is sent to the gateway alone,"
                " and is not kept."
            ),
            form(
                f"{self._at}/enter",
                secret_field("credential", "Token or key"),
                hidden("form", token),
                button("go", "on", "Go on"),
            ),
            cookie=visitor.set_cookie,
        )

    async def enter(self, request: HttpRequest) -> HttpResponse:
        """POST: the page of `ask`, filled in."""
        visitor, said = await self.of(request), form_of(request)
        onward = self._onward(visitor, said)
        if onward is None:
            return refusal(403, _ELSEWHERE)
        owner = await self._knows(said.get("credential", "").strip(), request.address)
        if isinstance(owner, str):
            return self.ask(visitor, onward, owner, 403)
        known = self._new(owner)
        cookie = ("set-cookie", known.set_cookie or "")
        return HttpResponse(303, [("location", onward), ("cache-control", "no-store"), cookie])

    async def by_name(self, request: HttpRequest) -> HttpResponse:
        """POST: he wants to log in by name. Raises StoreFailed."""
        onward = self._onward(await self.of(request), form_of(request))
        if onward is None or self._persons is None:
            return refusal(403, _ELSEWHERE)
        return await self._persons.ask(request, onward)

    def _by_name(self, token: str) -> str:
        return form(f"{self._at}/name", hidden("form", token), button("go", "name", "Log in by name")) + paragraph(
            "Or:"
        )

    def _onward(self, visitor: Visitor, said: Mapping[str, str]) -> str | None:
        """Where he goes on; None: the form is none of his."""
        try:
            return self._seal.open(f"{_PURPOSE} {visitor.browser}", said.get("form", "")).decode()
        except Broken:
            return None

    @property
    def _name(self) -> str:
        return "__Host-douane-connect" if self._secure() else "douane-connect"

    def _new(self, owner: Owner | None) -> Visitor:
        browser = secrets.token_urlsafe(16)
        sealed = self._seal.close(_PURPOSE, _pack(_Cookie(browser, owner, self._now() + self._known_s)))
        # Without TLS no browser takes a `__Host-` cookie.
        attributes = "Path=/; Secure" if self._secure() else f"Path={self._at}"
        return Visitor(browser, owner, f"{self._name}={sealed}; {attributes}; HttpOnly; SameSite=Lax")


def form_of(request: HttpRequest) -> dict[str, str]:
    """What a form says; nothing of one that says something twice, or is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method != "POST" or kind != "application/x-www-form-urlencoded" or len(request.body) > _MAX_FORM:
        return {}
    try:
        pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, max_num_fields=16, errors="strict")
    except ValueError:
        return {}
    said = dict(pairs)
    return said if len(said) == len(pairs) else {}


def refusal(status: int, why: str) -> HttpResponse:
    again = "Go back to the program you came from, and do there once more what led you here."
    return page(status, "Nothing was granted", paragraph(why), paragraph(again))
