"""What can go wrong on the command line, as exit codes and as one message each."""

import sys

__all__ = ["EXITS", "Fault", "report"]

EXITS: dict[int, str] = {
    0: "done",
    1: "it ran, and the answer is no (a refused call, a failed check, a broken log)",
    2: "the command line was wrong, or nobody could be asked",
    3: "the configuration, or a client's file, cannot be used",
    4: "no gateway or upstream could be reached",
    5: "the gateway may not start here (in use, by one of another configuration too; exposed; token or log unusable),"
    " or a file cannot be written",
    6: "the gateway ended by itself: its audit log could not be written any more",
}


class Fault(Exception):
    """The end of a verb: what to say, and the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def report(fault: Fault) -> None:
    """Say it, on standard error."""
    print(f"douane: {fault}", file=sys.stderr)
