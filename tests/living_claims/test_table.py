"""The rows of the table fit the source as it is: whether each test fails without its control is for `make claims`."""

from pathlib import Path

import pytest

from .table import CLAIMS as DOOR
from .table import Claim
from .upstreams import UPSTREAMS

CLAIMS = (*DOOR, *UPSTREAMS)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.control)
def test_a_control_that_is_claimed_is_there_and_so_are_its_tests(claim: Claim) -> None:
    for edit in claim.edits:
        assert (ROOT / "src" / "douane" / edit.file).read_text().count(edit.text) == 1, edit
    for test in claim.tests:
        path, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(), test


def test_no_control_is_claimed_twice() -> None:
    assert len({claim.control for claim in CLAIMS}) == len(CLAIMS)
