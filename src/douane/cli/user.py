"""`douane user`: who can log in at the gateway's own authorization server."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from ..config.users import CannotKeep, CannotRead, Household, household
from .faults import Fault
from .options import AsJson
from .place import paths
from .text import agreed

__all__ = ["app"]

app = typer.Typer(help="Who can log in here, where the gateway is its own authorization server.", no_args_is_help=True)
T = TypeVar("T")

Name = Annotated[str, typer.Argument(help="As it is typed to log in: a-z 0-9 . _ @ + -")]


@app.command()
def add(
    name: Name,
    group: Annotated[list[str] | None, typer.Option(help="A group for rules; again for more.")] = None,
    tenant: Annotated[str, typer.Option(help="Whom the user belongs to.")] = "default",
) -> None:
    """Make a user. The password is asked for, or read from standard input."""
    password = _password()
    _run(lambda home: home.users.put(name, password, groups=tuple(group or ()), tenant=tenant))
    typer.echo(f"added: {name}")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show the users."""
    users = _run(lambda home: home.users.all())
    if as_json:
        typer.echo(json.dumps([{"name": user.name, "groups": user.groups, "tenant": user.tenant} for user in users]))
        return
    for user in users:
        groups = f"  in {', '.join(user.groups)}" if user.groups else ""
        typer.echo(f"{user.name}{groups}{'' if user.tenant == 'default' else f'  of {user.tenant}'}")
    if not users:
        typer.echo("nobody but the owner; `douane user add NAME` makes a user", err=True)


@app.command()
def passwd(name: Name) -> None:
    """Give a user another password. Browsers are logged out; programs that were let in stay so."""
    password = _password()
    _run(lambda home: home.change_password(name, password))
    typer.echo(f"changed: {name}")


@app.command()
def remove(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove a user, and end all that was given in the user's name."""
    if not yes and not agreed(f"Remove {name}, and log out every program that {name} has let in?"):
        raise Fault(1, "nothing was changed")
    ended = _run(lambda home: home.remove(name))
    if ended is None:
        raise Fault(1, f"there is no user {name}")
    typer.echo(f"removed: {name}; programs logged out: {ended}")


def _run(work: Callable[[Household], Awaitable[T]]) -> T:
    async def run() -> T:
        async with household(paths()) as home:
            return await work(home)

    try:
        return asyncio.run(run())
    except CannotKeep as exc:
        raise Fault(1, str(exc)) from None
    except CannotRead as exc:
        raise Fault(5, str(exc)) from None


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    # Without a terminal: its first line, so that `echo` and here-documents do.
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Fault(2, "the password on standard input is not UTF-8") from None
