"""`douane allow`: one more thing that may be called."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from ..config.join import client
from ..config.permit import CannotPermit, Permitted, permit
from ..sdk.client import ServerError
from .faults import Fault
from .options import ConfigOption
from .place import config_path, paths
from .reach import reaching
from .until import EndFault, end_of

__all__ = ["allow", "is_text"]


def allow(
    name: Annotated[str, typer.Argument(help="A tool, prompt or resource URI, as `douane list` shows it.")],
    user: Annotated[str | None, typer.Option(help="Only to this user.", show_default=False)] = None,
    group: Annotated[str | None, typer.Option(help="Only to this group.", show_default=False)] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help="Only until then: 2027-01-31, 2027-01-31T12:00 (local time), 2027-01-31T12:00Z, or how long from now:"
            " 90m, 12h, 7d.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write a rule that permits NAME into allowed.cedar. A running gateway takes it within a second."""
    if user is not None and group is not None:
        raise Fault(2, "give --user or --group, not both")
    is_text("--user", user)
    is_text("--group", group)
    try:
        end = None if until is None else end_of(until, datetime.now().astimezone())
    except EndFault as exc:
        raise Fault(2, f"--until: {exc}") from None
    try:
        with reaching():
            done = asyncio.run(_allowed(name, user, group, end, config))
    except ServerError as exc:
        raise Fault(1, str(exc)) from None
    except CannotPermit as exc:
        raise Fault(5, str(exc)) from None
    if done is None:
        raise Fault(1, f"there is no tool, prompt or resource {name!r}; `douane list` shows what there is")
    ends = "" if end is None else f" until {end.isoformat(sep=' ')}"
    typer.echo(f"{'allowed' if done.new else 'allowed before'}: {done.what}{ends}, in {done.file}")
    typer.echo(done.rule.rstrip())
    if done.endless:
        typer.echo(f"douane: a rule without an end permits this too; remove it from {done.file}", err=True)


def is_text(option: str, given: str | None) -> None:
    """Raises Fault for what no rule can hold."""
    # Bytes that are not UTF-8 come as halves of a pair, which no rule can hold.
    if given is not None and any("\ud800" <= char <= "\udfff" for char in given):
        raise Fault(2, f"{option} is not UTF-8, so no rule can name it")


async def _allowed(
    name: str, user: str | None, group: str | None, until: datetime | None, config: str | None
) -> Permitted | None:
    where = paths()
    async with await client(where, config_path(config), deadline_s=30.0) as gateway:
        return await permit(gateway, where, name, user, group, until)
