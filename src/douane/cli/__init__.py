"""The command line: one file per verb, imported when it is called."""

from .main import main

__all__ = ["main"]
