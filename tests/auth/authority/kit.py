"""An authorization server in memory, a browser that does what browsers do with its answers, and a client."""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import msgspec

from douane.auth.authority.client import Client
from douane.auth.authority.keys import SigningKeys, signing_keys
from douane.auth.authority.server import Authority
from douane.auth.authority.settings import Settings
from douane.auth.authority.users import Users
from douane.auth.exchange import HttpRequest, HttpResponse
from douane.auth.seal import Seal
from douane.stores.memory import MemoryRecords

ISSUER = "https://gate.example"
RESOURCE = f"{ISSUER}/mcp"
CALLBACK = "https://app.example/callback"
OWNER_TOKEN = "dn_" + "o" * 43
PASSWORD = "correct horse battery"
CONFIGURED = Client(id="app", name="The App", redirect_uris=(CALLBACK,), known="configured", trusted=True)
SETTINGS = Settings(
    issuer=ISSUER,
    resources=(RESOURCE, f"{RESOURCE}/desk"),
    scopes={"mcp:read": "Read what servers offer", "mcp:call": "Call tools"},
    default_scopes=("mcp:read",),
)
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


class World:
    def __init__(
        self,
        folder: Path,
        *clients: Client,
        settings: Settings = SETTINGS,
        records: Callable[[Callable[[], float]], MemoryRecords] = MemoryRecords,
        seal: Seal | None = None,
        **given: Any,
    ) -> None:
        self.clock, self.settings = Clock(), settings
        self.records = records(self.clock)
        self.seal = seal or Seal()
        self.key_file = folder / "signing.json"
        self.users = Users(self.records, self.clock, self.clock, OWNER_TOKEN)
        self.refusals: list[str] = []
        self.authority = Authority(
            records=self.records,
            seal=self.seal,
            keys=self.keys,
            settings=settings,
            users=self.users,
            clients=clients or (CONFIGURED,),
            refused=lambda reason, request: self.refusals.append(reason),
            token_is_in="/home/ann/token",
            clock=self.clock,
            ticks=self.clock,
            **given,
        )

    def keys(self) -> SigningKeys:
        return signing_keys(self.key_file)

    async def send(self, request: HttpRequest) -> HttpResponse:
        return await self.authority.pages[urlsplit(request.url).path](request)

    async def post(self, path: str, *pairs: tuple[str, str], address: str = "10.0.0.9", **headers: str) -> HttpResponse:
        return await self.send(HttpRequest("POST", path, {**FORM, **headers}, urlencode(pairs).encode(), address))

    async def register(self, **metadata: Any) -> HttpResponse:
        body = msgspec.json.encode({"redirect_uris": [CALLBACK], "client_name": "Sly", **metadata})
        return await self.send(
            HttpRequest("POST", "/oauth/register", {"content-type": "application/json"}, body, "1.1.1.1")
        )


class Browser:
    """Keeps cookies, follows redirects within the server, and fills in forms as they are in the page."""

    def __init__(self, world: World, address: str = "10.0.0.1") -> None:
        self.world, self.address = world, address
        self.cookies: dict[str, str] = {}
        self.answer = HttpResponse(0)

    @property
    def text(self) -> str:
        return self.answer.body.decode()

    async def get(self, url: str) -> HttpResponse:
        return await self._follow(HttpRequest("GET", url, self._headers(), address=self.address))

    async def submit(self, action: str, **fields: str) -> HttpResponse:
        """Send the form of this page that goes to `action`."""
        return await self.submit_of(self.text, action, **fields)

    async def submit_of(self, page: str, action: str, **fields: str) -> HttpResponse:
        return await self.post(action, self.hidden(page, action) | fields)

    def hidden(self, page: str, action: str) -> dict[str, str]:
        found = re.search(rf'<form [^>]*?method="post" action="{action}"[^>]*>(.*?)</form>', page, re.S)
        assert found, page
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found[1])
        return {name: unescape(value) for name, value in hidden}

    async def post(self, action: str, fields: dict[str, str]) -> HttpResponse:
        request = HttpRequest("POST", action, self._headers() | FORM, urlencode(fields).encode(), self.address)
        return await self._follow(request)

    async def log_in(self, name: str = "owner", password: str = OWNER_TOKEN) -> HttpResponse:
        return await self.submit("/oauth/login", user=name, password=password)

    async def agree(self, url: str, name: str = "owner", password: str = OWNER_TOKEN) -> dict[str, str]:
        """From an authorization request to what the client gets."""
        await self.get(url)
        if "/oauth/login" in self.text:
            await self.log_in(name, password)
        if self.answer.status == 200:
            await self.submit("/oauth/consent", decision="allow")
        return self.landed

    @property
    def landed(self) -> dict[str, str]:
        """The parameters of the redirect out of the server."""
        assert self.answer.status == 303, (self.answer.status, self.text)
        return dict(parse_qsl(urlsplit(self.answer.header("location") or "").query))

    def _headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"cookie": cookies} if cookies else {}

    async def _follow(self, request: HttpRequest) -> HttpResponse:
        self.answer = await self.world.send(request)
        for name, value in self.answer.headers:
            if name == "set-cookie":
                cookie, _, content = value.partition(";")[0].partition("=")
                self.cookies[cookie] = content
        location = self.answer.header("location")
        if location is not None and location.startswith("/"):
            return await self.get(location)
        return self.answer


class App:
    """A client: what it asks for, and how it comes for its tokens."""

    def __init__(self, world: World, id_: str = "app", redirect_uri: str = CALLBACK) -> None:
        self.world, self.id, self.redirect_uri = world, id_, redirect_uri
        self.verifier = secrets.token_urlsafe(32)

    def url(self, **changed: str | None) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        parameters = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "resource": RESOURCE,
            "state": "xyz",
            **changed,
        }
        return "/oauth/authorize?" + urlencode({name: v for name, v in parameters.items() if v is not None})

    async def redeem(self, code: str, /, **changed: str | None) -> tuple[int, dict[str, Any]]:
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.id,
            "code_verifier": self.verifier,
            "resource": RESOURCE,
            **changed,
        }
        return await self.token(sent)

    async def refresh(self, token: str, **changed: str | None) -> tuple[int, dict[str, Any]]:
        sent = {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.id, **changed}
        return await self.token(sent)

    async def token(self, form: dict[str, str | None], **headers: str) -> tuple[int, dict[str, Any]]:
        pairs = [(name, value) for name, value in form.items() if value is not None]
        answer = await self.world.post("/oauth/token", *pairs, **headers)
        return answer.status, msgspec.json.decode(answer.body)


def absolute(path: str) -> str:
    return urljoin(ISSUER, path)
