"""What clients cost that are there and ask nothing: sessions, and the streams they listen on.

python -m bench.held

Each kind is opened at a gateway of its own, over real sockets; told is by how much its resident memory has grown, for
each of them. What the kernel keeps, such as the buffers of a socket, is not in it. Writes bench/results/held.json.
"""

import json
import shutil
import socket
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil

from .calls import message, opened
from .goals import Goal
from .load import cpu_s, settle
from .run import machine
from .started import (
    BUILD,
    HANDSHAKE,
    HERE,
    MODERN,
    TOOLS,
    UPSTREAM,
    CannotMeasure,
    Ports,
    Program,
    Started,
    Subject,
    build_upstream,
    free_port,
    launch,
    stop,
)
from .subjects import gateway_config

SESSIONS, STREAMS = 1_000, 500
_ENDPOINTS = 6
"""One caller has at most a hundred listen streams at each."""
_FIRST = 50
"""Opened before anything is counted: what is made once is there then."""
_IDLE_S = 16.0
"""Longer than it takes until a silent stream is kept awake."""
_ANSWER_S = 30.0
_LISTEN = {
    "notifications": {"toolsListChanged": True},
    "_meta": {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    },
}

Open = Callable[[Started, range], Sequence[socket.socket]]
"""Opens those of these numbers: the sockets that hold them."""


class Held(NamedTuple):
    kib: float
    """For each."""
    cpu_percent: float
    """Of one core, for all of them, while nothing happens."""


def sessions(gateway: Started, numbers: range) -> Sequence[socket.socket]:
    opened(gateway, numbers.stop)
    return ()


def listening(gateway: Started, numbers: range) -> Sequence[socket.socket]:
    """Streams of sessions of the handshake era, which were opened before."""
    own = ({"Mcp-Session-Id": gateway.sessions[number]} for number in numbers)
    return [_stream(gateway, "GET", "/mcp", headers) for headers in own]


def listens(gateway: Started, numbers: range) -> Sequence[socket.socket]:
    """Streams of `subscriptions/listen`, spread over virtual servers."""
    headers = {"Mcp-Method": "subscriptions/listen", "Content-Type": "application/json"}
    bodies = ((number, message("subscriptions/listen", _LISTEN, number)) for number in numbers)
    return [_stream(gateway, "POST", f"/mcp/s{number % _ENDPOINTS}", headers, body) for number, body in bodies]


def _stream(gateway: Started, method: str, path: str, more: dict[str, str], body: bytes = b"") -> socket.socket:
    """A connection on which an event stream has begun. Raises CannotMeasure."""
    headers = {
        "Host": f"127.0.0.1:{gateway.port}",
        "Authorization": f"Bearer {gateway.token}",
        "Accept": "application/json, text/event-stream" if body else "text/event-stream",
        "MCP-Protocol-Version": MODERN if body else HANDSHAKE,
        "Content-Length": str(len(body)),
        **more,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    made = socket.create_connection(("127.0.0.1", gateway.port), timeout=_ANSWER_S)
    made.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
    said = b""
    # Its first event: what is there from now on is all it needs.
    while b"\n\n" not in said.partition(b"\r\n\r\n")[2]:
        data = made.recv(65536)
        said += data
        if not data or not said.startswith(b"HTTP/1.1 200"):
            raise CannotMeasure(f"{method} {path} is answered with {said[:300]!r}")
    return made


def measured(folder: Path, upstream: int, prepare: int, open_: Open, count: int) -> Held:
    """At a gateway of its own, which has so many sessions before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    gateway = _started(folder, upstream)
    kept: list[socket.socket] = []
    try:
        process = psutil.Process(gateway.process.pid)
        opened(gateway, prepare)
        kept += open_(gateway, range(_FIRST))
        settle([process])
        before = process.memory_info().rss
        kept += open_(gateway, range(_FIRST, _FIRST + count))
        settle([process])
        grown = process.memory_info().rss - before
        begun_s = cpu_s([process])
        time.sleep(_IDLE_S)
        spent_s = cpu_s([process]) - begun_s
    finally:
        for one in kept:
            one.close()
        gateway.stop()
    return Held(grown / count / 1024, spent_s / _IDLE_S * 100)


def _started(folder: Path, upstream: int) -> Started:
    port = free_port()
    config = gateway_config(folder, Ports(upstream, port))
    servers = "".join(f"  s{number}: {{select: {{up: {{tools: ['*']}}}}}}\n" for number in range(_ENDPOINTS))
    limits = f"limits: {{max_sessions_per_principal: {SESSIONS + _FIRST}}}\n"
    config.write_text(f"{config.read_text()}servers:\n{servers}{limits}")
    home = folder / "home"
    program = Program(
        [sys.executable, "-m", "douane", "up", "--config", str(config)],
        env={"DOUANE_HOME": str(home)},
        ready="/readyz",
        token=home / "config" / "token",
        revision=HANDSHAKE,
    )
    subject = Subject("held", "the gateway, from source", lambda folder, ports: program)
    return Started(subject, program, port, launch(program, port, folder))


def goals(idle: Held, ear: Held, stream: Held) -> list[Goal]:
    return [
        Goal("G20a", f"KiB per idle session, {SESSIONS} of the older era", 4, idle.kib),
        Goal("G20b", f"KiB per session's own stream and its connection, {STREAMS}", 40, ear.kib),
        Goal("G20c", f"KiB per `subscriptions/listen` stream and its connection, {STREAMS}", 40, stream.kib),
        Goal("G20d", f"% of a core for {STREAMS} silent `subscriptions/listen` streams", 5, stream.cpu_percent),
    ]


def main() -> int:
    build_upstream()
    port, folder = free_port(), BUILD / "run" / "held"
    upstream = launch(Program([str(UPSTREAM), str(port), str(TOOLS)]), port, BUILD / "run" / "upstream")
    try:
        idle = measured(folder, port, 0, sessions, SESSIONS)
        ear = measured(folder, port, STREAMS + _FIRST, listening, STREAMS)
        stream = measured(folder, port, 0, listens, STREAMS)
    except CannotMeasure as exc:
        print(f"held: {exc}", file=sys.stderr)
        return 1
    finally:
        stop(upstream)
    found = [goal.told() for goal in goals(idle, ear, stream)]
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    document = {"machine": machine(), "when": when, "goals": found}
    (HERE / "results" / "held.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    for goal in found:
        print(f"{goal['id']}  {goal['goal']}: {goal['value']} (at most {goal['target']})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
