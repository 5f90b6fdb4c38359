"""`douane revoke`: cut off who calls, or what is called."""

import asyncio
from datetime import datetime
from typing import Annotated, Literal

import typer

from ..config.cutting import CannotRead, GivenAway, cut_off, given_back, taken_away
from ..config.paths import Paths
from ..config.revoking import CannotRevoke, Revocable, Revoked, reinstated, revoked, shows
from .allow import is_text
from .faults import Fault
from .place import paths
from .text import plain
from .until import EndFault, end_of

__all__ = ["revoke"]

Kind = Literal["user", "group", "client", "tenant", "server", "tool", "prompt", "resource", "key", "grant"]


def revoke(
    kind: Annotated[Kind, typer.Argument(help="What NAME is.", show_default=False)],
    name: Annotated[
        str,
        typer.Argument(
            help="A user, group, client or tenant; a server of the configuration; a tool, prompt or resource URI, as"
            " `douane list` shows it; the id of a key; or USER/SERVER of a grant.",
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

    What is under way is cut off, and streams end; a user's and a client's logins are ended, too. No other rule can permit
    what is revoked. A key and a grant need no rule: they are removed. No gateway has to run.
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
    if kind in ("key", "grant"):
        if until or undo:
            raise Fault(2, f"a {kind} is removed for good: neither --until nor --undo goes with it")
        _take_away(where, kind, name, why)
        return
    # Asked first: what is revoked is soon shown to nobody.
    shown = None if undo else asyncio.run(shows(where, kind, name))
    try:
        done = reinstated(where, kind, name) if undo else revoked(where, kind, name, end, why)
    except CannotRevoke as exc:
        raise Fault(5, str(exc)) from None
    _say(done, undo, kind, name)
    _end(where, kind, name, end, why, done.new, undo=undo)
    if shown is False:
        typer.echo(
            f"douane: there is no {kind} of that name here now; is it spelled as `douane list` has it?", err=True
        )


def _take_away(where: Paths, kind: GivenAway, name: str, why: str) -> None:
    try:
        gone = asyncio.run(taken_away(where, kind, name, why))
    except (CannotRead, CannotRevoke) as exc:
        raise Fault(5, str(exc)) from None
    if not gone:
        raise Fault(1, f"there is no {kind} {name}; `douane access` shows what there is")
    for one in gone:
        typer.echo(plain(f"removed: {kind} {name} of {one.subject}"))


def _end(where: Paths, kind: Revocable, name: str, end: datetime | None, why: str, new: bool, *, undo: bool) -> None:
    """What was given to it ends, and the audit is to have it."""
    try:
        if undo:
            asyncio.run(given_back(where, kind, name))
            return
        ended = asyncio.run(cut_off(where, kind, name, end, why, new=new))
    except CannotRead as exc:
        raise Fault(5, f"the rule is in force; but logins may go on, and the audit will not have it: {exc}") from None
    if ended:
        typer.echo(f"logins ended: {ended}")


def _say(done: Revoked, undo: bool, kind: str, name: str) -> None:
    if undo and not done.new:
        raise Fault(1, f"{kind} {name} is not revoked; what is stands in {done.file}")
    word = ("taken back" if undo else "revoked") if done.new else "revoked before"
    typer.echo(f"{word}: {kind} {name}, in {done.file}")
    if done.rule:
        typer.echo(done.rule.rstrip())
