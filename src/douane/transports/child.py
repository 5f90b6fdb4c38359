"""An MCP server as a child process: frames over its standard streams, and nothing of it left behind.

The command runs under a supervisor (`shim`), gets exactly the environment it is given, and its standard error
is always drained. Its end, however it comes, is told once and within a quarter of a second. Nothing here
restarts or retries.

Spec: basic/transports/stdio.mdx; lifecycle, shutdown on stdio (close stdin, wait, SIGTERM, wait, SIGKILL).
"""

import asyncio
import logging
import signal
from collections.abc import Callable

from douane.transports.command import INHERITED, Command, SpawnFailed, env_for
from douane.transports.lines import DEFAULT_MAX_FRAME_BYTES, Lines
from douane.transports.link import LinkClosed, OnClose, OnFrame
from douane.transports.pipes import PipeFull, ReadPipe, WritePipe
from douane.transports.stderr import LastWords, printable
from douane.transports.supervisor import Ends, Supervisor, launch

__all__ = ["INHERITED", "ChildLink", "Command", "SpawnFailed", "env_for", "spawn"]

log = logging.getLogger(__name__)

_MAX_UNREAD_BYTES = 1024 * 1024
_SPAWN_DEADLINE_S = 10.0
_KILL_DEADLINE_S = 4.0
# A process that closes a stream is usually ending: its status, a moment later, is the better reason. On a machine that
# has much to do the moment is long; who lives on without the stream is rare, and can wait.
_LAST_WORDS_S = 0.5
_MAX_DRAIN_BYTES = 2 * 1024 * 1024
_NOISE_SHOWN_CHARS = 200


async def spawn(
    command: Command,
    *,
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
    on_stderr: Callable[[str], None] | None = None,
    stderr_ring_bytes: int = 64 * 1024,
    eof_grace_s: float = 2.0,
    term_grace_s: float = 2.0,
) -> "ChildLink":
    """Start a command and return once it has been executed.

    `on_stderr` gets each line of its standard error, safe to print; the graces are those of
    `ChildLink.aclose`. Raises SpawnFailed, naming the command, when it cannot be executed; then nothing is
    left of it.
    """
    supervisor, ends = launch(command)
    link = ChildLink(
        command.argv[0],
        supervisor,
        ends,
        lines=Lines(max_frame_bytes),
        last_words=LastWords(stderr_ring_bytes, on_stderr),
        graces_s=(eof_grace_s, term_grace_s),
    )
    try:
        async with asyncio.timeout(_SPAWN_DEADLINE_S):
            await supervisor.ready
    except TimeoutError:
        await link.aclose()
        raise SpawnFailed(f"cannot start {command.argv[0]!r}: nothing within {_SPAWN_DEADLINE_S:g} s") from None
    except BaseException:
        await link.aclose()
        raise
    return link


