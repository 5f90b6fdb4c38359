"""`douane consent`: agree again to an imported command that has changed, or whose configuration file was moved."""

import getpass
import json
import shlex
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from ..config.consent import Consent, ConsentUnusable, Pinned, agree, consents, left_behind, now_run
from ..config.load import Loaded
from .faults import Fault
from .options import AsJson, ConfigOption
from .place import loaded, paths
from .text import agreed, plain

__all__ = ["consent"]


def consent(
    name: Annotated[
        str | None, typer.Argument(help="An upstream; none: list what was agreed to.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to what would be shown: for scripts.")] = False,
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """Show what an imported upstream would run now, beside what was agreed to, and agree to it."""
    found = loaded(config)
    try:
        given = consents(paths().consents, found.path)
        if name is None:
            _list(given, found, as_json)
        else:
            _agree(name, {**left_behind(paths().consents, found), **given}, found, yes)
    except (ConsentUnusable, OSError) as exc:
        raise Fault(5, str(exc)) from None


def _list(given: dict[str, Consent], found: Loaded, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([msgspec.to_builtins(one) for one in given.values()]))
        return
    for one in given.values():
        state = "changed" if now_run(found, one.upstream) != one.pinned else "agreed"
        typer.echo(plain(f"{one.upstream:<24}  {state:<8} {one.by}, {one.at}: {shlex.join(one.pinned.command)}"))
    if not given:
        typer.echo("Nothing was imported, so nothing was asked.")


def _agree(name: str, given: dict[str, Consent], found: Loaded, yes: bool) -> None:
    before = given.get(name)
    if before is None:
        raise Fault(
            1, f"{name} was not imported: what is written by hand needs no consent; `douane consent` lists the rest"
        )
    now = now_run(found, name)
    if now is None:
        raise Fault(1, f"{found.path} has no upstream {name} with a command any more")
    here = str(found.path.resolve())
    if now == before.pinned and before.config == here:
        typer.echo(f"{name}: nothing has changed since {before.at}")
        return
    _show("agreed to", before.pinned)
    _show("now", now)
    if not yes and not agreed(f"May {name} be run like this?"):
        raise Fault(1, "nothing was agreed to")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    agree(paths().consents, [msgspec.structs.replace(before, config=here, by=getpass.getuser(), at=at, pinned=now)])
    typer.echo(f"agreed: {name}. A running gateway starts it at the next call")


def _show(what: str, one: Pinned) -> None:
    typer.echo(f"{what}:")
    typer.echo(plain(f"  runs    {shlex.join(one.command)}"))
    typer.echo(plain(f"  in      {one.cwd}"))
    typer.echo(plain(f"  with    {', '.join((*one.env, *one.inherit)) or 'no more variables'}"))
    for path, digest in one.scripts.items():
        typer.echo(plain(f"  script  {path}, SHA-256 {digest}"))
