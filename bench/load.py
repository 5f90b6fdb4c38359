"""One measurement: calls to a subject, and what the subject's processes spent meanwhile."""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from .calls import Shape, opened, probe
from .line_load import drive
from .started import HERE, CannotMeasure, Started

_TICKS = os.sysconf("SC_CLK_TCK")
_SETTLE_S = 30.0


class Sample(NamedTuple):
    calls: int
    calls_per_s: float
    cpu_us: float
    """Per call, of the whole process tree."""
    p50_ms: float
    p99_ms: float
    rss_mb: float


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """User and system time of the processes that are still there."""
    total = 0.0
    for process in processes:
        try:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def rss_mb(processes: Sequence[psutil.Process]) -> float:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6


def measure(subject: Started, shape: Shape, seconds: int) -> Sample:
    """Call it for so long: with wrk, or over its standard streams.

    Raises CannotMeasure if calls failed, or if answers were too short to be what was asked for.
    """
    answer_bytes = probe(subject, shape)
    if not subject.program.stdio:
        opened(subject, shape.connections)
    processes = subject.processes()
    before_s = cpu_s(processes)
    said = drive(subject, shape, seconds) if subject.program.stdio else _wrk(subject, shape, seconds)
    spent_s = cpu_s(processes) - before_s
    if subject.subject.group == "peers":
        settle(processes)
    calls = said["calls"]
    if not calls:
        raise CannotMeasure(f"{subject.name}, {shape.name} at {shape.connections}: no answer in {seconds} s")
    if said["broken"] or said["refused"] or said["bytes"] < 0.9 * answer_bytes * calls:
        raise CannotMeasure(f"{subject.name}, {shape.name} at {shape.connections}: {said}")
    return Sample(
        calls=calls,
        calls_per_s=calls / said["took_us"] * 1e6,
        cpu_us=spent_s / calls * 1e6,
        p50_ms=said["p50_us"] / 1e3,
        p99_ms=said["p99_us"] / 1e3,
        rss_mb=rss_mb(processes),
    )


def settle(processes: Sequence[psutil.Process]) -> None:
    """Wait until they are done with the calls that were open at the end: whoever is next has both CPUs.

    For a slow one those are seconds of work.
    """
    end_s = time.monotonic() + _SETTLE_S
    before_s = -1.0
    while cpu_s(processes) > before_s and time.monotonic() < end_s:
        before_s = cpu_s(processes)
        time.sleep(0.1)


def _wrk(subject: Started, shape: Shape, seconds: int) -> dict[str, int]:
    program = subject.program
    tool = program.tool if shape.method == "tools/call" else ""
    line = ["wrk", "-t1", f"-c{shape.connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(HERE / "wrk.lua")]
    line += [f"http://127.0.0.1:{subject.port}/mcp", "--", shape.method, tool, str(shape.text_bytes)]
    line += [program.revision, subject.token or "", *opened(subject, shape.connections)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=seconds + 60, check=False)
    last = done.stdout.strip().rpartition("\n")[2]
    try:
        return json.loads(last)
    except ValueError:
        raise CannotMeasure(f"wrk: {done.stdout[-500:]}{done.stderr[-500:]}") from None


def median(samples: Sequence[Sample]) -> Sample:
    """Of each figure by itself."""
    return Sample(*(statistics.median(column) for column in zip(*samples, strict=True)))
