"""`douane login`: be let in at another gateway or server, by a code that is typed in a browser anywhere."""

import asyncio
import sys
from typing import Annotated

import typer

from ..config.login import CannotLogIn, Shown, log_in
from .faults import Fault
from .place import paths
from .text import plain

__all__ = ["login"]


def login(
    url: Annotated[str, typer.Argument(help="Of the server: https://gateway.example/mcp")],
    token: Annotated[bool, typer.Option("--token", help="Print an access token, for other programs.")] = False,
) -> None:
    """Log in at URL. What is granted is kept, and renewed when it has to be."""
    try:
        granted = asyncio.run(log_in(url, paths(), _tell))
    except CannotLogIn as exc:
        raise Fault(4, plain(str(exc))) from None
    if granted is None:
        raise Fault(1, f"{url} lets everybody in, so there is nothing to log in for")
    typer.echo(granted if token else f"logged in at {url}")


def _tell(shown: Shown) -> None:
    if shown.complete_uri is not None:
        words = f"open {shown.complete_uri} and see that it shows {shown.user_code}"
    else:
        words = f"open {shown.uri} and type {shown.user_code}"
    print(f"douane: {words}", file=sys.stderr, flush=True)
