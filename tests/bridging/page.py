"""docs/bridging.md, of the table and of how its tests ended: `python -m bridging.page`, in the folder of the tests."""

import json
from collections.abc import Iterator, Mapping, Sequence

from .run import HERE, RESULTS
from .table import CELLS, NOT_SHOWN, ROWS, TRAPS, Cell

PAGE = HERE.parent.parent / "docs" / "bridging.md"


def page() -> str:
    return "\n".join(_lines(json.loads(RESULTS.read_text()))) + "\n"


def _lines(outcomes: Mapping[str, str]) -> Iterator[str]:
    notes: dict[tuple[str, ...], int] = {}
    yield "# What is carried between the two eras?"
    yield ""
    yield "The revisions up to 2025-11-25 begin with a handshake; the newest, 2026-07-28, does not. A cell is named by what the"
    yield "client speaks and what the server speaks; between them is the gateway. The numbers are those of the tests below, and"
    yield f"`{NOT_SHOWN}` means that no test shows it: it may work. `make bridging` runs the tests and writes this page."
    yield ""
    yield _row(["feature", *CELLS])
    yield "|---" * 5 + "|"
    for row in ROWS:
        yield _row([row.feature, *(_cell(cell, outcomes, notes) for cell in row.cells)])
    yield ""
    yield "## Traps"
    yield ""
    yield "| | trap | shown by |"
    yield "|---|---|---|"
    for trap in TRAPS:
        shown = _cell(Cell("works", trap.tests), outcomes, notes) if trap.tests else NOT_SHOWN
        yield _row([f"T{trap.number}", trap.trap, ": ".join(filter(None, [shown, trap.why_not]))])
    yield ""
    yield "## Tests"
    yield ""
    for tests, number in notes.items():
        yield f"{number}. {', '.join(f'`{test}`' for test in tests)}"


def _cell(cell: Cell, outcomes: Mapping[str, str], notes: dict[tuple[str, ...], int]) -> str:
    """Nothing is said to happen in a cell whose tests did not all pass."""
    if not cell.tests:
        return cell.happens
    bad = sorted({outcomes.get(test, "missing") for test in cell.tests} - {"passed"})
    number = notes.setdefault(cell.tests, len(notes) + 1)
    return f"{', '.join(bad) or cell.happens} ({number})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(page(), end="")
