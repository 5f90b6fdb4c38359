"""Where things live. Pure: the environment is an argument.

`DOUANE_HOME` puts everything under one folder; otherwise the XDG folders are used. Keys never lie beside the data:
who copies a data directory gets no key with it.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

__all__ = ["CONFIG_NAME", "Paths", "find_config", "paths_for"]

CONFIG_NAME = "douane.yaml"
_MAX_SOCKET_PATH = 100
"""Linux allows 107 bytes, macOS 103."""


class Paths(msgspec.Struct, frozen=True):
    config_dir: Path
    """Configuration, policies, the token (0600) and keys."""
    data_dir: Path
    """What must survive: the audit log."""
    socket: Path
    """Where `douane stdio` joins a running gateway."""

    @property
    def token(self) -> Path:
        return self.config_dir / "token"

    @property
    def keys(self) -> Path:
        return self.config_dir / "keys"

    @property
    def policy(self) -> Path:
        return self.config_dir / "policy.cedar"

    @property
    def allowed(self) -> Path:
        """What `douane allow` has written."""
        return self.config_dir / "allowed.cedar"

    @property
    def audit(self) -> Path:
        return self.data_dir / "audit.db"


def paths_for(env: Mapping[str, str]) -> Paths:
    """Raises KeyError when neither DOUANE_HOME nor HOME is set."""
    own = env.get("DOUANE_HOME")
    if own:
        root = Path(own)
        config, data, runtime = root / "config", root / "data", root / "run"
    else:
        home = Path(env["HOME"])
        config = Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "douane"
        data = Path(env.get("XDG_DATA_HOME") or home / ".local" / "share") / "douane"
        runtime = Path(env.get("XDG_RUNTIME_DIR") or data) / ("douane" if env.get("XDG_RUNTIME_DIR") else "run")
    return Paths(config, data, _short(runtime / "douane.sock", env))


def _short(socket: Path, env: Mapping[str, str]) -> Path:
    if len(str(socket)) <= _MAX_SOCKET_PATH:
        return socket
    mark = hashlib.sha256(str(socket).encode()).hexdigest()[:16]
    return Path(env.get("TMPDIR") or "/tmp") / f"douane-{mark}" / "douane.sock"


def find_config(given: str | None, env: Mapping[str, str], here: Path, paths: Paths) -> Path | None:
    """`--config`, then $DOUANE_CONFIG, ./douane.yaml, the configuration folder. None: there is none."""
    for named in (given, env.get("DOUANE_CONFIG")):
        if named:
            return Path(named)
    return next((p for p in (here / CONFIG_NAME, paths.config_dir / CONFIG_NAME) if p.is_file()), None)
