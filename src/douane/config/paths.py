"""Where things live. Pure: the environment is an argument.

`DOUANE_HOME` puts everything under one folder; otherwise the XDG folders are used. Keys never lie beside the data:
who copies a data directory gets no key with it.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

__all__ = ["CONFIG_NAME", "ROOTS", "Paths", "find_config", "paths_for"]

CONFIG_NAME = "douane.yaml"
ROOTS = ("DOUANE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
"""The variables that say, beside HOME, where things live."""
_MAX_SOCKET_PATH = 100
"""Linux allows 107 bytes, macOS 103."""


class Paths(msgspec.Struct, frozen=True):
    config_dir: Path
    """Configuration, policies, the token (0600) and keys."""
    data_dir: Path
    """What must survive."""
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
    def revoked(self) -> Path:
        """What `douane revoke` has written."""
        return self.config_dir / "revoked.cedar"

    @property
    def secrets(self) -> Path:
        """A file NAME in here is what the variable NAME_FILE would name."""
        return self.config_dir / "secrets"

    @property
    def logins(self) -> Path:
        """Where `douane login` keeps what it was granted, a file per server."""
        return self.config_dir / "logins"

    @property
    def consents(self) -> Path:
        """Which imported commands were agreed to."""
        return self.config_dir / "consents.json"

    def socket_of(self, server: str) -> Path:
        """Where `douane stdio --server` joins it. A path of a socket is short, so its name is not in it."""
        return self.socket.with_name(f"{hashlib.sha256(server.encode()).hexdigest()[:7]}.sock")

    @property
    def audit(self) -> Path:
        return self.data_dir / "audit.db"

    @property
    def records(self) -> Path:
        """What else must survive: users, clients, and what they were given."""
        return self.data_dir / "records.db"

    @property
    def serving(self) -> Path:
        """What a running gateway says of itself."""
        return self.data_dir / "serving.json"


def paths_for(env: Mapping[str, str]) -> Paths:
    """Raises KeyError when neither DOUANE_HOME nor HOME names a place.

    The same on macOS as on Linux: what people write down about one holds for the other. A relative DOUANE_HOME, HOME or
    XDG folder is passed over, as the XDG specification says: it would be another place in every folder.
    """
    own = _folder(env, "DOUANE_HOME")
    if own is not None:
        config, data, runtime = own / "config", own / "data", own / "run"
    else:
        home = _folder(env, "HOME")
        config = (_folder(env, "XDG_CONFIG_HOME") or _under(home, ".config")) / "douane"
        data = (_folder(env, "XDG_DATA_HOME") or _under(home, ".local/share")) / "douane"
        shared = _folder(env, "XDG_RUNTIME_DIR")
        runtime = data / "run" if shared is None else shared / "douane"
    return Paths(config, data, _short(runtime / "douane.sock", env))


def _folder(env: Mapping[str, str], name: str) -> Path | None:
    path = Path(env.get(name) or "")
    return path if path.is_absolute() else None


def _under(home: Path | None, inner: str) -> Path:
    if home is None:
        raise KeyError("HOME")
    return home / inner


def _short(socket: Path, env: Mapping[str, str]) -> Path:
    if len(os.fsencode(socket)) <= _MAX_SOCKET_PATH:
        return socket
    mark = hashlib.sha256(os.fsencode(socket)).hexdigest()[:16]
    places = [Path(folder) / f"douane-{mark}" / "douane.sock" for folder in (env.get("TMPDIR") or "/tmp", "/tmp")]
    return next((place for place in places if len(os.fsencode(place)) <= _MAX_SOCKET_PATH), places[-1])


def find_config(given: str | None, env: Mapping[str, str], here: Path, paths: Paths) -> Path | None:
    """`--config`, then $DOUANE_CONFIG, ./douane.yaml, the configuration folder. None: there is none.

    What is named is not looked at here: if it is missing, reading it says so.
    """
    for named in (given, env.get("DOUANE_CONFIG")):
        if named:
            return Path(named)
    return next((p for p in (here / CONFIG_NAME, paths.config_dir / CONFIG_NAME) if p.is_file()), None)
