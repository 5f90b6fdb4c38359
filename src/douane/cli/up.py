"""`douane up`: run the gateway until it is told to stop."""

import os
import sys
from typing import Annotated

import typer

from .options import ConfigOption

__all__ = ["up"]


def up(
    config: ConfigOption = None,
    port: Annotated[int | None, typer.Option(help="Instead of listen.port; 0 takes any free one.")] = None,
    idle_exit_s: Annotated[
        float | None, typer.Option("--idle-exit-s", help="Stop when no client has been on a line for so long.")
    ] = None,
) -> None:
    """Run the gateway: read the configuration, open the doors, and serve until Ctrl-C or SIGTERM."""
    line = [sys.executable, "-m", "douane.cli.gateway", "up"]
    for name, value in (("--config", config), ("--port", port), ("--idle-exit-s", idle_exit_s)):
        line += [] if value is None else [name, str(value)]
    sys.stderr.flush()
    os.execv(sys.executable, line)
