"""`douane`: the verbs. Each lives in a module of its name, which is imported when it is the one that was asked for."""

import re
import sys
from importlib import import_module
from typing import Annotated

import typer

from .. import __version__
from .faults import EXITS, Fault, report

__all__ = ["build", "main"]

_PLAIN = ("up", "stdio", "call", "allow", "revoke", "consent", "snippet", "export", "doctor", "dev", "login")
_COMMANDS = {name: (name, name) for name in _PLAIN} | {name: (f"{name}_", f"{name}_") for name in ("list", "import")}
"""Verb → module and function."""
_HALF = re.compile("[\ud800-\udfff]")
"""What Python makes of bytes that are not UTF-8."""
_GROUPS = ("config", "audit", "user", "key", "access")
_ORDER = (
    *("up", "stdio", "list", "call", "allow", "access", "revoke", "import", "consent", "snippet", "export"),
    *("user", "key", "login", "doctor", "dev", "config", "audit"),
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"douane {__version__}")
        raise typer.Exit


def build(asked: str | None = None) -> typer.Typer:
    """The command line; with `asked`, only that verb, so that nothing else is imported."""
    app = typer.Typer(
        name="douane",
        help="Customs for the Model Context Protocol: a gateway through which every call shows its papers, is"
        " inspected, and is written down.",
        epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXITS.items()) + ".",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def root(  # pyright: ignore[reportUnusedFunction]
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
        ] = False,
    ) -> None: ...

    for verb in (asked,) if asked in _ORDER else _ORDER:
        if verb in _GROUPS:
            app.add_typer(import_module(f"{__package__}.{verb}").app, name=verb)
        else:
            module, function = _COMMANDS[verb or ""]
            app.command(verb)(getattr(import_module(f"{__package__}.{module}"), function))
    return app


def main() -> None:
    """The entry point. Every fault ends here, as one message and an exit code."""
    try:
        build(sys.argv[1] if len(sys.argv) > 1 else None)()
    except Fault as fault:
        report(fault)
        sys.exit(fault.code)
    except UnicodeEncodeError:
        if not any(_HALF.search(word) for word in sys.argv):
            raise
        report(Fault(2, "an argument is not UTF-8, and so cannot be sent or written down"))
        sys.exit(2)
    except BrokenPipeError:
        # Whoever read our output has gone (`douane list | head`): nothing is left to say.
        sys.stderr.close()
        sys.exit(0)
