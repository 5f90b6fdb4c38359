"""Checkpoints of what is committed: kept each second while the log grows, and at its end. Blocks.

One per hour stays. Each second's would be 50 MB a day, and only the newest is asked for.
"""

from __future__ import annotations

import time

from douane.audit.checkpoint import Mark, Signer, body
from douane.audit.tree import Frontier
from douane.stores.ports import Ledger, StoredCheckpoint

_HOUR_S = 3600


class Signing:
    """Called from one thread at a time."""

    def __init__(self, ledger: Ledger, signer: Signer | None, origin: str, size: int, every_s: float) -> None:
        self.signed_size = size
        self.every_s = every_s
        self.due_s = 0.0
        """Monotonic."""
        self._ledger = ledger
        self._signer = signer
        self._origin = origin
        self._replaceable: tuple[int, int] | None = None

    def keep(self, frontier: Frontier) -> None:
        """Sign and keep, if there is more than last time.

        Raises RollbackDetected, OSError (the mark), StoreFailed.
        """
        now_s = time.monotonic()
        self.due_s = now_s + self.every_s
        if frontier.size == self.signed_size:
            return
        mark = Mark(frontier.size, frontier.root())
        note = self._signer.sign(mark) if self._signer else body(self._origin, mark)
        hour = int(now_s) // _HOUR_S
        instead_of = self._replaceable[0] if self._replaceable and self._replaceable[1] == hour else None
        self._ledger.save_checkpoint(StoredCheckpoint(mark.size, note, frontier.to_bytes()), instead_of)
        self._replaceable = (mark.size, hour)
        self.signed_size = mark.size
