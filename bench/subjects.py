"""What is measured: how each is started, and how it is called. A new one is a function and a line in SUBJECTS."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
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
_START_S = 30.0
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


class Subject(NamedTuple):
    name: str
    says: str
    """What it is, for the table."""
    program: Callable[[Path, Ports], Program]


class Started:
    """A subject that runs. Ended by `stop`, with all it started."""

    def __init__(self, subject: Subject, program: Program, port: int, process: subprocess.Popen[bytes]) -> None:
        self.subject, self.tool, self.port, self._process = subject, program.tool, port, process
        self.token = program.token.read_text().strip() if program.token is not None else None

    def processes(self) -> list[psutil.Process]:
        """The whole tree."""
        top = psutil.Process(self._process.pid)
        return [top, *top.children(recursive=True)]

    def stop(self) -> None:
        stop(self._process)


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
    for left in psutil.wait_procs(below, 3)[1]:
        left.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(line: Sequence[str], port: int, folder: Path, env: Mapping[str, str], ready: str | None) -> subprocess.Popen:
    """Start a program, and wait until it serves. What it says goes to log.txt of its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "log.txt"
    with said.open("wb") as log:
        process = subprocess.Popen(
            line,
            env={**os.environ, "PATH": _PATH, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    end_s = time.monotonic() + _START_S
    while not _serves(port, ready):
        if process.poll() is not None or time.monotonic() > end_s:
            stop(process)
            raise CannotMeasure(f"{line[0]} does not serve:\n{said.read_text(errors='replace')[-2000:]}")
        time.sleep(0.005)
    return process


def _serves(port: int, ready: str | None) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
        if ready is None:
            return True
        connection.request("GET", ready)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def started(subject: Subject, folder: Path, upstream: int) -> Started:
    """Start it in an empty folder, in front of the upstream."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    program = subject.program(folder, Ports(upstream, port))
    process = launch(program.line, port, folder, program.env, program.ready)
    return Started(subject, program, port, process)


def build_upstream() -> None:
    """Compile the C upstream, unless it is newer than its source."""
    source = HERE / "upstream.c"
    if not UPSTREAM.exists() or UPSTREAM.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-std=gnu11", "-o", str(UPSTREAM), str(source)], check=True)


# --- the programs ---


def _direct(folder: Path, ports: Ports) -> Program:
    return Program([str(UPSTREAM), str(ports.own), str(TOOLS)])


NGINX = """
{user}worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 4m;
  client_body_buffer_size 512k;
  keepalive_requests 100000000;
  upstream behind {{
    server 127.0.0.1:{upstream};
    keepalive 128;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{own} backlog=1024;
    location / {{
      proxy_pass http://behind;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      # A list of 500 tools stays in memory: with the default, nginx would write it to a file first.
      proxy_buffers 8 64k;
    }}
  }}
}}
"""


def _nginx(folder: Path, ports: Ports) -> Program:
    config = folder / "nginx.conf"
    # As root, the worker would change to a user that cannot enter the folder.
    user = "user root;\n" if os.getuid() == 0 else ""
    config.write_text(NGINX.format(folder=folder, user=user, **ports._asdict()))
    return Program(["nginx", "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")])


ENVOY = BUILD / "envoy" / "envoy" / "_bin" / "envoy"
"""`make bench` puts it there, from PyPI. Where there is no wheel for the machine, it is not measured."""
_V3 = "type.googleapis.com/envoy.extensions.filters"
ENVOY_CONFIG = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {own}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {v3}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: up}}}}]}}]
          http_filters:
          - name: envoy.filters.http.mcp
            typed_config: {{"@type": {v3}.http.mcp.v3.Mcp, max_request_body_size: 4194304}}
          - name: envoy.filters.http.mcp_router
            typed_config:
              "@type": {v3}.http.mcp_router.v3.McpRouter
              servers: [{{name: up, mcp_cluster: {{cluster: up, path: /mcp}}}}]
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
"""


def _envoy(folder: Path, ports: Ports) -> Program:
    config = folder / "envoy.yaml"
    config.write_text(ENVOY_CONFIG.format(v3=_V3, **ports._asdict()))
    return Program([str(ENVOY), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "error"])


def gateway_config(folder: Path, ports: Ports, upstreams: int = 1) -> Path:
    """A douane.yaml with the upstream, once or under several names, and every control on."""
    names = ["up", *(f"up{number}" for number in range(2, upstreams + 1))]
    entries = "".join(
        f"  {name}:\n    url: http://127.0.0.1:{ports.upstream}/mcp\n    reads: {{tools: ['*']}}\n" for name in names
    )
    config = folder / "douane.yaml"
    config.write_text(f"listen: {{port: {ports.own}}}\nlog: {{level: warning}}\nupstreams:\n{entries}")
    return config


def _gateway(line: Sequence[str], folder: Path, ports: Ports) -> Program:
    home = folder / "home"
    return Program(
        [*line, str(gateway_config(folder, ports))],
        env={"DOUANE_HOME": str(home)},
        tool="up_echo",
        ready="/readyz",
        token=home / "config" / "token",
    )


def _durable(folder: Path, ports: Ports) -> Program:
    return _gateway([str(WHEEL), "-m", "douane", "up", "--config"], folder, ports)


def _in_memory(folder: Path, ports: Ports) -> Program:
    return _gateway([str(WHEEL), str(HERE / "gateway.py")], folder, ports)


def _interpreted(folder: Path, ports: Ports) -> Program:
    return _gateway([sys.executable, str(HERE / "gateway.py")], folder, ports)


def _official(folder: Path, ports: Ports) -> Program:
    return Program([sys.executable, str(HERE / "official_server.py"), str(ports.own), str(TOOLS)])


SUBJECTS = (
    Subject("direct", "the upstream itself, called directly", _direct),
    Subject("nginx", "nginx, a plain reverse proxy", _nginx),
    Subject("durable", "Douane, every control on, two durable commits per call", _durable),
    Subject("memory", "Douane, every control on, audit log in memory", _in_memory),
    Subject("source", "the same, not compiled, as `make run` starts it", _interpreted),
    Subject("envoy", "Envoy 1.40 mcp_router, no guards, nothing written", _envoy),
    Subject("official", "a server on the official SDK (mcp 2.3.0), called directly", _official),
)
