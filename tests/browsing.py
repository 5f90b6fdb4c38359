"""A real Chromium, without a head, for the pages that people see. Needs the system's own; `make browser` installs it."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright

BOUND_MS = 15_000
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Where it is, if it is anywhere."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@asynccontextmanager
async def browsing(*, dark: bool = False, scripts: bool = True, width: int = 1000) -> AsyncIterator[Page]:
    """One page of a browser that knows nothing yet."""
    async with async_playwright() as playwright:
        # No sandbox of its own: tests run as root, too, and open nothing but pages of this machine.
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            context = await browser.new_context(
                color_scheme="dark" if dark else "light",
                java_script_enabled=scripts,
                viewport={"width": width, "height": 900},
            )
            context.set_default_timeout(BOUND_MS)
            yield await context.new_page()
        finally:
            await browser.close()


async def barriers(page: Page) -> list[str]:
    """What axe finds on the page that keeps people from using it."""
    found = (await Axe().run(page)).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]