class ChildLink:
    """The line to one child. Made by `spawn`."""

    def __init__(
        self,
        name: str,
        supervisor: Supervisor,
        ends: Ends,
        *,
        lines: Lines,
        last_words: LastWords,
        graces_s: tuple[float, float],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._supervisor = supervisor
        self._lines = lines
        self._last_words = last_words
        self._graces_s = graces_s
        self._stdin = WritePipe(
            ends.stdin,
            max_pending_bytes=_MAX_UNREAD_BYTES,
            on_broken=lambda: self._quits("closed its standard input"),
        )
        self._stdout = ReadPipe(ends.stdout, self._on_stdout, lambda: self._quits("closed its standard output"))
        self._stderr = ReadPipe(ends.stderr, last_words.feed, last_words.end)
        self._stderr.start()
        supervisor.on_exit = self._exited
        self._early: list[bytes] = []
        self._on_frame: OnFrame | None = None
        self._on_close: OnClose | None = None
        self._why_closed: str | None = None
        self._quitting: asyncio.TimerHandle | None = None
        self._teardown: asyncio.Task[None] | None = None
        self.noise = 0
        """Lines on its standard output that were no JSON object or array, and were not delivered."""

    @property
    def pid(self) -> int | None:
        """The process the command itself runs in: not the supervisor."""
        return self._supervisor.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs, or when nobody could learn it."""
        return self._supervisor.returncode

    def stderr_tail(self) -> str:
        """The last of what it said on its standard error, safe to print."""
        return self._last_words.tail()

    def start(self, on_frame: OnFrame, on_close: OnClose) -> None:
        if self._on_frame is not None:
            raise RuntimeError("the link was started before")
        self._on_frame, self._on_close = on_frame, on_close
        if self._why_closed is None:
            self._stdout.start()
        else:
            self._loop.call_soon(self._tell_end)

    def send(self, frame: bytes) -> None:
        if self._why_closed is not None:
            raise LinkClosed(self._why_closed)
        try:
            self._stdin.write_line(frame)
        except PipeFull:
            self._end(f"{self._name}: the child does not read: {_MAX_UNREAD_BYTES} bytes wait for it")
            raise LinkClosed("the child does not read") from None
        except OSError:
            self._quits("closed its standard input")
            raise LinkClosed(f"{self._name}: the child has closed its standard input") from None

    async def aclose(self) -> None:
        """Close stdin; after `eof_grace_s` SIGTERM to all; after `term_grace_s` SIGKILL to all; reap.
        Idempotent.

        When the caller is cancelled meanwhile, closing goes on without it.
        """
        self._end("closed on this side")
        if self._teardown is not None:
            await asyncio.shield(self._teardown)

    def _on_stdout(self, data: bytes) -> None:
        if self._why_closed is not None:
            return
        for frame in self._lines.feed(data):
            if frame[:1] in (b"{", b"[") or frame.lstrip()[:1] in (b"{", b"["):
                self._take(frame)
            else:
                self._note_noise(frame)
            if self._why_closed is not None:
                return
        if self._lines.overlong:
            self._end(f"{self._name}: the child sent a line longer than the limit for one message")
            # Whoever still writes that line is told so by the pipe.
            self._stdout.close()

    def _take(self, frame: bytes) -> None:
        if self._on_frame is None:
            self._early.append(frame)
        else:
            self._on_frame(frame)

    def _note_noise(self, line: bytes) -> None:
        self.noise += 1
        # At 1, 10, 100, …: a server that logs to the wrong stream must not fill ours.
        if str(self.noise).strip("0") == "1":
            shown = printable(line[:_NOISE_SHOWN_CHARS])
            log.warning("%s: not a message on its standard output (%d so far): %s", self._name, self.noise, shown)

    def _quits(self, what: str) -> None:
        if self._why_closed is None and self._quitting is None:
            self._quitting = self._loop.call_later(_LAST_WORDS_S, self._end_with_last_words, f"the child {what}")

    def _exited(self) -> None:
        # What it wrote before its end is in the pipes now, and comes before the news of its end.
        self._stdout.drain(_MAX_DRAIN_BYTES)
        self._end_with_last_words(_how_it_ended(self.returncode))

    def _end_with_last_words(self, what: str) -> None:
        self._stderr.drain(_MAX_DRAIN_BYTES)
        said = self._last_words.last_lines(3, 500)
        self._end(f"{self._name}: {what}" + (f"; it last said: {said}" if said else ""))

    def _end(self, why: str) -> None:
        if self._why_closed is not None:
            return
        self._why_closed = why
        if self._quitting is not None:
            self._quitting.cancel()
        self._loop.call_soon(self._tell_end)
        self._teardown = self._loop.create_task(self._tear_down(), name=f"close {self._name}")

    def _tell_end(self) -> None:
        if self._on_frame is None or self._on_close is None:
            return
        on_close, self._on_close = self._on_close, None
        early, self._early = self._early, []
        for frame in early:
            self._on_frame(frame)
        on_close(self._why_closed or "")

    async def _tear_down(self) -> None:
        eof_grace_s, term_grace_s = self._graces_s
        try:
            self._stdin.finish()
            # A child that is blocked in a write would not see the end of its input.
            self._stdout.start()
            for order, patience_s in (("", eof_grace_s), ("T", term_grace_s), ("K", _KILL_DEADLINE_S)):
                if order:
                    self._supervisor.order(order)
                if await self._supervisor.gone_within(patience_s):
                    break
        finally:
            self._supervisor.bury()
            for pipe in (self._stdin, self._stdout, self._stderr):
                pipe.close()
        if self._supervisor.left:
            log.error("%s: could not be killed and still run: %s", self._name, self._supervisor.left)


def _how_it_ended(returncode: int | None) -> str:
    if returncode is None:
        return "the child's supervisor was killed, and the child with it"
    if returncode >= 0:
        return f"the child exited with status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"the child was killed by {name}"
