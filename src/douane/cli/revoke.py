"""`douane revoke`: cut off who calls, or what is called."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from ..config.revoking import CannotRevoke, Revocable, Revoked, reinstated, revoked, shows
from .allow import is_text
from .faults import Fault
from .place import paths
from .until import EndFault, end_of

__all__ = ["revoke"]


def revoke(
    kind: Annotated[Revocable, typer.Argument(help="What NAME is.", show_default=False)],
    name: Annotated[
        str,
        typer.Argument(
            help="A user, group, client or tenant; a server of the configuration; or a tool, prompt or"
            " resource URI, as `douane list` shows it.",
            show_default=False,
        ),
    ],
    until: Annotated[
        str | None, typer.Option(help="Only until then, written as for `douane allow`.", show_default=False)
    ] = None,
    why: Annotated[str, typer.Option(help="The reason, kept beside the rule.", show_default=False)] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take it back.")] = False,
) -> None:
    """Write a rule that forbids NAME into revoked.cedar, or take it out again. A running gateway takes it within a second.

    What is under way is cut off, and streams end. No other rule can permit what is revoked. No gateway has to run.
    """
    is_text("NAME", name)
    is_text("--why", why)
    try:
        end = None if until is None else end_of(until, datetime.now().astimezone())
    except EndFault as exc:
        raise Fault(2, f"--until: {exc}") from None
    if undo and (until or why):
        raise Fault(2, "--undo takes neither --until nor --why")
    where = paths()
    # Asked first: what is revoked is soon shown to nobody.
    shown = None if undo else asyncio.run(shows(where, kind, name))
    try:
        done = reinstated(where, kind, name) if undo else revoked(where, kind, name, end, why)
    except CannotRevoke as exc:
        raise Fault(5, str(exc)) from None
    _say(done, undo, kind, name)
    if shown is False:
        typer.echo(
            f"douane: there is no {kind} of that name here now; is it spelled as `douane list` has it?", err=True
        )


def _say(done: Revoked, undo: bool, kind: str, name: str) -> None:
    if undo and not done.new:
        raise Fault(1, f"{kind} {name} is not revoked; what is stands in {done.file}")
    word = ("taken back" if undo else "revoked") if done.new else "revoked before"
    typer.echo(f"{word}: {kind} {name}, in {done.file}")
    if done.rule:
        typer.echo(done.rule.rstrip())
