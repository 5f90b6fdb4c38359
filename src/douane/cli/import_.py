"""`douane import`: the servers of other clients, shown in full, agreed to once, taken over."""

import getpass
import json
import os
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config.clients.formats import Client, Source, found, project_of, told_by_name
from ..config.clients.gather import Planned, Wishes
from ..config.clients.plan import INHERITED, CannotImport, Plan, done, planned
from ..config.consent import ConsentUnusable
from ..config.paths import CONFIG_NAME, find_config
from .faults import Fault
from .options import AsJson, ConfigOption
from .place import environment, paths
from .text import agreed, plain

__all__ = ["import_"]


def import_(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Clients' files; none: list those that are there.", show_default=False
        ),
    ] = None,
    client: Annotated[
        Client | None, typer.Option("--from", help="Whose files they are, where their names do not say it.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="A server to leave out.", show_default=False)] = None,
    rename: Annotated[list[str] | None, typer.Option(metavar="OLD=NEW", help="Another name for a server.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to all that would be shown: for scripts.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show, and change nothing.")] = False,
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """Take over the servers that other clients have configured: each command is shown in full and agreed to once.

    Your answer is the consent: a command or script that changes later is not started until `douane consent` has shown
    it to you again.
    """
    if not files:
        if yes or dry_run:
            raise Fault(2, "name the files; `douane import` alone lists those that are there")
        _list(as_json)
        return
    plan = _plan(files, client, Wishes(frozenset(skip or ()), _renames(rename or [])), config)
    if as_json and not (yes or dry_run):
        raise Fault(2, "with --json nobody is asked; say --yes or --dry-run")
    if not as_json:
        _show(plan)
    if plan.servers and not dry_run and not yes and not agreed(f"Write these {len(plan.servers)} into {plan.config}?"):
        raise Fault(1, "nothing was imported")
    made = _done(plan) if plan.servers and not dry_run else []
    if as_json:
        typer.echo(json.dumps({**_document(plan), "imported": bool(made or plan.servers) and not dry_run}))
    elif plan.servers and not dry_run:
        _say_done(plan, made)


def _plan(files: list[Path], client: Client | None, wishes: Wishes, config: str | None) -> Plan:
    where, here = paths(), Path.cwd()
    target = find_config(config, os.environ, here, where) or where.config_dir / CONFIG_NAME
    sources = [_source(path, client) for path in files]
    try:
        return planned(sources, target.absolute(), where, environment(), here, wishes)
    except CannotImport as exc:
        raise Fault(3, f"nothing was imported\n{_lines(str(exc))}") from None


def _lines(text: str) -> str:
    return "\n".join(plain(line) for line in text.split("\n"))


def _source(path: Path, client: Client | None) -> Source:
    path = path.absolute()
    told = client or told_by_name(path) or Client.claude_code
    return Source(path, told, project_of(path, told, Path.home()))


def _renames(given: list[str]) -> dict[str, str]:
    made: dict[str, str] = {}
    for one in given:
        old, equals, new = one.rpartition("=")
        if not equals or not old or not new:
            raise Fault(2, f"{one!r} is not OLD=NEW")
        made[old] = new
    return made


def _done(plan: Plan) -> list[Path]:
    try:
        return done(plan, paths(), getpass.getuser())
    except CannotImport as exc:
        raise Fault(1, f"nothing was imported: {exc}") from None
    except (OSError, ConsentUnusable) as exc:
        raise Fault(5, f"nothing was imported: {exc}") from None


# --- what is shown ---


def _list(as_json: bool) -> None:
    sources = found(Path.home(), Path.cwd())
    if as_json:
        typer.echo(json.dumps([{"client": source.client.value, "file": str(source.path)} for source in sources]))
        return
    for source in sources:
        typer.echo(f"{source.client.value:<16}{plain(str(source.path))}")
    if sources:
        typer.echo("Take one over with: douane import FILE")
    else:
        typer.echo("No client of this user or this folder has servers. Name a file: douane import FILE")


def _document(plan: Plan) -> dict[str, Any]:
    return {
        "config": str(plan.config),
        "servers": [_server(server, plan) for server in plan.servers],
        "left": [{"name": one.name, "file": str(one.file), "line": one.line, "why": one.why} for one in plan.left],
    }


def _server(server: Planned, plan: Plan) -> dict[str, Any]:
    entry, env = server.entry, environment()
    upstream: dict[str, Any] = {"name": server.name, "named": entry.name, "file": str(entry.file), "line": entry.line}
    if entry.command:
        upstream["command"] = [server.expanded(word.text, env) for word in entry.command]
        upstream["cwd"] = server.settings.get("cwd")
        upstream["scripts"] = plan.pins[server.name].scripts
        upstream["inherits"] = list(INHERITED)
    if entry.url is not None:
        upstream["url"] = server.expanded(entry.url.text, env)
    for key, values in (("env", entry.env), ("headers", entry.headers)):
        upstream[key] = {
            name: "***" if text.is_secret else server.expanded(text.text, env) for name, text in values.items()
        }
    upstream["secrets"] = server.secret_names
    upstream["missing"] = [{"name": one.name, "for": one.said} for one in server.missing]
    upstream["notes"] = list(entry.notes)
    return upstream


def _show(plan: Plan) -> None:
    for server in plan.servers:
        _show_server(_server(server, plan), server)
    for one in plan.left:
        typer.echo(plain(f"left out: {one.name} ({one.file}:{one.line}): {one.why}"))
    if not plan.servers:
        typer.echo("There is nothing to import.")


def _show_server(shown: dict[str, Any], server: Planned) -> None:
    named = f", there called {shown['named']!r}" if shown["named"] != shown["name"] else ""
    _line(f"{shown['name']}  (from {shown['file']}:{shown['line']}{named})")
    if "command" in shown:
        _line(f"  runs     {shlex.join(shown['command'])}")
        for path, digest in shown["scripts"].items():
            _line(f"  script   {path}, SHA-256 {digest}")
        _line(f"  in       {shown['cwd'] or 'the folder of the configuration'}")
        _line(f"  sees     {', '.join(shown['inherits'])} as they are here")
    if "url" in shown:
        _line(f"  calls    {shown['url']}")
    for key, word in (("env", "with"), ("headers", "sends")):
        for name, value in shown[key].items():
            _line(f"  {word:<8} {name}={value}")
    for name in shown["secrets"]:
        kept = server.links.get(name, paths().secrets / name)
        _line(f"  secret   ${{{name}}}, kept in {kept}")
    for one in shown["missing"]:
        _line(f"  needs    ${{{one['name']}}}, which is not set yet" + (f": {one['for']}" if one["for"] else ""))
    for note in shown["notes"]:
        _line(f"  note     {note}")
    typer.echo("")


def _line(text: str) -> None:
    typer.echo(plain(text))


def _say_done(plan: Plan, made: list[Path]) -> None:
    typer.echo(f"imported: {', '.join(server.name for server in plan.servers)}, into {plan.config}")
    if made:
        typer.echo(
            f"{len(made)} secrets lie in {paths().secrets}, where only you can read them; the clients' files still hold theirs"
        )
    for server in plan.servers:
        for one in server.missing:
            typer.echo(plain(f"before the start, set {one.name}, or write it into {paths().secrets / one.name}"))
    typer.echo("Nothing of them may be called yet but what you mark: see `reads`, or douane allow NAME")
