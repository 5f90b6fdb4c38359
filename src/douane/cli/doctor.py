"""`douane doctor`: what keeps this gateway from serving, and the remedy."""

import asyncio
import json
import os
from pathlib import Path

import typer
from rich.console import Console

from ..config.checkup import Finding, findings
from ..config.join import CannotJoin, client
from ..config.paths import find_config
from ..sdk.client import ServerError
from .options import AsJson, ConfigOption
from .place import environment, paths

__all__ = ["doctor"]

_STYLES = {"ok": "green", "bad": "bold red", "note": "yellow"}


def doctor(config: ConfigOption = None, as_json: AsJson = False) -> None:
    """Check configuration, policy, token, folders, disk, and the running gateway. Exit code 1 when something is bad."""
    where = paths()
    file = find_config(config, os.environ, Path.cwd(), where)
    found = [*findings(where, file, environment()), asyncio.run(_gateway())]
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in found]))
    else:
        console = Console()
        for finding in found:
            console.print(f"{finding.state:>4}", style=_STYLES[finding.state], end="  ")
            console.print(f"{finding.what}: {finding.said}", markup=False, highlight=False)
    if any(finding.state == "bad" for finding in found):
        raise typer.Exit(1)


async def _gateway() -> Finding:
    try:
        async with await client(paths(), None, deadline_s=5.0) as gateway:
            items, meta = await gateway.list("tools/list")
    except CannotJoin:
        return Finding("gateway", "note", "none runs")
    except ServerError as exc:
        # Most of what it says of itself begins so, and this line does.
        return Finding("gateway", "bad", str(exc).removeprefix("gateway: "))
    missing = [f"{gap['name']} ({gap['reason']})" for gap in meta.get("douane/missing", [])]
    if missing:
        return Finding("gateway", "bad", f"{len(items)} tools; missing: {'; '.join(missing)}")
    return Finding("gateway", "ok", f"runs, {len(items)} tools")
