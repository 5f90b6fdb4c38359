"""Text of others on a terminal: it is shown, it does not drive."""

import sys

import typer

from .faults import Fault

__all__ = ["agreed", "cell", "plain"]


def plain(text: str) -> str:
    """`text` with everything that does not print (control characters, marks that turn the direction) written out."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def cell(text: str) -> str:
    """As `plain`, in a table of rich's."""
    return plain(text).replace("[", r"\[")


def agreed(question: str) -> bool:
    """Ask on the terminal. Raises Fault where nobody can be asked."""
    if not sys.stdin.isatty():
        raise Fault(2, "nobody can be asked here; --yes agrees")
    return typer.confirm(question, default=False)
