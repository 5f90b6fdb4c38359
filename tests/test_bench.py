"""The measurements themselves are measured elsewhere; here is what they say about what they found."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _bench_is_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(ROOT))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "bench"]:
        del sys.modules[name]


def test_a_goal_is_met_at_its_bound_missed_above_it_and_open_without_a_figure() -> None:
    from bench.goals import Goal

    assert [Goal("M", "", 2, value).told()["met"] for value in (2.0, 2.1, None)] == [True, False, None]


def test_goals_are_ratios_of_subjects_under_the_same_load() -> None:
    from bench.goals import LIST, SMALL, Once, goals
    from bench.load import Sample

    def sample(cpu_us: float, p50_ms: float) -> Sample:
        return Sample(1000, 1000, cpu_us, p50_ms, 10 * p50_ms, 50)

    figures = {
        (name, load, connections): sample(cpu_us, p50_ms)
        for name, cpu_us, p50_ms in (
            ("direct", 5, 1),
            ("nginx", 10, 2),
            ("memory", 25, 3),
            ("durable", 70, 5),
            ("official", 350, 9),
        )
        for load in (SMALL, LIST)
        for connections in (1, 16, 64)
    }
    told = {goal["id"]: (goal["target"], goal["value"], goal["met"]) for goal in goals(figures, Once(commit_ms=0.5))}
    assert told["M1a"] == (3, 2.5, True)
    assert told["M1b"] == (6, 7, False)
    assert told["M5a"] == (0.4, 0.2, True)
    assert told["M7a"] == (4, 4, True)
    assert told["M7b"] == (61, 50, True)
    assert told["M9"] == (2, 7, False)
    assert told["M6b"] == (0.75, None, None)


def test_the_scoreboard_says_what_is_not_met_and_what_was_not_measured(tmp_path: Path) -> None:
    from bench.score import page, results, rows

    def goal(name: str, value: float | None, met: bool | None, **more: str) -> dict[str, object]:
        return {"id": name, "goal": "g", "target": 3, "value": value, "met": met, **more}

    folder = tmp_path / "bench" / "results"
    folder.mkdir(parents=True)
    found = [goal("M10", 2, True), goal("M2", None, None, note="no peer"), goal("M1", 7.5, False)]
    (folder / "latest.json").write_text(json.dumps({"machine": "m", "when": "w", "goals": found}))
    lines = page(rows(results(tmp_path))).splitlines()
    assert "1 met, 1 not met, 1 not measured." in lines
    assert lines[-3:] == [
        "| M1 | g | 3 | 7.5 | **not met** | w | m |",
        "| M2 | g | 3 | no peer | – | w | m |",
        "| M10 | g | 3 | 2 | yes | w | m |",
    ]


def test_a_results_file_that_lacks_something_is_named(tmp_path: Path) -> None:
    from bench.score import Unreadable, results, rows

    folder = tmp_path / "tests" / "security"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text('{"goals": []}')
    with pytest.raises(Unreadable, match=r"results\.json: KeyError"):
        rows(results(tmp_path))


def test_the_table_replaces_what_stands_between_the_marks_and_nothing_else(tmp_path: Path) -> None:
    from bench.table import readme_with

    page = tmp_path / "README.md"
    page.write_text("a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n")
    assert readme_with(page, "new")
    assert page.read_text() == "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n"
    page.write_text("no marks")
    assert not readme_with(page, "new")
    assert page.read_text() == "no marks"
