"""One measurement: wrk against a subject, and what the subject's processes spent meanwhile."""

import http.client
import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from .subjects import HERE, CannotMeasure, Started

_TICKS = os.sysconf("SC_CLK_TCK")
_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Shape(NamedTuple):
    """One kind of load."""

    name: str
    method: str
    text_bytes: int
    connections: int


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


def probe(subject: Started, shape: Shape) -> int:
    """One call, looked at closely. How many bytes its answer has.

    Raises CannotMeasure if it is not the answer that the upstream gives: a fast refusal is no result.
    """
    tool = subject.tool if shape.method == "tools/call" else ""
    text = "x" * shape.text_bytes
    params: dict[str, Any] = {"_meta": _META}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": shape.method,
    }
    if tool:
        params |= {"name": tool, "arguments": {"text": text}}
        headers["Mcp-Name"] = tool
    if subject.token is not None:
        headers["Authorization"] = f"Bearer {subject.token}"
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": shape.method, "params": params})
    connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=30)
    try:
        connection.request("POST", "/mcp", body, headers)
        answer = connection.getresponse()
        raw = answer.read()
    finally:
        connection.close()
    _check(subject, shape, answer.status, raw, text)
    return len(raw)


def _check(subject: Started, shape: Shape, status: int, raw: bytes, text: str) -> None:
    wrong = f"{subject.subject.name} answers {shape.name} with {status}: {raw[:300]!r}"
    try:
        result = json.loads(raw)["result"]
    except (ValueError, KeyError):
        raise CannotMeasure(wrong) from None
    if shape.method == "tools/call":
        good = result.get("content") == [{"type": "text", "text": text}] and not result.get("isError")
    else:
        good = len(result.get("tools", ())) == 500
    if status != 200 or not good:
        raise CannotMeasure(wrong)


def measure(subject: Started, shape: Shape, seconds: int) -> Sample:
    """Run wrk for so long.

    Raises CannotMeasure if calls failed, or if answers were too short to be what was asked for.
    """
    answer_bytes = probe(subject, shape)
    processes = subject.processes()
    before_s = cpu_s(processes)
    said = _wrk(subject, shape, seconds)
    spent_s = cpu_s(processes) - before_s
    calls = said["calls"]
    if not calls or said["broken"] or said["refused"] or said["bytes"] < 0.9 * answer_bytes * calls:
        raise CannotMeasure(f"{subject.subject.name}, {shape.name} at {shape.connections}: {said}")
    return Sample(
        calls=calls,
        calls_per_s=calls / said["took_us"] * 1e6,
        cpu_us=spent_s / calls * 1e6,
        p50_ms=said["p50_us"] / 1e3,
        p99_ms=said["p99_us"] / 1e3,
        rss_mb=rss_mb(processes),
    )


def _wrk(subject: Started, shape: Shape, seconds: int) -> dict[str, int]:
    tool = subject.tool if shape.method == "tools/call" else ""
    line = ["wrk", "-t1", f"-c{shape.connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(HERE / "wrk.lua")]
    line += [f"http://127.0.0.1:{subject.port}/mcp", "--", shape.method, tool, str(shape.text_bytes)]
    if subject.token is not None:
        line.append(subject.token)
    done = subprocess.run(line, capture_output=True, text=True, timeout=seconds + 60, check=False)
    last = done.stdout.strip().rpartition("\n")[2]
    try:
        return json.loads(last)
    except ValueError:
        raise CannotMeasure(f"wrk: {done.stdout[-500:]}{done.stderr[-500:]}") from None


def median(samples: Sequence[Sample]) -> Sample:
    """Of each figure by itself."""
    return Sample(*(statistics.median(column) for column in zip(*samples, strict=True)))
