"""The table is whole, and the page says what was run."""

from .page import PAGE, page
from .run import RESULTS
from .table import NOT_SHOWN, ROWS, TRAPS, named


def test_the_page_about_bridging_is_what_was_run() -> None:
    assert PAGE.read_text() == page(), "write it anew: `make bridging`"


def test_every_test_that_the_table_names_has_a_result() -> None:
    assert RESULTS.exists()
    for test in named():
        assert f'"{test}": "' in RESULTS.read_text(), test


def test_no_cell_is_empty_and_what_works_names_its_tests() -> None:
    for row in ROWS:
        for cell in row.cells:
            assert cell.happens, row.feature
            assert (cell.happens == NOT_SHOWN) is not bool(cell.tests), row.feature
    assert [trap.number for trap in TRAPS] == list(range(1, 31))
    for trap in TRAPS:
        assert trap.tests or trap.why_not, trap.number
