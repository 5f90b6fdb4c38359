"""A person's browser over HTTP, as far as forms and cookies go; it shares no code with what it talks to."""

import asyncio
import http.client
import json
import re
from html import unescape
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

BOUND_S = 15.0


class Page(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


class WebBrowser:
    """At one server; it follows redirects there, and stops at one that leads away."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.cookies: dict[str, str] = {}
        self.page = Page(0, {}, "")

    async def get(self, url: str) -> Page:
        return await self._go("GET", url.removeprefix(self.base), None)

    async def submit(self, action: str, **fields: str) -> Page:
        found = re.search(rf'<form [^>]*?method="post" action="{action}"[^>]*>(.*?)</form>', self.page.text, re.S)
        assert found, (self.page.status, self.page.text)
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found[1])
        return await self._go("POST", action, {name: unescape(value) for name, value in hidden} | fields)

    async def agree(self, url: str, name: str, password: str) -> str:
        """Log in where that is asked for, and allow; where the browser is led to in the end."""
        await self.get(url)
        if "/oauth/login" in self.page.text:
            await self.submit("/oauth/login", user=name, password=password)
        if self.page.status == 200:
            await self.submit("/oauth/consent", decision="allow")
        assert self.page.status == 303, self.page
        return self.page.headers["location"]

    async def post(self, path: str, **form: str) -> Page:
        """As a program does."""
        return await asyncio.to_thread(self._send, "POST", path, form)

    async def post_json(self, path: str, body: object) -> Any:
        return json.loads((await asyncio.to_thread(self._send, "POST", path, json.dumps(body))).text)

    async def _go(self, method: str, path: str, form: dict[str, str] | None) -> Page:
        async with asyncio.timeout(BOUND_S):
            self.page = await asyncio.to_thread(self._send, method, path, form)
        location = self.page.headers.get("location", "")
        return await self.get(location) if location.startswith("/") else self.page

    def _send(self, method: str, path: str, form: dict[str, str] | str | None) -> Page:
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if isinstance(form, dict):
            headers |= {"content-type": "application/x-www-form-urlencoded", "origin": self.base}
        elif form is not None:
            headers["content-type"] = "application/json"
        connection = http.client.HTTPConnection(urlsplit(self.base).netloc, timeout=BOUND_S)
        try:
            body = urlencode(form) if isinstance(form, dict) else form
            connection.request(method, path, body, {name: value for name, value in headers.items() if value})
            answer = connection.getresponse()
            for name, value in answer.getheaders():
                if name.lower() == "set-cookie":
                    cookie, _, content = value.partition(";")[0].partition("=")
                    self.cookies[cookie] = content
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Page(answer.status, told, answer.read().decode())
        finally:
            connection.close()


def parameters(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))
