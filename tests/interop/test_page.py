"""The page about agent frameworks says what was run."""

from .page import PAGE, page


def test_the_page_about_frameworks_is_what_was_run() -> None:
    assert PAGE.read_text() == page(), "write it anew: in tests, `python -m interop.page > ../docs/frameworks.md`"
