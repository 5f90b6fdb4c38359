"""The pages on which users grant something, in a real browser: a person gets through them, and nothing keeps anybody out."""

import asyncio
import os
from pathlib import Path

import pytest
from browsing import barriers, browsing
from gateway_world import BOUND_S
from playwright.async_api import Page

from .test_user_grants import text, world

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("DOUANE_TEST_SHOTS")
"""A folder to keep pictures of the pages in, for who wants to look at them."""


async def look_at(page: Page, name: str) -> None:
    assert await barriers(page) == []
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_a_person_follows_the_link_agrees_logs_in_and_the_call_goes_on(tmp_path: Path, dark: bool) -> None:
    mode = "dark" if dark else "light"
    async with world(tmp_path, scopes=["read", "write"]) as at, browsing(dark=dark) as page:
        link, state = await at.asked()
        waiting = asyncio.ensure_future(at.call(state=state, action="accept"))
        await page.goto(link)
        await look_at(page, f"connect-who-{mode}")
        await show(page, "wrong")
        await page.get_by_role("alert").wait_for()
        await look_at(page, f"connect-wrong-{mode}")
        await show(page, at.gateway.token)
        await page.get_by_role("heading", name="Let the gateway use far for you?").wait_for()
        await look_at(page, f"connect-consent-{mode}")
        await page.get_by_role("button", name="Allow", exact=True).click()
        await page.get_by_role("heading", name="far can be used for you").wait_for()
        await look_at(page, f"connect-done-{mode}")
        assert text(await asyncio.wait_for(waiting, BOUND_S)) == {"a": 1}


async def test_no_page_needs_a_script(tmp_path: Path) -> None:
    async with world(tmp_path) as at, browsing(scripts=False) as page:
        link, _ = await at.asked()
        await page.goto(link)
        await show(page, at.gateway.token)
        await page.get_by_role("button", name="Allow", exact=True).click()
        await page.get_by_role("heading", name="far can be used for you").wait_for()
        assert text(await at.call()) == {"a": 1}


async def show(page: Page, credential: str) -> None:
    await page.get_by_label("Token or key").fill(credential)
    await page.get_by_role("button", name="Go on").click()


async def test_what_cannot_be_granted_is_said_on_a_page_that_anybody_can_read(tmp_path: Path) -> None:
    async with world(tmp_path) as at, browsing(width=360) as page:
        link, _ = await at.asked()
        await page.goto(link + "x")
        await page.get_by_role("heading", name="Nothing was granted").wait_for()
        await look_at(page, "connect-refused")
