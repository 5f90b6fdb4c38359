"""`douane`: the verbs. Each lives in a module of its name; what is heavy is imported when a verb runs."""

import sys
from typing import Annotated

import typer

from .. import __version__
from . import allow, audit, call, config, doctor, list_, stdio, up
from .faults import EXITS, Fault, report

__all__ = ["app", "main"]

app = typer.Typer(
    name="douane",
    help="Customs for the Model Context Protocol: a gateway through which every call shows its papers, is inspected,"
    " and is written down.",
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXITS.items()) + ".",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"douane {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None: ...


app.command("up")(up.up)
app.command("stdio")(stdio.stdio)
app.command("list")(list_.list_)
app.command("call")(call.call)
app.command("allow")(allow.allow)
app.command("doctor")(doctor.doctor)
app.add_typer(config.app, name="config")
app.add_typer(audit.app, name="audit")


def main() -> None:
    """The entry point. Every fault ends here, as one message and an exit code."""
    try:
        app()
    except Fault as fault:
        report(fault)
        sys.exit(fault.code)
    except BrokenPipeError:
        # Whoever read our output has gone (`douane list | head`): nothing is left to say.
        sys.stderr.close()
        sys.exit(0)
