"""`douane access`: who and what has access, by which rule, and when it was last used."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ..config.access import CannotRead, inventory
from ..config.given import Given
from ..config.inventory import Access, Inventory, narrowed
from . import review
from .faults import Fault
from .options import AsJson, ConfigOption
from .place import loaded, paths
from .text import cell
from .until import EndFault, length_of

__all__ = ["app"]

app = typer.Typer(help="Who has access to what, by which rule, and when it was last used.", invoke_without_command=True)

app.add_typer(review.app, name="review")


@app.callback()
def access(
    context: typer.Context,
    user: Annotated[str | None, typer.Option(help="Only this subject, in detail.", show_default=False)] = None,
    server: Annotated[
        str | None, typer.Option(help="Only who may call this server of the configuration.", show_default=False)
    ] = None,
    tool: Annotated[
        str | None,
        typer.Option(
            help="Only who may call this tool, prompt or resource, as `douane list` has it.", show_default=False
        ),
    ] = None,
    unused: Annotated[
        str | None, typer.Option(help="Only who has not used it for so long: 90d, 2w, 12h.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """Who has access to what, by which rule, and when it was last used. A running gateway says what there is to call."""
    if context.invoked_subcommand is not None:
        return
    since = None if unused is None else _ago(unused)
    found = _found(config)
    shown = narrowed(found, user=user, server=server, tool=tool, unused_since=since)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(shown), ensure_ascii=False))
        return
    _show(shown, user is not None or server is not None or tool is not None)
    _say_limits(found, since)


def _found(config: str | None) -> Inventory:
    try:
        return asyncio.run(inventory(loaded(config), paths()))
    except CannotRead as exc:
        raise Fault(5, str(exc)) from None


def _ago(length: str) -> str:
    try:
        return (datetime.now(UTC) - length_of(length)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    except OverflowError:
        raise Fault(2, f"--unused: {length!r} is longer than a calendar is") from None
    except EndFault as exc:
        raise Fault(2, f"--unused: {exc}") from None


def _show(found: Inventory, in_detail: bool) -> None:
    console = Console()
    if not found.principals:
        console.print("nobody")
    elif in_detail:
        for one in found.principals:
            _show_one(console, one)
    else:
        console.print(_overview(found))
    for one in found.shared:
        console.print(f"to everybody who is let in: {cell(one.id)}: {cell(one.what)}", style="dim", highlight=False)


def _overview(found: Inventory) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    # Names are what people copy: they fold, and are never cut.
    table.add_column("who", overflow="fold")
    table.add_column("by client", overflow="fold")
    table.add_column("may call", no_wrap=True)
    table.add_column("last used", no_wrap=True)
    table.add_column("known by", overflow="fold")
    for one in found.principals:
        may = "revoked" if one.revoked else f"{len(one.may)} of {found.offers}"
        table.add_row(_who(one), cell(one.client), may, _last(one), cell(", ".join(one.known_by)))
    return table


def _show_one(console: Console, one: Access) -> None:
    client = f" by {cell(one.client)}" if one.client else ""
    groups = f" in {cell(', '.join(one.groups))}" if one.groups else "" if one.groups_known else " (groups not known)"
    console.print(
        f"[bold]{_who(one)}[/bold]{client}{groups}{f': last used {_last(one)}' if one.kind == 'user' else ''}",
        highlight=False,
    )
    if one.revoked:
        console.print(f"  revoked, by rule {cell(one.revoked)}", style="yellow", highlight=False)
    for given in one.given:
        console.print(f"  has {_given(given)}", highlight=False)
    for may in one.may:
        rule = f"rule {may.rule}" if may.rule else "depends on the arguments or the time"
        last = f", last {_day(may.last)}, {may.calls} calls" if may.last else ", never used"
        console.print(f"  may {cell(may.name)}: {cell(rule)}{last}", highlight=False)


def _given(one: Given) -> str:
    scopes = f", for {' '.join(one.scopes)}" if one.scopes else ""
    return f"{one.kind} {cell(one.id)}: {cell(one.what + scopes)}"


def _say_limits(found: Inventory, since: str | None) -> None:
    """What the answer stands on, where that is less than all."""
    if found.catalog == "audit":
        typer.echo("douane: no gateway runs here, so only what was called before is looked at", err=True)
    looked = found.looked
    if looked is None:
        typer.echo("douane: there is no audit log yet, so nothing is known of use", err=True)
    elif looked.first or looked.left_out:
        typer.echo(f"douane: of use only what the audit has since {looked.since} was looked at", err=True)
    elif since is not None and looked.since > since:
        typer.echo(f"douane: the audit begins at {looked.since}; of use before that nothing is known", err=True)


def _who(one: Access) -> str:
    name = "anybody" if one.kind == "anybody" else cell(one.subject)
    tenant = "" if one.tenant == "default" else f" of {cell(one.tenant)}"
    return f"group {name}" if one.kind == "group" else f"{name}{tenant}"


def _last(one: Access) -> str:
    # Nobody is a group: its members are.
    return _day(one.last) if one.kind == "user" else ""


def _day(moment: str) -> str:
    return moment[:10] or "never"
