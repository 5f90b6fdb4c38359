"""`douane snippet`: the entry that points a client at this gateway."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..config.clients.snippet import Door, NoSuchDoor, Snippet, Target, TokenUnusable, by_url, write
from ..config.clients.snippet import snippet as made
from ..config.load import ConfigError
from ..config.paths import ROOTS
from .faults import Fault
from .options import AsJson, ConfigOption, ServerOption
from .place import config_path, loaded, paths

__all__ = ["snippet"]


def snippet(
    client: Annotated[Target, typer.Argument(help="Whose words it is in.")],
    url: Annotated[bool, typer.Option("--url", help="By URL, instead of a command that the client launches.")] = False,
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Write the token itself into the entry, not its name.")
    ] = False,
    to_file: Annotated[
        bool, typer.Option("--write", help="Put it into the client's file; the rest of it stays.")
    ] = False,
    file: Annotated[
        Path | None, typer.Option(help="Another file than the client's usual one.", show_default=False)
    ] = None,
    name: Annotated[str, typer.Option(help="What the client calls it.")] = "douane",
    server: ServerOption = None,
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """Show, or write, what a client needs to reach this gateway: its entry, and a link or command that installs it."""
    if with_token and not url:
        raise Fault(2, "a command needs no token; --with-token goes with --url")
    _known(server, config)
    try:
        token = paths().token if with_token else None
        door = by_url(loaded(config).config.listen, token, server) if url else _by_command(config, server)
        one = made(client, name, door, Path.home(), Path.cwd())
    except NoSuchDoor as exc:
        raise Fault(2, str(exc)) from None
    except TokenUnusable as exc:
        raise Fault(5, str(exc)) from None
    target = file or one.file
    if to_file:
        _write(one, target, with_token)
    if as_json:
        typer.echo(json.dumps({**one._asdict(), "file": target and str(target), "written": to_file}))
    elif to_file:
        typer.echo(f"written: {name}, in {target}")
        _remark(one)
    else:
        _show(one, target)


def _known(server: str | None, config: str | None) -> None:
    if server is None:
        return
    found = loaded(config)
    if server not in found.config.servers:
        known = ", ".join(found.config.servers) or "none"
        raise Fault(2, f"{found.path} has no virtual server {server!r}; known there: {known}")


def _by_command(config: str | None, server: str | None) -> Door:
    own = Path(sys.executable).with_name("douane")
    command = [str(own)] if own.exists() else [sys.executable, "-m", "douane"]
    # A client launches it from anywhere and with an environment of its own; it must find the same gateway.
    env = {name: os.environ[name] for name in ROOTS if os.environ.get(name)}
    which = () if server is None else ("--server", server)
    return Door((*command, "stdio", "--config", str(config_path(config).absolute()), *which), env)


def _write(one: Snippet, target: Path | None, with_token: bool) -> None:
    if target is None:
        raise Fault(2, "nobody knows where this client looks; name the file with --file")
    try:
        write(one, target, holds_token=with_token)
    except ConfigError as exc:
        raise Fault(3, f"nothing was written\n{exc}") from None
    except OSError as exc:
        raise Fault(5, f"{target} cannot be written: {exc}") from None


def _show(one: Snippet, target: Path | None) -> None:
    if target is not None:
        typer.echo(f"# for {target}", err=True)
    typer.echo(one.text.rstrip("\n"))
    if one.link:
        typer.echo(f"# or open: {one.link}", err=True)
    if one.command:
        typer.echo(f"# or run: {one.command}", err=True)
    _remark(one)


def _remark(one: Snippet) -> None:
    if one.remark:
        typer.echo(f"# {one.remark}; the token lies in {paths().token}", err=True)
