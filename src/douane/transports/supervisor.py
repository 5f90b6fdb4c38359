"""The gateway's end of the shim: start it, hear what it says, give it orders, see it gone.

The control pipe is the promise: its only writer is this process, so its end, for whatever cause, is the order
to sweep.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from douane.transports import shim
from douane.transports.command import Command, SpawnFailed
from douane.transports.lines import Lines
from douane.transports.pipes import ReadPipe

__all__ = ["Ends", "Supervisor", "launch"]

_MAX_STATUS_BYTES = 64 * 1024
_LAST_RESORT_S = 1.0


@dataclass(frozen=True, slots=True)
class Ends:
    """Our ends of the child's three pipes; ours to close."""

    stdin: int
    stdout: int
    stderr: int


def launch(command: Command) -> tuple["Supervisor", Ends]:
    """Start the shim with the command. Returns before the command itself runs; see `Supervisor.ready`.

    Raises SpawnFailed when not even the shim could be started.
    """
    ours: list[int] = []
    theirs: list[int] = []
    try:
        for inwards in (True, False, False, True, False):
            read, write = os.pipe()
            ours.append(write if inwards else read)
            theirs.append(read if inwards else write)
        process = _popen(command, theirs)
    except (OSError, ValueError) as fault:
        _close(ours)
        raise SpawnFailed(f"cannot start {command.argv[0]!r}: {_why(command, fault)}") from fault
    finally:
        _close(theirs)
    for fd in ours:
        os.set_blocking(fd, False)
    return Supervisor(command, process, control=ours[3], status=ours[4]), Ends(*ours[:3])


def _popen(command: Command, ends: list[int]) -> subprocess.Popen[bytes]:
    stdin, stdout, stderr, control, status = ends
    locale = f"LC_CTYPE={command.env['LC_CTYPE']}" if "LC_CTYPE" in command.env else ""
    program = [sys.executable, "-I", "-S", shim.__file__]
    arguments = [str(control), str(status), str(os.getpid()), locale, "--", *command.argv]
    return subprocess.Popen(
        program + arguments,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=(control, status),
        env=dict(command.env),
        cwd=command.cwd,
        # Ctrl-C on the gateway's terminal is for the gateway, which then closes its children in order.
        start_new_session=True,
    )


def _why(command: Command, fault: Exception) -> str:
    if isinstance(fault, OSError):
        if command.cwd is not None and fault.filename == command.cwd:
            return f"its working directory {command.cwd!r} cannot be entered ({fault.strerror})"
        return fault.strerror or str(fault)
    return str(fault)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


class Supervisor:
    """A running shim."""

    def __init__(self, command: Command, process: subprocess.Popen[bytes], *, control: int, status: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = command.argv[0]
        self._process = process
        self._control = control
        self._lines = Lines(_MAX_STATUS_BYTES)
        self._status = ReadPipe(status, self._heard, self._ended)
        self._status.start()
        self.ready: asyncio.Future[int] = self._loop.create_future()
        """The pid of the command's own process, or SpawnFailed."""
        self._gone = asyncio.Event()
        self.pid: int | None = None
        self.returncode: int | None = None
        self.left: str = ""
        """Processes that could not be killed, by pid."""
        self.on_exit: Callable[[], None] | None = None
        """Called once when the command's own process has ended, or the shim without saying so."""

    def order(self, letter: str) -> None:
        """`T`: SIGTERM to everything below the shim; `K`: SIGKILL and sweep."""
        with contextlib.suppress(OSError):
            os.write(self._control, letter.encode("ascii"))

    async def gone_within(self, seconds: float) -> bool:
        """Wait for the shim's end, which is the end of everything below it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        return self._gone.is_set()

    def bury(self) -> None:
        """Close what is ours and reap the shim; if it still runs, kill what we can reach. Idempotent."""
        if self._control < 0:
            return
        if not self._gone.is_set():
            self.order("K")
        os.close(self._control)
        self._control = -1
        try:
            self._process.wait(_LAST_RESORT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._status.close()
        self._finish()

    def _heard(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            word, _, rest = line.decode("ascii", "replace").partition(" ")
            if word == "pid":
                self.pid = int(rest)
                if not self.ready.done():
                    self.ready.set_result(self.pid)
            elif word == "fail":
                self._fail(_exec_failure(self._name, int(rest)))
            elif word == "exit":
                self.returncode = int(rest)
                self._tell_exit()
            elif word == "left":
                self.left = rest

    def _ended(self) -> None:
        self._finish()
        self._tell_exit()

    def _finish(self) -> None:
        self._fail(f"cannot start {self._name!r}: its supervisor ended before it")
        if self.returncode is None and self.pid is not None:
            _kill_session(self.pid)
        self._gone.set()

    def _fail(self, text: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(SpawnFailed(text))
            # Whoever gave up waiting for it has said so already.
            self.ready.exception()

    def _tell_exit(self) -> None:
        if self.on_exit is not None:
            on_exit, self.on_exit = self.on_exit, None
            on_exit()


def _exec_failure(name: str, errno: int) -> str:
    reasons = {
        2: "no such command: check its name and PATH, or the interpreter its first line names",
        8: "not a program this machine can run: check its first line (#!)",
        13: "not executable: check its permissions",
    }
    return f"cannot start {name!r}: {reasons.get(errno, os.strerror(errno))}"


def _kill_session(pid: int) -> None:
    """Kill what is left of the command's session when the shim could not: best effort."""
    try:
        members = [member for member, (_, session) in shim.processes().items() if session == pid]
    except OSError:
        members = [-pid]
    for member in members:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member, signal.SIGKILL)
