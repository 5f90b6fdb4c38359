"""`douane`: the verbs, and what they share."""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from .. import __version__
from .faults import EXITS, Fault, report

__all__ = ["app", "main"]

app = typer.Typer(
    name="douane",
    help="Customs for the Model Context Protocol: a gateway through which every call shows its papers, is inspected, and is written down.",
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXITS.items()),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"douane {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")] = False,
) -> None:
    """Shared by all verbs."""


def _lazily(module: str, function: str) -> Any:
    return getattr(import_module(f".{module}", __package__), function)


for _verb in ("up", "stdio", "call", "list", "allow", "config", "audit", "doctor"):
    import_module(f".{_verb}", __package__).register(app)


def main() -> None:
    """The entry point. Every fault that is not ours ends here, as one message and an exit code."""
    try:
        app()
    except Fault as fault:
        report(fault)
        sys.exit(fault.code)


_ = _lazily
