"""The gateway beside its peers: interleaved rounds in one run, so that ratios hold on any machine.

python -m bench.run [--quick] [--only NAME,...] [--rounds N] [--seconds N]

Writes bench/results/latest.json and the table between `<!-- bench -->` and `<!-- /bench -->` of README.md. A quick or
partial run writes to bench/.build/quick.json alone: its figures are for the one who reads them now.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import once
from .goals import LARGE, LIST, MIDDLE, SMALL, Once, goals
from .load import Sample, Shape, measure, median
from .subjects import (
    BUILD,
    ENVOY,
    HERE,
    SUBJECTS,
    TOOLS,
    UPSTREAM,
    CannotMeasure,
    Started,
    Subject,
    build_upstream,
    free_port,
    launch,
    started,
    stop,
)
from .table import readme_with, table

CALL = "tools/call"
SHAPES = (
    Shape(SMALL, CALL, 300, 16),
    Shape(SMALL, CALL, 300, 1),
    Shape(SMALL, CALL, 300, 64),
    Shape(MIDDLE, CALL, 2_000, 16),
    Shape(LARGE, CALL, 100_000, 16),
    Shape(LIST, "tools/list", 0, 16),
)
Rows = dict[tuple[str, str, int], list[Sample]]


def machine() -> str:
    """What the figures belong to, without the machine's name."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "")
    cpus = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{model or platform.machine()}, {cpus} CPUs, {system}, Python {platform.python_version()}"


def rounds(subjects: Sequence[Started], count: int, seconds: int) -> Rows:
    """Every subject under every load, one after the other, again and again; each round begins with another subject."""
    rows: Rows = {}
    for subject in subjects:
        measure(subject, SHAPES[0], 1)
    for number in range(count):
        for shape in SHAPES:
            turn = number % len(subjects)
            for subject in (*subjects[turn:], *subjects[:turn]):
                sample = measure(subject, shape, seconds)
                rows.setdefault((subject.subject.name, shape.name, shape.connections), []).append(sample)
                say(
                    f"{number + 1}/{count} {shape.name:16} {shape.connections:3} {subject.subject.name:9} {told(sample)}"
                )
    return rows


def told(sample: Sample) -> str:
    return f"{sample.cpu_us:9.1f} us CPU {sample.calls_per_s:9.0f}/s  p50 {sample.p50_ms:7.2f}  p99 {sample.p99_ms:7.2f} ms"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(figures: dict[tuple[str, str, int], Sample], found: Once, chosen: Sequence[Subject]) -> dict[str, Any]:
    """The document: figures by subject and shape, and the goals."""
    rows: list[dict[str, Any]] = []
    for subject in chosen:
        for shape in SHAPES:
            sample = figures[subject.name, shape.name, shape.connections]
            hop = figures.get(("nginx", shape.name, shape.connections))
            rows.append(
                {
                    "name": subject.name,
                    "says": subject.says,
                    "load": shape.name,
                    "connections": shape.connections,
                    "x_nginx": None if hop is None or not hop.cpu_us else round(sample.cpu_us / hop.cpu_us, 2),
                    **{key: round(value, 3) for key, value in sample._asdict().items()},
                }
            )
    return {
        "machine": machine(),
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "commit_ms": found.commit_ms and round(found.commit_ms, 3),
        "gateways": rows,
        "goals": goals(figures, found),
    }


def measured_once(upstream: int, times: int) -> Once:
    ready_s, idle_mb = once.start(BUILD / "run" / "start", upstream, times=times)
    return Once(once.commit_ms(BUILD), ready_s, idle_mb, once.import_s("douane"), once.import_s("douane.cli"))


def run(chosen: Sequence[Subject], count: int, seconds: int) -> dict[str, Any]:
    """Start all, measure, stop all."""
    build_upstream()
    port = free_port()
    with ExitStack() as ends:
        line = [str(UPSTREAM), str(port), str(TOOLS)]
        ends.callback(stop, launch(line, port, BUILD / "run" / "upstream", {}, None))
        ours = any(subject.name in ("durable", "memory") for subject in chosen)
        found = measured_once(port, 3) if ours else Once(once.commit_ms(BUILD))
        running: list[Started] = []
        for subject in chosen:
            one = started(subject, BUILD / "run" / subject.name, port)
            ends.callback(one.stop)
            running.append(one)
        rows = rounds(running, count, seconds)
    return report({key: median(samples) for key, samples in rows.items()}, found, chosen)


def write(document: dict[str, Any], *, whole: bool) -> None:
    path = HERE / "results" / "latest.json" if whole else BUILD / "quick.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    page = HERE.parent / "README.md"
    if whole and not readme_with(page, table(document)):
        say("README.md has no <!-- bench --> ... <!-- /bench --> block: the table is only printed")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the gateway beside its peers.")
    parser.add_argument("--quick", action="store_true", help="one round of one second each: about a minute")
    parser.add_argument("--only", default="", help="subjects by name, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    line = parser.parse_args()
    names = [name for name in line.only.split(",") if name]
    unknown = set(names) - {subject.name for subject in SUBJECTS}
    if unknown:
        parser.error(f"no such subject: {', '.join(sorted(unknown))}")
    chosen = [subject for subject in SUBJECTS if not names or subject.name in names]
    if not ENVOY.exists():
        say("Envoy is not installed here (bench/programs.sh tries to), so it is not measured")
        chosen = [subject for subject in chosen if subject.name != "envoy"]
    count, seconds = (1, 1) if line.quick else (line.rounds, line.seconds)
    begun_s = time.monotonic()
    try:
        document = run(chosen, count, seconds)
    except (CannotMeasure, subprocess.CalledProcessError, FileNotFoundError) as exc:
        say(f"bench: {exc}")
        return 1
    write(document, whole=not line.quick and not names)
    print(table(document))
    say(f"took {time.monotonic() - begun_s:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
