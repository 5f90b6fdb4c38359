"""What to run as a child, and with which environment: all of it said, nothing inherited by accident."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["INHERITED", "Command", "SpawnFailed", "env_for"]

INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""What a command finds of our environment unless the operator names more: where programs, the home and
temporary files are, who runs, and how text and time are written. No SHELL and no TERM: there is no terminal.
Nothing that may hold a credential or change which code runs (*_TOKEN, LD_*, PYTHON*, NODE_OPTIONS,
proxies)."""


class SpawnFailed(Exception):
    """The command could not be started. The text names it, says why, and what to look at."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. The environment is complete: see `env_for`."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str | None = None

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise ValueError("a command needs a program: argv is empty")


def env_for(inherit: Iterable[str] = INHERITED, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a command: the variables named in `inherit`, where we have them, then `extra`."""
    env = {name: os.environ[name] for name in inherit if name in os.environ}
    env.update(extra or {})
    return env
