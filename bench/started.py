"""Programs that are measured: how one is described, started, and ended with everything it started."""

import http.client
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

HERE = Path(__file__).parent
BUILD = HERE / ".build"
UPSTREAM = BUILD / "upstream"
WHEEL = HERE.parent / ".venv-compiled" / "bin" / "python"
"""A Python with the wheel as it is released, its hot modules compiled (`make wheel`)."""
TOOLS = 500
MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"
# ContextForge makes its database first.
_START_S = 60.0
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


class CannotMeasure(Exception):
    """Something did not start, or did not answer as it must. The text says what."""


class Ports(NamedTuple):
    upstream: int
    own: int


class Program(NamedTuple):
    """How to start one subject, in a folder of its own."""

    line: Sequence[str]
    env: Mapping[str, str] = {}
    tool: str = "echo"
    """What the upstream's `echo` is called there."""
    ready: str | None = None
    """A path that answers 200 when calls are served. None: when the port is open."""
    token: Path | None = None
    """Where the token is, once the program serves."""
    revision: str = MODERN
    """What it is called in: each request on its own, or the handshake, with a session for each connection."""
    stdio: bool = False
    """Called over its standard streams, not at a port."""


class Subject(NamedTuple):
    name: str
    says: str
    """What it is, for the table."""
    program: Callable[[Path, Ports], Program]
    group: str = "gateways"
    """`gateways` are measured in every run, `peers` and `servers` with --peers."""
    needs: Path | None = None
    """What must be installed for it. Then it may be absent; without this, a run fails when it fails."""
    longer: int = 1
    """How many times as long it is called as others: for those that answer in seconds."""

    @property
    def is_installed(self) -> bool:
        return self.needs is None or self.needs.exists()


class Started:
    """A subject that runs. Ended by `stop`, with all it started."""

    def __init__(self, subject: Subject, program: Program, port: int, process: subprocess.Popen[bytes]) -> None:
        self.subject, self.program, self.port, self.process = subject, program, port, process
        self.name = subject.name
        self.token = program.token.read_text().strip() if program.token is not None else None
        self.sessions: list[str] = []
        """Those that were opened there; a server of the handshake that keeps none leaves this empty."""
        self.greeted = False
        self.ids = itertools.count(1_000)
        """For requests that go one at a time; a load has those below."""

    def processes(self) -> list[psutil.Process]:
        """The whole tree."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def stop(self) -> None:
        stop(self.process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, wait, then kill: the process and everything below it."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    for left in psutil.wait_procs(below, 3)[1]:
        left.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(program: Program, port: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start a program, and wait until it serves. What it says goes to log.txt of its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "log.txt"
    with said.open("wb") as log:
        process = subprocess.Popen(
            program.line,
            env={**os.environ, "PATH": _PATH, **program.env},
            stdin=subprocess.PIPE if program.stdio else subprocess.DEVNULL,
            stdout=subprocess.PIPE if program.stdio else log,
            stderr=log,
            bufsize=0,
        )
    end_s = time.monotonic() + _START_S
    while not (program.stdio or _serves(port, program)):
        if process.poll() is not None or time.monotonic() > end_s:
            stop(process)
            raise CannotMeasure(f"{program.line[0]} does not serve:\n{said.read_text(errors='replace')[-2000:]}")
        time.sleep(0.005)
    return process


def _serves(port: int, program: Program) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
        if program.ready is not None:
            connection.request("GET", program.ready)
            if connection.getresponse().status != 200:
                return False
        return program.token is None or program.token.exists()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def started(subject: Subject, folder: Path, upstream: int) -> Started:
    """Start it in an empty folder, in front of the upstream. Raises CannotMeasure."""
    if not subject.is_installed:
        raise CannotMeasure(f"not installed: {_why_not(subject)}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    program = subject.program(folder, Ports(upstream, port))
    return Started(subject, program, port, launch(program, port, folder))


def _why_not(subject: Subject) -> str:
    """What bench/programs.sh has left about it."""
    assert subject.needs is not None
    said = BUILD / f"{subject.needs.relative_to(BUILD).parts[0]}.failed"
    if not said.exists():
        return "`make bench BENCH=--peers` does that"
    lines = [line.strip() for line in said.read_text(errors="replace").split("\n") if line.strip()]
    return next((line for line in lines if "error" in line.lower()), "".join(lines[:1]))


def build_upstream() -> None:
    """Compile the C upstream, unless it is newer than its source."""
    source = HERE / "upstream.c"
    if not UPSTREAM.exists() or UPSTREAM.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-std=gnu11", "-o", str(UPSTREAM), str(source)], check=True)
