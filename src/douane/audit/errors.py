"""What the audit raises.

    AuditError
    ├── AuditSealed          nothing more is written; the call it was asked for must not happen
    │   └── AuditBusy        too much is waiting; asking later may succeed
    ├── LeafRefused          this leaf can never be written: too long, not text, not JSON
    └── RollbackDetected     the store holds less, or other, than this log once signed

`AlreadyThere` of stores.ports also reaches the caller of `write` who asked for a row that must be new.
"""

from __future__ import annotations


class AuditError(Exception):
    """Root of what the audit raises."""


class AuditSealed(AuditError):
    """The log cannot promise durability, so it promises nothing. Whether a leaf that waited was kept is
    unknown."""


class AuditBusy(AuditSealed):
    """The queue of the writer is full: this leaf was not taken."""


class LeafRefused(AuditError):
    """The leaf does not fit the format."""


class RollbackDetected(AuditError):
    """The log is shorter than what was signed, or has another history."""
