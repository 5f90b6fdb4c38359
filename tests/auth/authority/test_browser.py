"""The pages in a real browser: a person gets through them, with and without scripts, and nothing keeps anybody out."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from browsing import BOUND_MS, barriers, browsing
from counterparts.commands import free_port, listening
from playwright.async_api import CDPSession, Page

from douane.auth.authority.provider import Outside, Provider
from douane.gateway.pages import Pages
from douane.sdk.fetching import fetching
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient
from douane.transports.http_guard import Guard
from douane.transports.http_server import Reply, Request, serve

from .kit import OWNER_TOKEN, PASSWORD, SETTINGS, App, Browser, World

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("DOUANE_TEST_SHOTS")
"""A folder to keep pictures of the pages in, for who wants to look at them."""


class Site:
    """The server on a port of this machine, and a client that listens on another."""

    def __init__(self, world: World, callback: str) -> None:
        self.world, self.app = world, App(world, redirect_uri=callback)

    def url(self, **changed: str | None) -> str:
        resource = self.world.settings.resources[0]
        return self.world.settings.issuer + self.app.url(**{"resource": resource, **changed})


@asynccontextmanager
async def site(folder: Path, host: str = "127.0.0.1", **given: Any) -> AsyncIterator[Site]:
    landed = await serve(_callback, guard=_Anybody())
    callback = f"http://127.0.0.1:{landed.port}/callback"
    doors: list[Pages] = []

    def route(request: Request, reply: Reply) -> None:
        endpoint = doors[0].find(request.path) or _nothing
        endpoint(request, reply)

    guard = _Anybody()
    server = await serve(route, guard=guard)
    issuer = f"http://{host}:{server.port}"
    settings = msgspec.structs.replace(SETTINGS, issuer=issuer, resources=(f"{issuer}/mcp",))
    world = World(folder, settings=settings, **given)
    registered = await world.register(redirect_uris=[callback], client_name="The Editor")
    one = Site(world, callback)
    one.app.id = msgspec.json.decode(registered.body)["client_id"]
    doors.append(Pages(world.authority.pages))
    guard.only(issuer)
    try:
        yield one
    finally:
        await doors[0].aclose()
        await server.aclose(1.0)
        await landed.aclose(1.0)


class _Anybody(Guard):
    """Until the port is known."""

    def __init__(self) -> None:
        super().__init__([b"nobody"])
        self._guard: Guard | None = None

    def only(self, origin: str) -> None:
        self._guard = Guard([origin.removeprefix("http://").encode()], [origin.encode()])

    def check(self, request: Request) -> None:
        if self._guard is not None:
            self._guard.check(request)


def _nothing(request: Request, reply: Reply) -> None:
    reply.send(404, ())


def _callback(request: Request, reply: Reply) -> None:
    reply.send(
        200, ((b"content-type", b"text/html"),), b"<!doctype html><title>back</title><h1>Back at the program</h1>"
    )


async def look_at(page: Page, name: str) -> None:
    """It keeps nobody out, and leaves a picture where one is wanted."""
    assert await barriers(page) == []
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


async def log_in(page: Page, name: str, password: str) -> None:
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in", exact=True).click()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_a_person_logs_in_agrees_and_is_back_at_the_program(tmp_path: Path, dark: bool) -> None:
    mode = "dark" if dark else "light"
    async with site(tmp_path) as one, browsing(dark=dark) as page:
        await one.world.users.put("ann", PASSWORD)
        await page.goto(one.url(scope="mcp:read mcp:call"))
        await look_at(page, f"login-{mode}")
        await log_in(page, "ann", "wrong, and long enough")
        assert await page.get_by_role("alert").inner_text() == "There is no such name with this password."
        await look_at(page, f"login-wrong-{mode}")
        await log_in(page, "ann", PASSWORD)
        await page.get_by_role("heading", name="Let The Editor in?").wait_for()
        await look_at(page, f"consent-{mode}")
        await page.get_by_role("button", name="Allow").click()
        await page.get_by_role("heading", name="Back at the program").wait_for()
        landed = dict(parse_qsl(urlsplit(page.url).query))
        status, answer = await one.app.redeem(landed["code"], resource=None)
        assert (status, answer["scope"]) == (200, "mcp:read mcp:call")


async def test_a_device_is_let_in_by_the_code_it_shows(tmp_path: Path) -> None:
    async with site(tmp_path) as one, browsing() as page:
        asked = (("client_id", one.app.id), ("scope", "mcp:read"))
        told = msgspec.json.decode((await one.world.post("/oauth/device_authorization", *asked)).body)
        await page.goto(told["verification_uri"])
        await log_in(page, "owner", OWNER_TOKEN)
        await page.get_by_role("heading", name="Which code").wait_for()
        await look_at(page, "device")
        await page.get_by_label("Code").fill("NOPE")
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_role("alert").wait_for()
        await look_at(page, "device-wrong")
        await page.get_by_label("Code").fill(told["user_code"].lower())
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_text(told["user_code"]).wait_for()
        await look_at(page, "device-consent")
        await page.get_by_role("button", name="Allow").click()
        await page.get_by_role("heading", name="It is let in").wait_for()
        await look_at(page, "device-done")


async def test_all_of_it_works_without_scripts_and_on_a_small_screen(tmp_path: Path) -> None:
    async with site(tmp_path) as one, browsing(scripts=False, width=360) as page:
        await page.goto(one.url())
        await log_in(page, "owner", OWNER_TOKEN)
        await page.get_by_role("button", name="Log in as somebody else").click()
        await log_in(page, "owner", OWNER_TOKEN)
        if SHOTS:
            await page.screenshot(path=f"{SHOTS}/consent-small.png", full_page=True)
        await page.get_by_role("button", name="Refuse").click()
        await page.get_by_role("heading", name="Back at the program").wait_for()
        assert "error=access_denied" in page.url


async def test_what_cannot_be_answered_says_so_and_leads_nowhere(tmp_path: Path) -> None:
    async with site(tmp_path) as one, browsing() as page:
        await page.goto(one.url(redirect_uri="https://evil.example/cb"))
        await page.get_by_role("heading", name="This request cannot be answered").wait_for()
        await look_at(page, "refused")
        assert await page.get_by_role("link").count() == 0


async def test_no_other_page_can_show_ours_or_send_its_forms(tmp_path: Path) -> None:
    async with site(tmp_path) as one, browsing() as page:
        await page.goto(one.url())
        await log_in(page, "owner", OWNER_TOKEN)
        other = one.app.redirect_uri
        await page.goto(other)
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text))
        await page.set_content(f'<title>x</title><iframe src="{one.url()}"></iframe>')
        async with asyncio.timeout(BOUND_MS / 1000):
            while not any("frame-ancestors" in text for text in refused):
                await page.evaluate("new Promise(requestAnimationFrame)")
        await page.goto(other)
        form = f'<form method="post" action="{one.world.settings.issuer}/oauth/consent"><button>Go</button></form>'
        await page.set_content(form)
        await page.get_by_role("button").click()
        await page.wait_for_load_state()
        assert "this Origin is not allowed here" in await page.inner_text("body")
        assert await one.world.authority.grants.all() == []


@asynccontextmanager
async def device(page: Page) -> AsyncIterator[CDPSession]:
    """A device that has passkeys, in this browser, and a person who agrees to all that it asks."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    yield devtools


