"""What the log promises at present.

open ⇄ degraded    commits take longer than `degraded_after_s`
open → sealed      nothing committed for `sealed_after_s` while something waits; I/O error; rollback
open ⇄ sealed      little disk space; outcomes of calls already sent are still written
"""

from __future__ import annotations

from typing import Literal

State = Literal["open", "degraded", "sealed"]


class Condition:
    def __init__(self) -> None:
        self.state: State = "open"
        self.reason: str | None = None
        self.final = False
        """Sealed for good."""

    def took(self, slow: bool, took_s: float) -> None:
        """A commit took so long, or has taken so long already."""
        if slow and self.state == "open":
            self.state, self.reason = "degraded", f"a commit of the audit takes {took_s:.1f} s"
        elif not slow and self.state == "degraded":
            self._open()

    def space(self, refusal: str | None) -> None:
        """None: there is enough of it again."""
        if self.final:
            return
        if refusal is None:
            self._open()
        else:
            self.state, self.reason = "sealed", refusal

    def seal(self, reason: str) -> None:
        """For good."""
        self.state, self.reason, self.final = "sealed", reason, True

    def _open(self) -> None:
        self.state, self.reason = "open", None
