"""Each demand of the specification names tests that are there, and the page says so."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent
_READ = runpy.run_path(str(ROOT / "tests" / "authorization_musts.py"))


def test_what_is_said_to_show_a_demand_is_there() -> None:
    for must in (*_READ["MUSTS"], *_READ["OF_CLIENTS"]):
        assert must.tests, must.says
        for test in must.tests:
            path, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), test


def test_no_demand_stands_twice() -> None:
    said = [(must.section, must.says) for must in _READ["MUSTS"]]
    assert len(set(said)) == len(said)


def test_the_page_of_demands_is_up_to_date() -> None:
    assert (ROOT / "docs" / "authorization.md").read_text(encoding="utf-8") == _READ["page"](), "run `make docs`"