async def test_a_person_makes_a_passkey_logs_in_with_it_and_removes_it(tmp_path: Path) -> None:
    async with site(tmp_path, host="localhost") as one, browsing() as page, device(page):
        await one.world.users.put("ann", PASSWORD)
        await page.goto(f"{one.world.settings.issuer}/oauth/account")
        await log_in(page, "ann", PASSWORD)
        await page.get_by_role("heading", name="Your passkeys").wait_for()
        await look_at(page, "account")
        await page.get_by_role("button", name="Make a passkey").click()
        await page.get_by_text("Made on").wait_for()
        await look_at(page, "account-one")
        await page.context.clear_cookies()
        await page.goto(one.url())
        await look_at(page, "login-passkey")
        await page.get_by_role("button", name="Log in with a passkey").click()
        await page.get_by_role("heading", name="Let The Editor in?").wait_for()
        assert "You are logged in as ann" in await page.inner_text("main")
        await page.goto(f"{one.world.settings.issuer}/oauth/account")
        await page.get_by_role("button", name="Remove the passkey").click()
        await page.get_by_text("You have none").wait_for()
        await page.context.clear_cookies()
        await page.goto(one.url())
        await page.get_by_role("button", name="Log in with a passkey").click()
        await page.get_by_role("alert").wait_for()
        assert "not known here" in await page.inner_text("main")


async def test_a_passkey_shown_once_more_or_to_another_form_lets_nobody_in(tmp_path: Path) -> None:
    async with site(tmp_path, host="localhost") as one, browsing() as page, device(page):
        await page.goto(f"{one.world.settings.issuer}/oauth/account")
        await log_in(page, "owner", OWNER_TOKEN)
        await page.get_by_role("button", name="Make a passkey").click()
        await page.get_by_text("Made on").wait_for()
        await page.context.clear_cookies()
        await page.goto(one.url())
        async with page.expect_request("**/oauth/passkey") as sending:
            await page.get_by_role("button", name="Log in with a passkey").click()
        await page.get_by_role("heading", name="Let The Editor in?").wait_for()
        shown = dict(parse_qsl((await sending.value).post_data or ""))
        thief = Browser(one.world)
        await thief.get(one.app.url(resource=None))
        await thief.post("/oauth/passkey", shown)
        assert thief.answer.status == 400
        for credential in (shown["credential"], "", "{}", '{"id": 5}', "x" * 10_000):
            await thief.get(one.app.url(resource=None))
            await thief.submit("/oauth/passkey", credential=credential)
            assert (thief.answer.status, "Let The Editor in?" in thief.text) == (403, False)


@asynccontextmanager
async def outside_provider() -> AsyncIterator[str]:
    """One that this project did not write; its issuer."""
    port = free_port()
    program = str(Path(sys.executable).parent / "oidc-provider-mock")
    user = '{"sub": "ann-17", "groups": ["desk"]}'
    line = [program, "--port", str(port), "--require-nonce", "true", "--user-claims", user]
    async with listening(line, port):
        yield f"http://localhost:{port}"


@pytest.mark.counterpart
async def test_a_person_logs_in_with_an_outside_provider_and_agrees_here(tmp_path: Path) -> None:
    async with outside_provider() as issuer:
        client = HttpClient(reach=Reach.LOOPBACK)
        outside = Outside(name="mock", title="Mock", issuer=issuer, client_id="c", client_secret="s" * 32)
        provider = Provider(outside, fetching(client), clock=time.time, ticks=time.monotonic)
        async with site(tmp_path, providers=[provider]) as one, browsing() as page:
            one.world.clock.now_s = time.time()
            await page.goto(one.url())
            await look_at(page, "login-providers")
            await page.get_by_role("button", name="Log in with Mock").click()
            await page.get_by_role("button", name="ann-17").click()
            await page.get_by_role("heading", name="Let The Editor in?").wait_for()
            assert "You are logged in as ann-17" in await page.inner_text("main")
            await page.get_by_role("button", name="Allow").click()
            await page.get_by_role("heading", name="Back at the program").wait_for()
        await client.aclose()
