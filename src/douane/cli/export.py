"""`douane export`: the tools of the gateway for a model provider's function calling."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config.functions.export import Provider, exported
from ..config.join import client
from ..config.replace import replace_file
from ..sdk.client import ServerError
from .faults import Fault
from .options import ConfigOption, ServerOption
from .place import config_path, paths
from .reach import reaching
from .text import plain

__all__ = ["export"]


def export(
    format_: Annotated[Provider, typer.Option("--format", help="Whose function calling.")],
    out: Annotated[Path | None, typer.Option(help="Write it there.", show_default=False)] = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Write the tools as function definitions: one JSON document with `tools`, `names` and `notes`.

    `names` leads from each function back to the tool that `douane call` and clients know; `notes` say what a provider
    does not take and how it was said instead.
    """
    try:
        with reaching():
            made = exported(asyncio.run(_tools(server, config)), format_)
    except ServerError as exc:
        raise Fault(1, str(exc)) from None
    text = json.dumps(made._asdict(), indent=2, ensure_ascii=False)
    for note in made.notes:
        typer.echo(plain(f"douane: {note}"), err=True)
    if out is None:
        typer.echo(text)
        return
    try:
        replace_file(out, text + "\n")
    except OSError as exc:
        raise Fault(5, f"{out} cannot be written: {exc}") from None


async def _tools(server: str | None, config: str | None) -> list[dict[str, Any]]:
    async with await client(paths(), config_path(config), deadline_s=30.0, server=server) as gateway:
        tools, meta = await gateway.list("tools/list")
    for gap in meta.get("douane/missing", []):
        typer.echo(plain(f"douane: missing: {gap['name']}: {gap['reason']}"), err=True)
    return tools
