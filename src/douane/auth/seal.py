"""What we give away and want back as it was: sealed, so that whoever keeps it can neither read nor change it.

ChaCha20-Poly1305 under a key that each `Seal` derives for itself from the newest key of a ring, with random nonces: a
counter would be the same in both after a fork. The id of the key of the ring is in the seal, so keys can be changed while what older ones
sealed is still about: put the new one first, take the old one out when its last seal has expired.
"""

import base64
import os
import stat
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

__all__ = ["Broken", "Seal", "SealKeysUnusable", "seal_keys"]

_VERSION = b"\x01"
_ID, _SALT, _NONCE, _TAG = 4, 16, 12, 16
_HEAD = 1 + _ID + _SALT
KEY_BYTES = 32
_MAX_KEYS = 8
_MAX_DERIVED = 64
"""Of other processes: a few replicas, and what they were before they were started anew."""


class Broken(ValueError):
    """A seal that is not ours, or not as we made it. Says no more to whoever tries."""


class SealKeysUnusable(Exception):
    """The file of keys is not one that may be trusted; the text says the remedy."""


class Seal:
    """Closes and opens. `purpose` keeps what was sealed for one use from being used for another."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        """`keys`: the ring, newest first, each 32 random bytes; without any, what is sealed dies with this process.

        Raises ValueError.
        """
        ring = tuple(keys) or (os.urandom(KEY_BYTES),)
        if any(len(key) != KEY_BYTES for key in ring):
            raise ValueError(f"a key of a seal has {KEY_BYTES} bytes; make one with os.urandom({KEY_BYTES})")
        self._ring = {_id_of(key): key for key in reversed(ring)}
        self._head = _VERSION + _id_of(ring[0]) + os.urandom(_SALT)
        self._derived: dict[bytes, _Cipher] = {}

    def close(self, purpose: str, content: bytes) -> str:
        nonce = os.urandom(_NONCE)
        closed = self._cipher(self._head).encrypt(nonce, content, self._head + purpose.encode())
        return _text(self._head + nonce + closed)

    def open(self, purpose: str, sealed: str) -> bytes:
        """What is in it. Raises Broken."""
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise Broken("no seal of ours") from None
        head, nonce, closed = raw[:_HEAD], raw[_HEAD : _HEAD + _NONCE], raw[_HEAD + _NONCE :]
        if _text(raw) != sealed or len(closed) < _TAG or head[:1] != _VERSION or head[1 : 1 + _ID] not in self._ring:
            raise Broken("no seal of ours")
        return self._cipher(head).decrypt(nonce, closed, head + purpose.encode())

    def is_newest(self, sealed: str) -> bool:
        """Whether the newest key of the ring has sealed it, as far as it says itself."""
        return base64.urlsafe_b64decode(sealed[:8])[: 1 + _ID] == self._head[: 1 + _ID]

    def _cipher(self, head: bytes) -> "_Cipher":
        cipher = self._derived.get(head)
        if cipher is None:
            if len(self._derived) >= _MAX_DERIVED:
                self._derived.clear()
            cipher = self._derived[head] = _Cipher(self._ring[head[1 : 1 + _ID]], head)
        return cipher


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class _Cipher:
    """ChaCha20-Poly1305 under the key of one `Seal`."""

    def __init__(self, key: bytes, head: bytes) -> None:
        # Where it is used: most servers never ask anything, and none pays for this at its start.
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        derived = HKDF(SHA256(), KEY_BYTES, salt=head, info=b"douane seal").derive(key)
        self._aead, self._invalid = ChaCha20Poly1305(derived), InvalidTag

    def encrypt(self, nonce: bytes, content: bytes, bound: bytes) -> bytes:
        return self._aead.encrypt(nonce, content, bound)

    def decrypt(self, nonce: bytes, closed: bytes, bound: bytes) -> bytes:
        try:
            return self._aead.decrypt(nonce, closed, bound)
        except self._invalid:
            raise Broken("no seal of ours") from None


def _id_of(key: bytes) -> bytes:
    # Of the key alone, so that replicas that share it agree.
    return sha256(b"douane seal key" + key).digest()[:_ID]


def seal_keys(path: Path) -> list[bytes]:
    """The ring in a file, one key a line in base64, newest first; made with one key when there is none.

    Only its owner may read it. Raises SealKeysUnusable, OSError.
    """
    if not os.path.lexists(path):
        _make(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        lines = file.read(4096).split() if stat.S_ISREG(found.st_mode) else []
    if found.st_mode & 0o077:
        raise SealKeysUnusable(f"others can read {path}; remove it, and a new one is made")
    if found.st_uid not in (0, os.geteuid()):
        raise SealKeysUnusable(f"{path} belongs to another user, who knows the keys; remove it, and a new one is made")
    try:
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except ValueError:
        keys = []
    if not 0 < len(keys) <= _MAX_KEYS or any(len(key) != KEY_BYTES for key in keys):
        raise SealKeysUnusable(
            f"{path} must hold 1 to {_MAX_KEYS} keys of {KEY_BYTES} bytes, each on a line in base64;"
            " remove it, and a new one is made"
        )
    return keys


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}-{os.urandom(8).hex()}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(fd)
        # Whole or not there at all: of two that start at once, one makes it and the other reads it.
        os.link(new, path)
    except FileExistsError:
        return
    finally:
        new.unlink(missing_ok=True)
