"""The keys that tokens are signed with: ES256, in one file in the folder of keys, newest first.

Two are published: the one that signs, and the one before it until all it signed has expired. Spec: RFC 7517, RFC 9068 §4.
"""

import os
import stat
from pathlib import Path
from typing import Any

import msgspec
from joserfc.jwk import ECKey

from ...wire import json

__all__ = ["KeysUnusable", "SigningKeys", "rotate", "signing_keys"]

ALG = "ES256"
_CURVE = "P-256"
_PUBLISHED = 2
_MAX_BYTES = 16_384


class KeysUnusable(Exception):
    """The file of keys is not one that may be trusted; the text says the remedy."""


class SigningKeys:
    def __init__(self, keys: list[ECKey]) -> None:
        """Newest first, at least one."""
        self.newest = keys[0]
        self.kid = keys[0].thumbprint()
        self.jwks: dict[str, Any] = {"keys": [_published(key) for key in keys]}
        """What others verify with."""


def signing_keys(path: Path) -> SigningKeys:
    """Those in `path`, made with one when there is none. Raises KeysUnusable, OSError."""
    if not os.path.lexists(path):
        _write(path, [_new()], first=True)
    return SigningKeys([ECKey.import_key(key) for key in _read(path)])


def rotate(path: Path) -> SigningKeys:
    """A new key signs from now on; the one before it is still published. Raises KeysUnusable, OSError."""
    before = _read(path) if os.path.lexists(path) else []
    _write(path, [_new(), *before][:_PUBLISHED], first=False)
    return signing_keys(path)


def _published(key: ECKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": ALG}


def _new() -> dict[str, Any]:
    return dict(ECKey.generate_key(_CURVE).as_dict(private=True))


def _read(path: Path) -> list[dict[str, Any]]:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        content = file.read(_MAX_BYTES) if stat.S_ISREG(found.st_mode) else b""
    if found.st_mode & 0o077:
        raise KeysUnusable(f"others can read {path}; remove it, and a new one is made")
    if found.st_uid not in (0, os.geteuid()):
        raise KeysUnusable(f"{path} belongs to another user, who knows the keys; remove it, and a new one is made")
    try:
        keys = msgspec.json.decode(content, type=list[dict[str, Any]])
        usable = bool(keys) and all(ECKey.import_key(key).is_private for key in keys)
        usable = usable and all(key.get("crv") == _CURVE for key in keys)
    except ValueError:
        usable, keys = False, []
    if not usable:
        raise KeysUnusable(f"{path} holds no usable keys; remove it, and a new one is made (clients log in again)")
    return keys[:_PUBLISHED]


def _write(path: Path, keys: list[dict[str, Any]], *, first: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}-{os.urandom(8).hex()}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(json.encode(keys))
            file.flush()
            os.fsync(fd)
        if first:
            # Whole or not there at all: of two that start at once, one makes it and the other reads it.
            os.link(new, path)
        else:
            os.replace(new, path)
    except FileExistsError:
        return
    finally:
        new.unlink(missing_ok=True)
