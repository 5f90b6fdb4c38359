"""The figures of a run as Markdown, and the place in README.md where they stand."""

from pathlib import Path
from typing import Any

from .goals import SMALL

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


REFERENCES = ("nginx", "durable", "memory")
"""Gateways that the peers are shown beside."""


def table(document: dict[str, Any]) -> str:
    """The figures of a run, load by load; what it says of peers and servers, one line each; then the goals."""
    lines = [f"Measured {document['when']} on {document['machine']}; medians of interleaved rounds.", ""]
    lines += ["| load | connections | | CPU µs/call | × nginx | calls/s | p50 ms | p99 ms | RSS MB |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    gateways = [row for row in document["gateways"] if _group(row) == "gateways"]
    loads = dict.fromkeys((row["load"], row["connections"]) for row in gateways)
    for load, connections in sorted(loads, key=lambda one: (str(one[0]) != SMALL, one[1])):
        for row in gateways:
            if (row["load"], row["connections"]) == (load, connections):
                lines.append(_row(row))
    lines += [line for gone in _absent(document, "gateways") for line in ("", _missing(gone))]
    for group, about in (("peers", "The peers"), ("servers", "Servers, called directly")):
        lines += _one_line_each(document, group, about)
    lines += ["", "| goal | | target | measured | met |", "|---|---|---|---|---|"]
    for goal in document["goals"]:
        lines.append(f"| {goal['id']} | {goal['goal']} | {target(goal)} | {value(goal)} | {met(goal['met'])} |")
    return "\n".join(lines)


def _one_line_each(document: dict[str, Any], group: str, about: str) -> list[str]:
    """A compact table: CPU µs/call for each load, and calls/s where most call at once. What is missing is told below."""
    rows = [row for row in document["gateways"] if _group(row) == group]
    gone = _absent(document, group)
    if not rows:
        return [line for one in gone for line in ("", _missing(one))]
    when = next((one["when"] for one in (*rows, *gone) if "when" in one), document["when"])
    many = max(row["connections"] for row in rows)
    loads = sorted({(row["load"], row["connections"]) for row in rows} - ({(SMALL, many)} if many > 16 else set()))
    # Figures of two runs are not to be compared.
    beside = REFERENCES if group == "peers" and when == document["when"] else ()
    shown = [row for row in document["gateways"] if row["name"] in beside] + rows
    heads = [f"CPU µs/call, {load}, {connections}" for load, connections in loads]
    lines = ["", f"{about} ({when}; load, connections):", ""]
    lines += [f"| | {' | '.join([*heads, f'calls/s, {SMALL}, {many}', 'p50 ms', 'RSS MB'])} |"]
    lines += ["|---" * (len(loads) + 4) + "|"]
    for name in dict.fromkeys(row["name"] for row in shown):
        found = {(row["load"], row["connections"]): row for row in shown if row["name"] == name}
        cells = [_figure(found.get(load), "cpu_us", ",.0f") for load in loads]
        most = found.get((SMALL, many))
        cells += [
            _figure(most, key, form) for key, form in (("calls_per_s", ",.0f"), ("p50_ms", ".2f"), ("rss_mb", ".0f"))
        ]
        lines.append(f"| {next(iter(found.values()))['says']} | {' | '.join(cells)} |")
    return lines + [line for one in gone for line in ("", _missing(one))]


def _figure(row: dict[str, Any] | None, key: str, form: str) -> str:
    return "–" if row is None else format(row[key], form)


def _missing(gone: dict[str, Any]) -> str:
    load = f", {gone['load']}, {gone['connections']}" if gone.get("load") else ""
    return f"{gone['says']}{load}: not measured here: {gone['why']}"


def _group(one: dict[str, Any]) -> str:
    return one.get("group", "gateways")


def _absent(document: dict[str, Any], group: str) -> list[dict[str, Any]]:
    return [one for one in document.get("absent", ()) if _group(one) == group]


def target(goal: dict[str, Any]) -> str:
    """With its sense: most targets are upper bounds."""
    bound = goal["target"]
    figure = f"{bound:g}" if isinstance(bound, int | float) else str(bound)
    return f"≥ {figure}" if goal.get("at_least") else figure


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
