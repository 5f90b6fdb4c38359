"""The gateway beside its peers: interleaved rounds in one run, so that ratios hold on any machine.

python -m bench.run [--peers] [--quick] [--only NAME,...] [--rounds N] [--seconds N]
python -m bench.run --list

Writes bench/results/latest.json and the tables between `<!-- bench -->` and `<!-- /bench -->` of README.md. With --peers
everything is measured in the one run; without, what is there about peers is kept. A quick or partial run writes to
bench/.build/quick.json alone: its figures are for the one who reads them now.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import once
from .calls import Shape
from .goals import Once, goals
from .load import Sample, median
from .merge import merged
from .rounds import SHAPES, Absent, give_up, rounds, say
from .started import (
    BUILD,
    HERE,
    TOOLS,
    UPSTREAM,
    CannotMeasure,
    Program,
    Started,
    Subject,
    build_upstream,
    free_port,
    launch,
    started,
    stop,
)
from .subjects import SUBJECTS
from .table import readme_with, table


def machine() -> str:
    """What the figures belong to, without the machine's name."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "")
    cpus = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{model or platform.machine()}, {cpus} CPUs, {system}, Python {platform.python_version()}"


def report(
    figures: Mapping[tuple[str, str, int], Sample], found: Once, chosen: Sequence[Subject], absent: Absent
) -> dict[str, Any]:
    """The document: figures by subject and shape, what is missing, and the goals."""
    return {
        "machine": machine(),
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "commit_ms": found.commit_ms and round(found.commit_ms, 3),
        "gateways": [
            row(subject, shape, figures)
            for subject in chosen
            for shape in SHAPES[subject.group]
            if (subject.name, shape.name, shape.connections) in figures
        ],
        "absent": [
            {**about(subject), "load": shape and shape.name, "connections": shape and shape.connections, "why": why}
            for subject in chosen
            for (name, shape), why in absent.items()
            if name == subject.name
        ],
        "goals": goals(figures, found),
    }


def about(subject: Subject) -> dict[str, Any]:
    return {"name": subject.name, "says": subject.says, "group": subject.group}


def row(subject: Subject, shape: Shape, figures: Mapping[tuple[str, str, int], Sample]) -> dict[str, Any]:
    sample = figures[subject.name, shape.name, shape.connections]
    hop = figures.get(("nginx", shape.name, shape.connections))
    return {
        **about(subject),
        "load": shape.name,
        "connections": shape.connections,
        "x_nginx": None if hop is None or not hop.cpu_us else round(sample.cpu_us / hop.cpu_us, 2),
        **{key: round(value, 3) for key, value in sample._asdict().items()},
    }


def measured_once(upstream: int, times: int) -> Once:
    ready_s, idle_mb = once.start(BUILD / "run" / "start", upstream, times=times)
    imports = once.import_s("douane"), once.import_s("douane.cli")
    return Once(once.commit_ms(BUILD), ready_s, idle_mb, *imports, once.token_us())


def run(chosen: Sequence[Subject], count: int, seconds: int) -> dict[str, Any]:
    """Start all, measure, stop all."""
    build_upstream()
    port = free_port()
    absent: Absent = {}
    with ExitStack() as ends:
        upstream = Program([str(UPSTREAM), str(port), str(TOOLS)])
        ends.callback(stop, launch(upstream, port, BUILD / "run" / "upstream"))
        ours = any(subject.name in ("durable", "memory") for subject in chosen)
        found = measured_once(port, 3) if ours else Once(once.commit_ms(BUILD))
        running: list[Started] = []
        for subject in chosen:
            try:
                one = started(subject, BUILD / "run" / subject.name, port)
            except CannotMeasure as exc:
                give_up(subject, None, exc, absent)
            else:
                ends.callback(one.stop)
                running.append(one)
        rows = rounds(running, count, seconds, absent)
    return report({key: median(samples) for key, samples in rows.items()}, found, chosen, absent)


def write(document: dict[str, Any], *, whole: bool) -> None:
    path = HERE / "results" / "latest.json" if whole else BUILD / "quick.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    page = HERE.parent / "README.md"
    if whole and not readme_with(page, table(document)):
        say("README.md has no <!-- bench --> ... <!-- /bench --> block: the table is only printed")


def latest() -> dict[str, Any] | None:
    path = HERE / "results" / "latest.json"
    return json.loads(path.read_text()) if path.exists() else None


def listing() -> str:
    """Every subject, with its group."""
    return "\n".join(
        f"{subject.name:17} {subject.group:9} {subject.says}" + ("" if subject.is_installed else " (not installed)")
        for subject in SUBJECTS
    )


def command() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the gateway beside its peers.")
    parser.add_argument("--list", action="store_true", help="name what can be measured, and end")
    parser.add_argument("--peers", action="store_true", help="the other gateways and servers too: a quarter of an hour")
    parser.add_argument("--quick", action="store_true", help="one round of one second each: about a minute")
    parser.add_argument("--only", default="", help="subjects by name, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    return parser


def choose(only: str, *, peers: bool) -> list[Subject]:
    """By name, or all of the groups. Raises ValueError."""
    names = [name for name in only.split(",") if name]
    unknown = set(names) - {subject.name for subject in SUBJECTS}
    if unknown:
        raise ValueError(f"no such subject: {', '.join(sorted(unknown))}; --list names them")
    if names:
        return [subject for subject in SUBJECTS if subject.name in names]
    return [subject for subject in SUBJECTS if peers or subject.group == "gateways"]


def main() -> int:
    parser = command()
    line = parser.parse_args()
    if line.list:
        print(listing())
        return 0
    try:
        chosen = choose(line.only, peers=line.peers)
    except ValueError as exc:
        parser.error(str(exc))
    count, seconds = (1, 1) if line.quick else (line.rounds, line.seconds)
    begun_s = time.monotonic()
    try:
        document = run(chosen, count, seconds)
    except (CannotMeasure, subprocess.CalledProcessError, FileNotFoundError) as exc:
        say(f"bench: {exc}")
        return 1
    whole = not line.quick and not line.only
    if whole and not line.peers:
        document = merged(document, latest())
    write(document, whole=whole)
    print(table(document))
    say(f"took {time.monotonic() - begun_s:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
