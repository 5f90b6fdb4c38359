"""The page about what was run against what says what is run."""

from .interop import PAGE, page


def test_the_page_about_interoperation_is_what_is_run() -> None:
    assert PAGE.read_text() == page(), "write it anew: in tests, `python -m counterparts.interop > ../docs/interop.md`"
