"""Each demand on clients names tests, and they are there."""

import pytest
from musts_of_clients import ROWS, Must
from test_requirements import ROOT, _tests_in


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.sentence)
def test_what_the_specification_demands_of_clients_is_shown(row: Must) -> None:
    assert row.tests
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name in _tests_in(ROOT / path), test
