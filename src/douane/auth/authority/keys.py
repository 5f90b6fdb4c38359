"""The keys that tokens are signed with: ES256, in one file in the folder of keys, newest first.

Two are published: the one that signs, and the one before it until all it signed has expired. Spec: RFC 7517, RFC 9068 §4.
"""

import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

__all__ = ["ALG", "KeyFile", "KeysUnusable", "SigningKeys", "rotate", "signing_keys"]

ALG = "ES256"
_PUBLISHED = 2
_ROTATED_EVERY_S = 90 * 86_400.0
_MAX_BYTES = 16_384
_REMEDY = "remove it, and a new one is made"


class KeysUnusable(Exception):
    """The file of keys is not one that may be trusted; the text says the remedy."""


class _Stored(msgspec.Struct, frozen=True):
    """A key as the file has it."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    d: str
    iat: float = 0.0

    @property
    def public(self) -> dict[str, Any]:
        return {"kty": self.kty, "crv": self.crv, "x": self.x, "y": self.y}


class SigningKeys:
    def __init__(self, stored: Sequence[_Stored]) -> None:
        """Newest first, at least one. Raises JoseError, ValueError for what is none."""
        from joserfc.jwk import ECKey

        keys = [ECKey.import_key({**one.public, "d": one.d}) for one in stored]
        told = zip(keys, stored, strict=True)
        self.newest = keys[0]
        self.kid = keys[0].thumbprint()
        self.since_s = stored[0].iat
        """When the newest was made."""
        self.jwks: dict[str, Any] = {
            "keys": [{**one.public, "kid": key.thumbprint(), "use": "sig", "alg": ALG} for key, one in told]
        }
        """What others verify with."""


class KeyFile:
    """The keys of a file, read again when it has changed; a new one signs from time to time."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._path, self._clock = path, clock
        self._keys: SigningKeys | None = None
        self._seen = (0, 0)

    def __call__(self) -> SigningKeys:
        """Raises KeysUnusable, OSError."""
        try:
            seen = _seen(self._path)
        except FileNotFoundError:
            seen = (0, 0)
        if self._keys is None or seen != self._seen:
            self._keys = signing_keys(self._path)
            self._seen = _seen(self._path)
        if self._clock() - self._keys.since_s > _ROTATED_EVERY_S:
            self._keys = rotate(self._path)
            self._seen = _seen(self._path)
        return self._keys


def _seen(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino


def signing_keys(path: Path) -> SigningKeys:
    """Those in `path`, made with one when there is none. Raises KeysUnusable, OSError."""
    if not os.path.lexists(path):
        _write(path, [_new()], first=True)
    return _usable(path, _read(path))


def rotate(path: Path) -> SigningKeys:
    """A new key signs from now on; the one before it is still published. Raises KeysUnusable, OSError."""
    before = _read(path) if os.path.lexists(path) else []
    _write(path, [_new(), *before][:_PUBLISHED], first=False)
    return signing_keys(path)


def _usable(path: Path, stored: Sequence[_Stored]) -> SigningKeys:
    from joserfc.errors import JoseError

    try:
        return SigningKeys(stored[:_PUBLISHED])
    except (JoseError, ValueError, IndexError):
        raise KeysUnusable(f"{path} holds no usable keys; {_REMEDY}") from None


def _new() -> _Stored:
    from joserfc.jwk import ECKey

    made = ECKey.generate_key("P-256").as_dict(private=True)
    return msgspec.convert({**made, "iat": time.time()}, _Stored)


def _read(path: Path) -> list[_Stored]:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        content = file.read(_MAX_BYTES) if stat.S_ISREG(found.st_mode) else b""
    if found.st_mode & 0o077:
        raise KeysUnusable(f"others can read {path}; {_REMEDY}")
    if found.st_uid not in (0, os.geteuid()):
        raise KeysUnusable(f"{path} belongs to another user, who knows the keys; {_REMEDY}")
    try:
        return msgspec.json.decode(content, type=list[_Stored])
    except msgspec.MsgspecError:
        raise KeysUnusable(f"{path} holds no usable keys; {_REMEDY}") from None


def _write(path: Path, keys: Sequence[_Stored], *, first: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}-{os.urandom(8).hex()}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.encode(keys))
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
