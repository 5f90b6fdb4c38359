"""What is handed to a browser, and what the page that waits for its answer takes."""

import asyncio
import sys
import webbrowser
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from douane.auth.credentials import LoginFailed
from douane.sdk.user_agent import Loopback, show_in_browser


@pytest.mark.parametrize(
    "url",
    [
        *("javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "vbscript:x", "ms-settings:x", "-version"),
        *(
            "https://a.example/`id`",
            'https://a.example/"&calc',
            "https://a.example/a b",
            "https://a.example/\n",
            "http://a.example/",
        ),
        *("https://u:p@a.example/", "https:///x", "https://a.example\\@b.example/", ""),
    ],
)
def test_nothing_but_a_web_page_is_handed_to_a_browser(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = tmp_path / "opened"
    program = tmp_path / "browser.py"
    program.write_text(f"import sys, pathlib; pathlib.Path({str(opened)!r}).write_text(sys.argv[1])")
    browser = webbrowser.GenericBrowser([sys.executable, str(program), "%s"])
    monkeypatch.setattr(webbrowser, "_tryorder", ["ours"])
    monkeypatch.setitem(webbrowser._browsers, "ours", [None, browser])
    with pytest.raises(LoginFailed):
        show_in_browser(url)
    assert not opened.exists()
    assert capsys.readouterr().err == ""
    shell = "https://a.example/$(touch${IFS}x);touch&x=|"
    with pytest.raises(LoginFailed):
        show_in_browser(shell)
    show_in_browser("https://a.example/$(touch)?a=1&b=2;c")
    assert opened.read_text() == "https://a.example/$(touch)?a=1&b=2;c"


async def test_the_page_that_waits_takes_one_answer_and_is_gone_then() -> None:
    async with Loopback.listening() as back:
        shown, loop = asyncio.Event(), asyncio.get_running_loop()
        visit = back.visit("https://login.example/", "mine", lambda url: loop.call_soon_threadsafe(shown.set))
        waiting = asyncio.ensure_future(visit)
        await asyncio.wait_for(shown.wait(), 10.0)
        assert await asyncio.to_thread(status, f"{back.redirect_uri}?code=c&state=mine", method="POST") == 404
        assert await asyncio.to_thread(status, f"{back.redirect_uri}?code=c&state=mine", host="evil.example") == 403
        assert await asyncio.to_thread(status, f"{back.redirect_uri}?code=c&state=other") == 404
        assert not waiting.done()
        assert await asyncio.to_thread(status, f"{back.redirect_uri}?code=c&state=mine&iss=https://a") == 200
        assert await asyncio.wait_for(waiting, 10.0) == "code=c&state=mine&iss=https://a"
        assert await asyncio.to_thread(status, f"{back.redirect_uri}?code=c&state=mine") == 404
    with pytest.raises(OSError):  # noqa: PT011
        await asyncio.to_thread(status, back.redirect_uri)


def status(url: str, method: str = "GET", host: str | None = None) -> int:
    asked = Request(url, method=method, headers={} if host is None else {"host": host})
    try:
        with urlopen(asked, timeout=5) as page:
            assert page.headers["content-security-policy"].startswith("default-src 'none'")
            return page.status
    except HTTPError as answer:
        return answer.code


async def test_a_port_that_is_taken_is_not_fought_for() -> None:
    async with Loopback.listening() as first:
        port = int(first.redirect_uri.split(":")[2].split("/")[0])
        async with Loopback.listening(port) as second:
            assert second.redirect_uri != first.redirect_uri
