"""Every capability has its row, and every row that says `shown` names tests that are there."""

import ast
import runpy
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_READ = runpy.run_path(str(ROOT / "tests" / "requirements.py"))
ROWS, SECTIONS, page = _READ["ROWS"], _READ["SECTIONS"], _READ["page"]

# How many rows each letter has, numbered from 01 without a gap.
COUNTS = {"P": 16, "S": 6, "G": 13, "I": 12, "D": 12, "O": 9, "R": 5, "U": 18, "C": 5, "H": 3, "X": 4}


@cache
def _tests_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def _faults(row: tuple[str, str, str, tuple[str, ...]]) -> list[str]:
    name, _, status, tests = row
    faults: list[str] = []
    if status not in ("planned", "shown"):
        faults.append(f"{name} is neither planned nor shown")
    if status == "shown" and not tests:
        faults.append(f"{name} is shown by nothing")
    for test in tests:
        where, _, function = test.partition("::")
        path = ROOT / where
        if not path.is_file() or function not in _tests_in(path):
            faults.append(f"{name} names {test}, which is not there")
    return faults


def test_every_capability_has_one_row_and_there_are_no_others() -> None:
    wanted = Counter(f"{letter}{n:02}" for letter, count in COUNTS.items() for n in range(1, count + 1))
    assert Counter(row.id for row in ROWS) == wanted
    assert SECTIONS.keys() == COUNTS.keys()


def test_what_is_shown_names_tests_that_are_there() -> None:
    assert [fault for row in ROWS for fault in _faults(row)] == []


def test_no_row_names_a_test_twice() -> None:
    assert [row.id for row in ROWS if len(set(row.tests)) != len(row.tests)] == []


def test_the_page_of_features_is_up_to_date() -> None:
    assert (ROOT / "docs" / "features.md").read_text(encoding="utf-8") == page(), "run `make docs`"


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (("P01", "", "done", ()), "P01 is neither planned nor shown"),
        (("P01", "", "shown", ()), "P01 is shown by nothing"),
        (("P01", "", "shown", ("tests/gone.py::test_it",)), "P01 names tests/gone.py::test_it, which is not there"),
        (
            ("P01", "", "shown", ("tests/test_requirements.py::test_gone",)),
            "P01 names tests/test_requirements.py::test_gone, which is not there",
        ),
    ],
)
def test_a_row_that_promises_too_much_is_caught(row: tuple[str, str, str, tuple[str, ...]], fault: str) -> None:
    assert _faults(row) == [fault]
