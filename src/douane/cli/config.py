"""`douane config`: what is in force, and where it was said."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..config.editor import schema
from ..config.load import explain
from .options import AsJson, ConfigOption
from .place import loaded

__all__ = ["app"]

app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)


@app.command("explain")
def explain_(
    config: ConfigOption = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not a default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Every setting in force, its value, and where it comes from. Values from outside (secrets) are not shown."""
    rows = [row for row in explain(loaded(config)) if not changed or row[2] != "default"]
    if as_json:
        typer.echo(json.dumps([{"setting": s, "value": v, "source": w} for s, v, w in rows]))
        return
    table = Table("setting", "value", "from", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    Console().print(table)


@app.command("check")
def check(config: ConfigOption = None) -> None:
    """Read the configuration and say all that is wrong with it; exit code 3 then."""
    found = loaded(config)
    for warning in found.warnings:
        typer.echo(f"warning: {warning.said(found.path)}", err=True)
    typer.echo(f"ok: {found.path} with {len(found.config.upstreams)} upstreams")


@app.command("schema")
def schema_() -> None:
    """The JSON Schema of douane.yaml, for editors."""
    typer.echo(json.dumps(schema(), indent=2))
