"""The supervisor between the gateway and one child process: nothing of the child survives it.

A program of its own, run as `python -I -S shim.py CONTROL STATUS GATEWAY_PID LOCALE -- COMMAND...`; standard
library only, so that it starts in about 15 ms. It is the *subreaper* of everything the command starts:
whatever daemonises, forks twice or makes a session of its own becomes the shim's child when its parent dies,
and is found by the sweep.

    CONTROL  a pipe whose only writer is the gateway. `T`: SIGTERM to all; `K`: SIGKILL to all; end of file,
             or the end of the process GATEWAY_PID: the gateway died, sweep at once.
    STATUS   lines to the gateway: `pid N`, `fail ERRNO`, `exit N` (negative: signal), `left PID...` (could
             not be killed).
    LOCALE   `LC_CTYPE=...` or empty: Python itself sets this variable at its start, and the command must not
             inherit it.

A sweep is SIGTERM, a short grace, then SIGKILL until no child is left. It runs when the command's own process
ends too: a wrapper that leaves its server behind has ended.

What remains possible: a process of another user (sudo, setuid) cannot be killed and is reported as `left`;
when the shim itself is killed by SIGKILL, the command's own process dies with it (PDEATHSIG), its session is
killed by the gateway, and only a process which had left that session by then survives. Without Linux there is
no subreaper: the command's process group is killed, and whoever left the group survives.
"""

import ctypes
import os
import select
import signal
import sys
import time
from types import FrameType

__all__ = ["main", "processes"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_GRACE_S = 0.5
_KILL_DEADLINE_S = 2.0
_RESCAN_MS = 20
_ENDS_US = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def processes() -> dict[int, tuple[int, int]]:
    """All processes now: pid → (parent, session). Raises OSError where there is no /proc."""
    table: dict[int, tuple[int, int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                line = stat.read()
        except OSError:
            continue
        # The program's name is in parentheses and may hold anything, parentheses too.
        fields = line[line.rindex(b")") + 2 :].split()
        table[int(name)] = (int(fields[1]), int(fields[3]))
    return table


class _Shim:
    """One command, from its start to the end of its last descendant."""

    def __init__(self, control: int, status: int, gateway_pid: int) -> None:
        self._control = control
        self._status = status
        self._main = 0
        self.exit_status: int | None = None
        self._none_left = False
        self._wake, wake_write = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *_ENDS_US):
            signal.signal(number, _noted)
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        self._gateway = _watch(gateway_pid)
        if self._gateway >= 0:
            self._poll.register(self._gateway, select.POLLIN)

    def run(self, command: list[str], env: dict[str, str]) -> int:
        """Start the command, watch, sweep. Returns the status to exit with."""
        pid, errno = _start(command, env)
        if errno:
            self._say(f"fail {errno}")
            return 127
        self._main = pid
        self._let_go_of_stdio()
        self._say(f"pid {pid}")
        grace_s = self._watch()
        self._sweep(grace_s)
        code = self.exit_status
        return 255 if code is None else code if code >= 0 else 128 - code

    def _watch(self) -> float:
        """Wait for the end of the command, the gateway or ourselves. Returns the sweep's grace in seconds."""
        while self.exit_status is None:
            orders = self._next(None)
            if "K" in orders:
                return 0.0
            if "end" in orders:
                break
            if "T" in orders:
                self._signal_all(signal.SIGTERM)
        return _SWEEP_GRACE_S

    def _next(self, timeout_ms: int | None) -> set[str]:
        """Wait for something to happen; reap. Returns the orders: T, K, end."""
        orders: set[str] = set()
        for fd, _ in self._poll.poll(timeout_ms):
            if fd == self._wake:
                if any(number in _ENDS_US for number in os.read(fd, 512)):
                    orders.add("end")
                continue
            said = os.read(fd, 64) if fd == self._control else b""
            if not said:
                self._poll.unregister(fd)
                orders.add("end")
            orders.update(said.decode("ascii"))
        self._reap()
        return orders

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                # No child means no descendant: each one's parent chain ends here.
                self._none_left = True
                return
            if not pid:
                return
            if pid == self._main:
                self.exit_status = os.waitstatus_to_exitcode(status)
                self._say(f"exit {self.exit_status}")

    def _sweep(self, grace_s: float) -> None:
        self._reap()
        if not self._none_left and grace_s:
            self._signal_all(signal.SIGTERM)
            until_s = time.monotonic() + grace_s
            while not self._none_left and time.monotonic() < until_s:
                if "K" in self._next(_RESCAN_MS):
                    break
        until_s = time.monotonic() + _KILL_DEADLINE_S
        while not self._none_left and time.monotonic() < until_s:
            self._signal_all(signal.SIGKILL)
            self._next(_RESCAN_MS)
        if not self._none_left:
            self._say("left " + " ".join(str(pid) for pid in self._descendants()))

    def _signal_all(self, number: int) -> None:
        for pid in self._descendants():
            _kill(pid, number)
            if number == signal.SIGTERM:
                # A stopped process hears SIGTERM only when it goes on.
                _kill(pid, signal.SIGCONT)

    def _descendants(self) -> list[int]:
        """Everything below us; without /proc, the command's process group (as a negative number)."""
        try:
            table = processes()
        except OSError:
            return [-self._main]
        children: dict[int, list[int]] = {}
        for pid, (parent, _) in table.items():
            children.setdefault(parent, []).append(pid)
        found: list[int] = []
        stack = [os.getpid()]
        while stack:
            below = children.get(stack.pop(), [])
            found += below
            stack += below
        return found

    def _let_go_of_stdio(self) -> None:
        """The pipes belong to the command alone, else their ends would not show."""
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)

    def _say(self, line: str) -> None:
        try:
            os.write(self._status, line.encode("ascii") + b"\n")
        except OSError:
            # The gateway is gone; the control pipe says so too.
            pass


def _noted(_number: int, _frame: FrameType | None) -> None:
    """A signal needs a handler to reach the wake-up pipe."""


def _watch(gateway_pid: int) -> int:
    """A descriptor that becomes readable when the gateway ends, or -1.

    Beside the control pipe: a process forked from the gateway may hold that pipe open after the gateway's
    death.
    """
    try:
        return os.pidfd_open(gateway_pid) if os.getppid() == gateway_pid else -1
    except (AttributeError, OSError):
        return -1


def _start(command: list[str], env: dict[str, str]) -> tuple[int, int]:
    """Fork and execute. Returns (pid, 0), or (0, errno) when the command could not be executed."""
    said, say = os.pipe()
    us = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != us:
                os._exit(127)
            # Python ignores SIGPIPE, and whoever started the gateway may have ignored more (nohup).
            for number in signal.valid_signals():
                if signal.getsignal(number) == signal.SIG_IGN:
                    signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execvpe(command[0], command, env)
        except OSError as fault:
            os.write(say, str(fault.errno or 5).encode("ascii"))
        finally:
            os._exit(127)
    os.close(say)
    errno = os.read(said, 16)
    os.close(said)
    if errno:
        os.waitpid(pid, 0)
        return 0, int(errno)
    return pid, 0


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main(argv: list[str]) -> int:
    """Run as the program: see the module's text for the arguments."""
    control, status, gateway_pid = (int(word) for word in argv[1:4])
    for fd in (control, status):
        os.set_inheritable(fd, False)
    env = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
    if argv[4]:
        env["LC_CTYPE"] = argv[4].removeprefix("LC_CTYPE=")
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    return _Shim(control, status, gateway_pid).run(argv[6:], env)


if __name__ == "__main__":
    os._exit(main(sys.argv))
