"""Signed checkpoints: how large the log was, and its root, under a key kept elsewhere.

*Spec:* C2SP tlog-checkpoint and signed-note, Ed25519 (0x01), key name = origin. The key file is one line in
the form of Go's sumdb/note, so its tools can read it.

Beside the key lies the mark: the largest size ever signed, with its root. A signer that is shown less, or
other, refuses; so a restored copy of the data directory is noticed at the next start. Without a witness
elsewhere, whoever holds both key and database can still rewrite what follows the last exported checkpoint.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from douane.audit.errors import AuditError, RollbackDetected

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519 = b"\x01"
_KEY_PREFIX = "PRIVATE+KEY+"
_ORIGIN = re.compile(r"[^\s+\x00-\x1f]{1,200}")


class NoteInvalid(AuditError):
    """A checkpoint or key is malformed, or not signed by the key it was checked with."""


class Mark(NamedTuple):
    size: int
    root: bytes


def body(origin: str, mark: Mark) -> str:
    """What is signed."""
    return f"{origin}\n{mark.size}\n{b64encode(mark.root).decode()}\n"


def parsed(note: str, origin: str) -> Mark:
    """The statement of `note`, whose signatures are not looked at. Raises NoteInvalid."""
    lines = note.partition("\n\n")[0].split("\n")
    try:
        said, size, root = lines[0], int(lines[1]), b64decode(lines[2], validate=True)
    except (IndexError, ValueError):
        raise NoteInvalid("this is not a checkpoint") from None
    if said != origin:
        raise NoteInvalid(f"this checkpoint is of the log {said!r}, not {origin!r}")
    if len(root) != 32 or not note.startswith(body(origin, Mark(size, root))):
        raise NoteInvalid("this checkpoint is not in canonical form")
    return Mark(size, root)


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


class Verifier:
    """Checks notes against a vkey, `<origin>+<key id>+<key>`."""

    def __init__(self, vkey: str) -> None:
        """Raises NoteInvalid."""
        try:
            self.origin, key_id, encoded = vkey.strip().split("+", 2)
            key = b64decode(encoded, validate=True)
        except ValueError:
            raise NoteInvalid("this is not a verifier key: expected <origin>+<key id>+<base64>") from None
        self._public = key[1:]
        self._id = _key_id(self.origin, self._public)
        if key[:1] != _ED25519 or len(self._public) != 32 or self._id.hex() != key_id:
            raise NoteInvalid("this verifier key is damaged, or not Ed25519")

    def checked(self, note: str) -> Mark:
        """What `note` states, if this key signed it. Signatures by other keys are ignored. Raises
        NoteInvalid."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        mark = parsed(note, self.origin)
        statement, _, signatures = note.partition("\n\n")
        for line in signatures.splitlines():
            try:
                dash, name, encoded = line.split(" ")
                raw = b64decode(encoded, validate=True)
            except ValueError:
                raise NoteInvalid("a signature line of this checkpoint is malformed") from None
            if dash == "\N{EM DASH}" and name == self.origin and raw[:4] == self._id:
                try:
                    Ed25519PublicKey.from_public_bytes(self._public).verify(raw[4:], f"{statement}\n".encode())
                except InvalidSignature:
                    raise NoteInvalid("the signature of this checkpoint is wrong") from None
                return mark
        raise NoteInvalid(f"this checkpoint is not signed by {self.origin}+{self._id.hex()}")


class Signer:
    """Signs checkpoints of one log, never a smaller or another one than before. Blocks: for the writer
    thread."""

    def __init__(self, key_file: Path) -> None:
        """Raises AuditError: unreadable, damaged, or readable by others."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._mark_file = key_file.with_name(key_file.name + ".mark")
        try:
            if key_file.stat().st_mode & 0o077:
                raise AuditError(f"{key_file} can be read by others: chmod 600 it, and consider the key known")
            line = key_file.read_text().strip()
            self.mark = _read_mark(self._mark_file)
        except OSError as fault:
            raise AuditError(f"the audit's signing key cannot be read: {fault}") from fault
        try:
            self.origin, key_id, encoded = line.removeprefix(_KEY_PREFIX).split("+", 2)
            self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(b64decode(encoded, validate=True)[1:])
        except ValueError:
            raise AuditError(f"{key_file} holds no signing key") from None
        public = self._key.public_key().public_bytes_raw()
        self._id = _key_id(self.origin, public)
        if self._id.hex() != key_id:
            raise AuditError(f"{key_file} is damaged: the key does not have the id written beside it")
        self.vkey = f"{self.origin}+{key_id}+{b64encode(_ED25519 + public).decode()}"

    @classmethod
    def create(cls, key_file: Path, origin: str) -> Signer:
        """Make a key for `origin` (mode 0600, in a directory that is not the data directory). Raises
        AuditError."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if not _ORIGIN.fullmatch(origin):
            raise AuditError(f"{origin!r} cannot name a log: no spaces, no plus sign, up to 200 characters")
        key = Ed25519PrivateKey.generate()
        key_id = _key_id(origin, key.public_key().public_bytes_raw()).hex()
        secret = b64encode(_ED25519 + key.private_bytes_raw()).decode()
        try:
            handle = os.open(key_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except OSError as fault:
            raise AuditError(f"the audit's signing key cannot be made: {fault}") from fault
        with os.fdopen(handle, "w") as file:
            file.write(f"{_KEY_PREFIX}{origin}+{key_id}+{secret}\n")
            file.flush()
            os.fsync(file.fileno())
        return cls(key_file)

    def sign(self, mark: Mark) -> str:
        """The signed note. Raises RollbackDetected, and OSError when the mark cannot be kept."""
        if self.mark is not None:
            if mark.size < self.mark.size:
                raise RollbackDetected(f"{self.mark.size} leaves were signed, and now the log has {mark.size}")
            if mark.size == self.mark.size and mark.root != self.mark.root:
                raise RollbackDetected(f"another tree of {mark.size} leaves was signed before")
        if mark != self.mark:
            # Before the signature leaves: a mark ahead of the notes is harmless, behind them it forgets one.
            _write_mark(self._mark_file, mark)
            self.mark = mark
        statement = body(self.origin, mark)
        signature = b64encode(self._id + self._key.sign(statement.encode())).decode()
        return f"{statement}\n\N{EM DASH} {self.origin} {signature}\n"


def _read_mark(file: Path) -> Mark | None:
    try:
        size, root = file.read_text().split()
        return Mark(int(size), b64decode(root, validate=True))
    except FileNotFoundError:
        return None
    except ValueError:
        raise AuditError(f"{file} is damaged: it says how far the log was signed") from None


def _write_mark(file: Path, mark: Mark) -> None:
    fresh = file.with_name(file.name + ".new")
    with open(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as out:
        out.write(f"{mark.size} {b64encode(mark.root).decode()}\n")
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
