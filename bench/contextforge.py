"""ContextForge with the upstream registered, sessions kept, JSON answers, without pages and without limits of rate.

python contextforge.py UPSTREAM_PORT PORT FOLDER

For its own environment, not for ours. Once calls are served, a token is in FOLDER/token.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

_START_S = 60.0
_ADMIN = "bench@example.com"


def settings(folder: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{folder}/contextforge.db",
        "JWT_SECRET_KEY": secrets.token_urlsafe(48),
        "AUTH_ENCRYPTION_SECRET": secrets.token_urlsafe(48),
        "PLATFORM_ADMIN_EMAIL": _ADMIN,
        "PLATFORM_ADMIN_PASSWORD": secrets.token_urlsafe(24) + "aA1!",
        "BASIC_AUTH_PASSWORD": secrets.token_urlsafe(24) + "aA1!",
        "USE_STATEFUL_SESSIONS": "true",
        "JSON_RESPONSE_ENABLED": "true",
        "MCPGATEWAY_UI_ENABLED": "false",
        "MCPGATEWAY_ADMIN_API_ENABLED": "false",
        "LOG_LEVEL": "ERROR",
        # A hundred calls a minute, otherwise.
        "RATE_LIMITING_ENABLED": "false",
        # The upstream is on this machine.
        "SSRF_ALLOW_LOCALHOST": "true",
    }


def token(env: dict[str, str]) -> str:
    line = [sys.executable, "-m", "mcpgateway.utils.create_jwt_token"]
    line += ["--username", _ADMIN, "--exp", "1440", "--admin"]
    return subprocess.run(line, env=env, check=True, capture_output=True, text=True).stdout.split()[-1]


def register(port: int, upstream: int, bearer: str) -> None:
    """Tell it of the upstream, as soon as it listens."""
    entry = {"name": "up", "url": f"http://127.0.0.1:{upstream}/mcp", "transport": "STREAMABLEHTTP"}
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    wanted = urllib.request.Request(f"http://127.0.0.1:{port}/gateways", json.dumps(entry).encode(), headers)
    end_s = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(wanted, timeout=30):
                return
        except urllib.error.HTTPError as exc:
            sys.exit(f"contextforge refuses the upstream: {exc} {exc.read()[:500]!r}")
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.1)


def main() -> None:
    upstream, port, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).resolve()
    env = {**os.environ, **settings(folder)}
    line = [str(Path(sys.executable).parent / "mcpgateway"), "--host", "127.0.0.1", "--port", str(port)]
    gateway = subprocess.Popen([*line, "--no-access-log"], env=env, cwd=folder)
    signal.signal(signal.SIGTERM, lambda number, frame: gateway.terminate())
    try:
        bearer = token(env)
        register(port, upstream, bearer)
        (folder / "token").write_text(bearer)
        gateway.wait()
    finally:
        gateway.terminate()


main()
