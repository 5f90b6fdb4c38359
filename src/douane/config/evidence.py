"""The audit log of this machine, for reading: beside a running gateway, or without one."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

from ..audit.checkpoint import Mark, Signer
from ..audit.errors import AuditError
from ..stores.ports import Reading, StoreFailed
from ..stores.sqlite import SqliteReader
from .build import ORIGIN
from .paths import Paths

__all__ = ["Evidence", "NoEvidence", "evidence"]


class NoEvidence(Exception):
    """There is no log here that can be read; the text says why."""


class Evidence(NamedTuple):
    reading: Reading
    origin: str
    vkey: str | None
    """The public key of the log's checkpoints; None when the key of this machine is not there."""
    mark: Mark | None
    """The largest size this machine ever signed."""


@contextmanager
def evidence(paths: Paths) -> Generator[Evidence]:
    """Open the log read-only. Raises NoEvidence."""
    try:
        reading = SqliteReader(paths.audit)
    except StoreFailed as exc:
        raise NoEvidence(f"no audit log can be read at {paths.audit}: {exc}") from None
    key = paths.keys / "audit.key"
    try:
        signer = Signer(key) if key.exists() else None
        yield Evidence(reading, ORIGIN, signer and signer.vkey, signer and signer.mark)
    except AuditError as exc:
        raise NoEvidence(str(exc)) from None
    finally:
        reading.close()
