"""The gateway in the middle: one upstream, names as they are, a policy that permits what is marked, and all is marked."""

import json
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from . import suite
from .relay import relaying

__all__ = ["Gateway", "before", "gateway"]

_MODERN = b"2026-07-28"
_EVERYTHING = {kind: ["*"] for kind in ("tools", "resources", "prompts")}

_ASKS = ["elicitation", "sampling", "roots"]


class Gateway(NamedTuple):
    url: str
    token: str


@asynccontextmanager
async def before(upstream: str, *hosts: str, apart: bool = True) -> AsyncGenerator[Gateway]:
    """A gateway with one upstream. `hosts`: more names that it answers to, and pages of which may call it. `apart`: as
    for `suite.serving`."""
    config: dict[str, Any] = {
        "listen": {"port": 0, "hosts": hosts, "origins": [f"http://{host}" for host in hosts]},
        "upstreams": {"fixture": {"url": upstream, "prefix": "", "reads": _EVERYTHING, "asks": _ASKS}},
    }
    with tempfile.TemporaryDirectory(prefix="conformance-") as home:
        file = Path(home) / "douane.yaml"
        file.write_text(json.dumps(config))
        command = [sys.executable, "-m", "douane", "up", "--config", str(file)]
        async with suite.serving(command, {"DOUANE_HOME": home}, apart=apart) as url:
            yield Gateway(url, (Path(home) / "config" / "token").read_text().strip())


@asynccontextmanager
async def gateway(*, handshake: bool) -> AsyncGenerator[str]:
    """Where a gateway before the fixture serves who has no token. `handshake`: it speaks that era with the fixture."""
    async with relaying() as front, relaying() as behind:
        fixture = suite.program("conformance.fixture", "http", "0", f"127.0.0.1:{behind.port}")
        async with suite.serving(fixture) as upstream:
            behind.to_port = urlsplit(upstream).port or 0
            behind.refuses = _MODERN if handshake else b""
            hosts = (f"127.0.0.1:{front.port}", f"localhost:{front.port}")
            async with before(f"http://127.0.0.1:{behind.port}/mcp", *hosts) as (url, token):
                front.to_port = urlsplit(url).port or 0
                front.adds = f"Authorization: Bearer {token}\r\n".encode()
                yield f"http://{hosts[0]}/mcp"
