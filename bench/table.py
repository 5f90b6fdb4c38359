"""The figures of a run as Markdown, and the place in README.md where they stand."""

from pathlib import Path
from typing import Any

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


def table(document: dict[str, Any]) -> str:
    """The figures of a run, load by load, then the goals."""
    lines = [f"Measured {document['when']} on {document['machine']}; medians of interleaved rounds.", ""]
    lines += ["| load | connections | | CPU µs/call | × nginx | calls/s | p50 ms | p99 ms | RSS MB |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    loads = dict.fromkeys((row["load"], row["connections"]) for row in document["gateways"])
    for load, connections in sorted(loads, key=lambda one: (str(one[0]) != "300 B", one[1])):
        for row in document["gateways"]:
            if (row["load"], row["connections"]) == (load, connections):
                lines.append(_row(row))
    lines += ["", "| goal | | at most | measured | met |", "|---|---|---|---|---|"]
    for goal in document["goals"]:
        lines.append(f"| {goal['id']} | {goal['goal']} | {goal['target']:g} | {value(goal)} | {met(goal['met'])} |")
    return "\n".join(lines)


def value(goal: dict[str, Any]) -> str:
    """The figure of a goal, with what is noted beside it."""
    note = goal.get("note")
    if goal["value"] is None:
        return note or "not measured"
    figure = f"{goal['value']:g}" if isinstance(goal["value"], int | float) else str(goal["value"])
    return f"{figure} ({note})" if note else figure


def met(said: bool | None) -> str:
    """A goal that is not met says so."""
    return "–" if said is None else "yes" if said else "**not met**"


def _row(row: dict[str, Any]) -> str:
    ratio = "–" if row["x_nginx"] is None else f"{row['x_nginx']:.1f}"
    return (
        f"| {row['load']} | {row['connections']} | {row['says']} | {row['cpu_us']:.0f} | {ratio} | "
        f"{row['calls_per_s']:,.0f} | {row['p50_ms']:.2f} | {row['p99_ms']:.1f} | {row['rss_mb']:.0f} |"
    )


def readme_with(page: Path, text: str) -> bool:
    """Put the text between the marks. False, and nothing done, if they are not there."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return False
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return True
