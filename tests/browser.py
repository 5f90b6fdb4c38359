"""A browser as far as pages without scripts need one: cookies, redirects followed one by one, forms filled in and sent."""

import re
from html import unescape
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from gateway_clients import Answer, wire_to

_INPUT = re.compile(r"<(?:input|button)[^>]*>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


class Seen(NamedTuple):
    """A page."""

    url: str
    answer: Answer

    @property
    def text(self) -> str:
        return unescape(self.answer.body.decode())

    @property
    def action(self) -> str:
        found = re.search(r'action="([^"]*)"', self.answer.body.decode())
        assert found is not None, self.text
        return unescape(found[1])

    @property
    def hidden(self) -> dict[str, str]:
        inputs = (dict(_ATTRIBUTE.findall(one)) for one in _INPUT.findall(self.answer.body.decode()))
        return {one["name"]: unescape(one["value"]) for one in inputs if one.get("type") == "hidden"}


class Form(NamedTuple):
    action: str
    hidden: dict[str, str]


def forms(seen: Seen) -> list[Form]:
    """The forms of a page, in their order."""
    found = re.findall(r"<form.*?</form>", seen.answer.body.decode(), re.DOTALL)
    parts = [Seen(seen.url, Answer(200, {}, one.encode())) for one in found]
    return [Form(part.action, part.hidden) for part in parts]


class Browser:
    """One profile: it sends each server the cookies that it was given by it."""

    def __init__(self) -> None:
        self._cookies: dict[str, dict[str, str]] = {}

    async def get(self, url: str, *, follow: bool = True) -> Seen:
        """What is shown in the end; with `follow` false, the first answer."""
        return await self._ask("GET", url, {}, b"", follow)

    async def send(self, seen: Seen, *, follow: bool = True, **fields: str) -> Seen:
        """The form of a page, filled in."""
        return await self.post(seen, seen.action, follow=follow, **(seen.hidden | fields))

    async def post(self, seen: Seen, action: str, *, follow: bool = True, **fields: str) -> Seen:
        """One of the forms of a page."""
        body, url = urlencode(fields).encode(), urljoin(seen.url, action)
        headers = {"content-type": "application/x-www-form-urlencoded", "origin": _origin(seen.url)}
        return await self._ask("POST", url, headers, body, follow)

    async def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes, follow: bool) -> Seen:
        for _ in range(10):
            parts = urlsplit(url)
            cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.get(parts.netloc, {}).items())
            sent = headers | ({"cookie": cookies} if cookies else {})
            async with wire_to(parts.port or 80) as wire:
                await wire.send(method, sent, body, f"{parts.path}?{parts.query}" if parts.query else parts.path)
                answer = await wire.answer()
            if "set-cookie" in answer.headers:
                name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
                self._cookies.setdefault(parts.netloc, {})[name] = value
            if not follow or answer.status not in (302, 303):
                return Seen(url, answer)
            method, url, headers, body = "GET", urljoin(url, answer.headers["location"]), {}, b""
        raise AssertionError("it is sent on without an end")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
