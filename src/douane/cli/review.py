"""`douane access review`: what was given, looked through by somebody who answers for it."""

import asyncio
import csv
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ..config import reviews
from ..config.access import inventory
from ..config.kept import CannotRead, Records, records_of
from ..config.reviews import Item, NotDecided, Review
from ..config.taking import CannotRevoke
from .allow import is_text
from .faults import Fault
from .options import AsJson, ConfigOption
from .place import loaded, paths
from .text import agreed, cell, plain

__all__ = ["app"]

app = typer.Typer(help="Look through what was given: confirm it, or withdraw it.", no_args_is_help=True)
T = TypeVar("T")
_COLUMNS = ("review", "n", "kind", "id", "subject", "tenant", "groups", "client", "server", "what", "scopes")
_DECIDED = ("last_used", "state", "decided_by", "decided_at", "why")

Numbers = Annotated[list[int], typer.Argument(help="As `douane access review list` numbers them.", show_default=False)]
ReviewOption = Annotated[str | None, typer.Option("--review", help="Which; else the newest.", show_default=False)]
Why = Annotated[str, typer.Option(help="The reason, kept with the decision.", show_default=False)]


@app.command()
def start(config: ConfigOption = None) -> None:
    """Take down what was given to whom, with its last use: the review is about that, whatever comes after."""
    found = loaded(config)

    async def work(records: Records) -> Review:
        return await reviews.start(records, await inventory(found, paths()), getpass.getuser())

    review = _run(work)
    typer.echo(f"started: review {review.id}, of {review.items}; `douane access review list` shows them")


@app.command("list")
def list_(
    review: ReviewOption = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only what nobody has decided.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="For a spreadsheet or an auditor.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a review is about, and what was decided, by whom, and why."""
    items = [item for item in _run(lambda records: _items(records, review)) if not is_open or item.state == "open"]
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(items), ensure_ascii=False))
    elif as_csv:
        _write_csv(items)
    else:
        Console().print(_table(items) if items else "nothing is open")


@app.command()
def confirm(numbers: Numbers, why: Why = "", review: ReviewOption = None) -> None:
    """Say that it is right as it is."""
    is_text("--why", why)

    async def work(records: Records) -> None:
        id_ = await _chosen(records, review)
        for n in numbers:
            item = await reviews.confirm(records, id_, n, getpass.getuser(), why)
            typer.echo(f"confirmed: {_named(item)}")

    _run(work)


@app.command()
def withdraw(
    numbers: Numbers,
    why: Why = "",
    review: ReviewOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take it away, as `douane revoke` does, within a second where a gateway runs."""
    is_text("--why", why)
    chosen = [item for item in _run(lambda records: _items(records, review)) if item.n in numbers]
    if not yes and not agreed("\n".join([*map(_named, chosen), "Take all of this away?"])):
        raise Fault(1, "nothing was changed")

    async def work(records: Records) -> None:
        id_ = await _chosen(records, review)
        for n in numbers:
            item, there = await reviews.withdraw(paths(), records, id_, n, getpass.getuser(), why)
            typer.echo(f"withdrawn: {_named(item)}{'' if there else ' (it was gone already)'}")

    _run(work)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the reviews, and how far each is."""

    async def work(records: Records) -> list[dict[str, object]]:
        return [
            _summary(review, await reviews.items_of(records, review.id)) for review in await reviews.reviews(records)
        ]

    found = _run(work)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for one in found:
        typer.echo(
            f"{one['id']}  started by {one['by']}, {one['at']}: {one['open']} open, {one['confirmed']} confirmed,"
            f" {one['withdrawn']} withdrawn"
        )
    if not found:
        typer.echo("there are none; `douane access review start` begins one", err=True)


def _summary(review: Review, items: list[Item]) -> dict[str, object]:
    states = [item.state for item in items]
    counted = {state: states.count(state) for state in ("open", "confirmed", "withdrawn")}
    return {"id": review.id, "by": review.by, "at": review.at, "use_since": review.use_since, **counted}


async def _items(records: Records, review: str | None) -> list[Item]:
    return await reviews.items_of(records, await _chosen(records, review))


async def _chosen(records: Records, review: str | None) -> str:
    if review is not None:
        return review
    found = await reviews.reviews(records)
    if not found:
        raise NotDecided("there is no review; `douane access review start` begins one")
    return found[-1].id


def _run(work: Callable[[Records], Awaitable[T]]) -> T:
    async def run() -> T:
        async with records_of(paths()) as records:
            return await work(records)

    try:
        return asyncio.run(run())
    except NotDecided as exc:
        raise Fault(1, str(exc)) from None
    except (CannotRead, CannotRevoke) as exc:
        raise Fault(5, str(exc)) from None


def _table(items: list[Item]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("n", no_wrap=True)
    table.add_column("who", overflow="fold")
    table.add_column("has", overflow="fold")
    table.add_column("last used", no_wrap=True)
    table.add_column("decided", overflow="fold")
    for item in items:
        given = item.given
        who = given.subject or (f"group {', '.join(given.groups)}" if given.groups else "everybody")
        scopes = f", for {' '.join(given.scopes)}" if given.scopes else ""
        last = item.decisions[-1] if item.decisions else None
        decided = "" if last is None else f"{last.was} by {last.by}, {last.at[:10]}{': ' if last.why else ''}{last.why}"
        has = f"{given.kind} {given.id}: {given.what}{scopes}"
        table.add_row(str(item.n), cell(who), cell(has), item.last[:10] or "never", cell(decided))
    return table


def _write_csv(items: list[Item]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow([*_COLUMNS, *_DECIDED])
    for item in items:
        given, last = item.given, item.decisions[-1] if item.decisions else None
        decided = ("", "", "") if last is None else (last.by, last.at, last.why)
        groups, scopes = " ".join(given.groups), " ".join(given.scopes)
        said = (given.kind, given.id, given.subject, given.tenant, groups, given.client, given.server, given.what)
        row = (item.review, str(item.n), *said, scopes, item.last, item.state, *decided)
        writer.writerow([_harmless(text) for text in row])


def _harmless(text: str) -> str:
    """A spreadsheet takes what begins like a formula for one; others have chosen these names."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _named(item: Item) -> str:
    given = item.given
    return plain(f"{item.n}: {given.kind} {given.id} of {given.subject or 'everybody'}")
