"""What is measured: how each is started, and how it is called. A new one is a function and a line in SUBJECTS."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .peers import PEERS
from .started import BUILD, HERE, TOOLS, UPSTREAM, WHEEL, Ports, Program, Subject


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
    return Program([sys.executable, str(HERE / "official_server.py"), "http", str(ports.own), str(TOOLS)])


SUBJECTS = (
    Subject("direct", "the upstream itself, called directly", _direct),
    Subject("nginx", "nginx, a plain reverse proxy", _nginx),
    Subject("durable", "Douane, every control on, two durable commits per call", _durable),
    Subject("memory", "Douane, every control on, audit log in memory", _in_memory),
    Subject("source", "the same, not compiled, as `make run` starts it", _interpreted),
    Subject("envoy", "Envoy 1.40 mcp_router, no guards, nothing written", _envoy, needs=ENVOY),
    Subject("official", "a server on the official SDK (mcp 2.3.0), called directly", _official),
    *PEERS,
)
