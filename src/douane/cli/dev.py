"""`douane dev`: a server while it is written."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..sdk.dev import develop
from ..sdk.serving import Http
from .faults import Fault

__all__ = ["dev"]


def dev(
    server: Annotated[str, typer.Argument(help="The file; or FILE:NAME, where there are several servers in it.")],
    http: Annotated[bool, typer.Option("--http", help="Serve at a port instead of on standard streams.")] = False,
    port: Annotated[int, typer.Option(help="With --http; 0 takes any free one.")] = 8000,
) -> None:
    """Serve the server in a file, and start it anew whenever the file, or one beside it, changes.

    Clients keep their line, and are told which lists changed. What happens is told on standard error.
    """
    file = Path(server.partition(":")[0])
    if not file.is_file():
        raise Fault(2, f"{server}: there is no such file")
    if file.suffix != ".py":
        # Saving it could not mend that, so nobody waits for it.
        raise Fault(2, f"{server}: this is no Python file; its name ends in .py")
    try:
        asyncio.run(develop(server, _say, at=Http("127.0.0.1", port) if http else None))
    except OSError as exc:
        raise Fault(5, f"cannot serve at port {port}: {exc.strerror}; take another with --port") from None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
