"""`douane key`: keys for programs that cannot log in. They are good where `auth.api_keys` is set."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import typer

from ..config.cutting import taken_away
from ..config.keys import OWNER, ApiKey, CannotRead, Records, all_keys, key_records, make_key
from .faults import Fault
from .options import AsJson
from .place import paths
from .until import EndFault, end_of

__all__ = ["app"]

app = typer.Typer(help="Keys for programs that cannot log in, where `auth.api_keys` is true.", no_args_is_help=True)
T = TypeVar("T")


@app.command()
def create(
    user: Annotated[str, typer.Argument(help="Whom rules and the audit know it as.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    group: Annotated[list[str] | None, typer.Option(help="A group for rules; again for more.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="What it is good for, of auth.scopes; again for more.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Whom the user belongs to.")] = "default",
    until: Annotated[str, typer.Option(help="When it ends: 2027-01-31, or how long from now: 12h, 90d.")] = "90d",
) -> None:
    """Make a key, and show it: it is kept nowhere, and not shown again. It always has an end."""
    if user == OWNER:
        raise Fault(2, f"{OWNER} is whoever runs the gateway, and has a token; name the program or the person")
    if not all(text.isprintable() and 0 < len(text) <= 256 for text in (user, tenant, *(group or ()), *(scope or ()))):
        raise Fault(2, "a name is 1 to 256 characters that can be shown")
    now = datetime.now().astimezone()
    try:
        ends_s = end_of(until, now).timestamp()
    except EndFault as exc:
        raise Fault(2, f"--until: {exc}") from None
    key, made = _run(
        lambda records: make_key(
            records,
            user,
            now_s=now.timestamp(),
            ends_s=ends_s,
            name=name,
            groups=group or (),
            tenant=tenant,
            scopes=scope or (),
        )
    )
    typer.echo(key)
    typer.echo(f"for {user} until {_day(made.ends_s)}, id {made.id}; it is not shown again", err=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show what keys there are, never the keys themselves."""
    keys = _run(all_keys)
    if as_json:
        typer.echo(json.dumps([_shown(key) for key in keys]))
        return
    for key in keys:
        ended = "ended" if key.ends_s <= time.time() else "until"
        used = "never used" if key.used_s is None else f"last used {_day(key.used_s)}"
        scopes = f"  {' '.join(key.scopes)}" if key.scopes else ""
        typer.echo(f"{key.id}  {key.subject}  {ended} {_day(key.ends_s)}  {used}{scopes}  {key.name}".rstrip())
    if not keys:
        typer.echo("there are none; `douane key create USER` makes one", err=True)


@app.command()
def revoke(id: Annotated[str, typer.Argument(help="As `douane key list` shows it.")]) -> None:
    """End a key, as `douane revoke key ID` does. A running gateway refuses it within five seconds."""
    try:
        gone = asyncio.run(taken_away(paths(), "key", id, ""))
    except CannotRead as exc:
        raise Fault(5, str(exc)) from None
    if not gone:
        raise Fault(1, f"there is no key {id}; `douane key list` shows what there is")
    typer.echo(f"revoked: {id} of {gone[0].subject}")


def _run(work: Callable[[Records], Awaitable[T]]) -> T:
    async def run() -> T:
        async with key_records(paths()) as records:
            return await work(records)

    try:
        return asyncio.run(run())
    except CannotRead as exc:
        raise Fault(5, str(exc)) from None


def _shown(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "user": key.subject,
        "name": key.name,
        "groups": key.groups,
        "tenant": key.tenant,
        "scopes": key.scopes,
        "made": _day(key.made_s),
        "ends": _day(key.ends_s),
        "last_used": None if key.used_s is None else _day(key.used_s),
    }


def _day(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="minutes")
