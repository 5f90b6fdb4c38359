"""What is measured once and not under load: the disk, the start, the import, the memory of an idle gateway."""

import os
import shutil
import statistics
import subprocess
import sys
import time
import timeit
from pathlib import Path

import psutil

from douane.auth.admission import Admission, Presented
from douane.auth.challenges import Challenges
from douane.auth.tokens import Identity
from douane.auth.verified import Verified

from .load import cpu_s, rss_mb
from .started import Ports, Program, free_port, launch, stop
from .subjects import gateway_config


def commit_ms(folder: Path, count: int = 200) -> float:
    """The median of a bare durable append on the disk that holds the folder: 4 KiB and fdatasync."""
    path = folder / "commits"
    took: list[float] = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(count):
            begun = time.perf_counter()
            os.write(descriptor, b"\0" * 4096)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(took) * 1e3


def import_s(module: str, times: int = 5) -> float:
    """CPU seconds that importing a module adds to a bare interpreter."""
    return max(0.0, _run_s(f"import {module}", times) - _run_s("pass", times))


def token_us(count: int = 100_000) -> float:
    """What it costs to know a token that was verified before: a look by its digest, and whether it is for this endpoint."""
    token, resource = "x" * 1024, "http://127.0.0.1:8440/mcp"
    known = {token: Verified(Identity("anna"), frozenset([resource]), float("inf"))}
    admission = Admission([], Challenges(), clock=time.monotonic, now=time.time, fixed=known)
    shown = Presented(f"Bearer {token}".encode(), resource, "127.0.0.1")
    return min(timeit.repeat(lambda: admission.verify(shown), number=count, repeat=5)) / count * 1e6


def _run_s(program: str, times: int) -> float:
    took: list[float] = []
    for _ in range(times):
        before = os.times()
        subprocess.run([sys.executable, "-c", program], check=True)
        after = os.times()
        took.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(took)


def start(folder: Path, upstream: int, upstreams: int = 10, times: int = 3) -> tuple[float, float]:
    """Seconds from the command to ready in front of so many upstreams, and the resident memory then, in MB. Medians.

    The first start makes keys and a token; it is not counted.
    """
    seconds: list[float] = []
    megabytes: list[float] = []
    for number in range(times + 1):
        port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = gateway_config(folder, Ports(upstream, port), upstreams)
        line = [sys.executable, "-m", "douane", "up", "--config", str(config)]
        begun = time.perf_counter()
        process = launch(Program(line, {"DOUANE_HOME": str(folder / "home")}, ready="/readyz"), port, folder)
        took = time.perf_counter() - begun
        try:
            top = psutil.Process(process.pid)
            if number:
                seconds.append(took)
                megabytes.append(_idle_mb(top))
        finally:
            stop(process)
    shutil.rmtree(folder)
    return statistics.median(seconds), statistics.median(megabytes)


def _idle_mb(top: psutil.Process) -> float:
    """Once it has stopped working on its start."""
    before_s = -1.0
    while cpu_s([top]) > before_s:
        before_s = cpu_s([top])
        time.sleep(0.2)
    return rss_mb([top, *top.children(recursive=True)])
