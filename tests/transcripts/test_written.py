"""Every transcript is produced by a test and has its line on the page."""

import re

from .tape import HERE

PAGE = HERE.parent.parent / "docs" / "transcripts.md"


def test_the_page_lists_every_transcript_with_what_it_says_of_itself() -> None:
    rows = dict(re.findall(r"^\| \[([^]]+)\]\(\.\./tests/transcripts/\1\.txt\) \| (.+) \|$", PAGE.read_text(), re.M))
    files = {file.stem: file.read_text().split("\n", 1)[0].removeprefix("# ") for file in HERE.glob("*.txt")}
    assert rows == files


def test_every_transcript_is_compared_by_a_test() -> None:
    tests = "".join(file.read_text() for file in HERE.glob("test_*.py"))
    assert set(re.findall(r'is_as_written\("([^"]+)"\)', tests)) == {file.stem for file in HERE.glob("*.txt")}
