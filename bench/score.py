"""docs/scoreboard.md: every goal that was measured, from the files the measurements left.

A file is bench/results/*.json, or results*.json anywhere below tests/: an object with `machine`, `when` and `goals`,
each {id, goal, target, value, met}, with a `note` where there is something to say, `at_least` where the target is a
lower bound, and a `when` of its own where it is older than its file.
"""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .table import met, target, value

ROOT = Path(__file__).parent.parent


class Unreadable(Exception):
    """A results file is not what it should be. The text says which, and what is missing."""


def results(root: Path) -> list[Path]:
    """The files, in a steady order."""
    tests = (path for path in (root / "tests").rglob("results*.json") if "node_modules" not in path.parts)
    return sorted((*(root / "bench" / "results").glob("*.json"), *tests))


def rows(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The goals of all files, by id."""
    found: list[dict[str, Any]] = []
    for path in paths:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if "goals" not in document:
                # Results of something that is not measured against any.
                continue
            about = {"machine": document["machine"], "when": document["when"]}
            for goal in document["goals"]:
                found.append({key: goal[key] for key in ("id", "goal", "target", "value", "met")} | about)
                # A part of a file may be older than the rest of it.
                found[-1] |= {key: goal[key] for key in ("note", "at_least", "when") if key in goal}
        except (ValueError, KeyError, TypeError) as exc:
            raise Unreadable(f"{path.name}: {exc!r}") from None
    return sorted(found, key=lambda row: [int(part) if part.isdigit() else part for part in _parts(row["id"])])


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name)


def page(found: list[dict[str, Any]]) -> str:
    """The scoreboard."""
    count = {said: sum(row["met"] is said for row in found) for said in (True, False, None)}
    lines = [
        "# Scoreboard",
        "",
        "What was promised in figures, and what was last measured. Written by `make score` from the files that"
        " measurements leave; `make bench` takes the figures for speed.",
        "",
    ]
    if not found:
        return "\n".join([*lines, "Nothing has been measured yet."]) + "\n"
    lines += [
        f"{count[True]} met, {count[False]} not met, {count[None]} not measured.",
        "",
        "| id | goal | target | value | met | when | machine |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found:
        cells = (row["id"], row["goal"], target(row), value(row), met(row["met"]), row["when"], row["machine"])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    try:
        text = page(rows(results(ROOT)))
    except Unreadable as exc:
        print(f"score: {exc}", file=sys.stderr)
        return 1
    (ROOT / "docs" / "scoreboard.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
