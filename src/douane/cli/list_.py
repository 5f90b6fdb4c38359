"""`douane list`: what there is to call, and what may be."""

import asyncio
import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..config.join import client
from ..protocol.call import JSON
from ..sdk.client import ServerError
from .faults import Fault
from .options import AsJson, ConfigOption
from .place import config_path, paths
from .reach import reaching

__all__ = ["list_"]


class What(StrEnum):
    tools = "tools"
    resources = "resources"
    templates = "templates"
    prompts = "prompts"


_METHODS = {
    What.tools: ("tools/list", "name"),
    What.resources: ("resources/list", "uri"),
    What.templates: ("resources/templates/list", "uriTemplate"),
    What.prompts: ("prompts/list", "name"),
}


def list_(
    what: Annotated[What, typer.Argument(help="What to list.")] = What.tools,
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """List tools, resources, templates or prompts of all upstreams, and what is missing and why."""
    method, key = _METHODS[what]
    try:
        with reaching():
            items, meta = asyncio.run(_listed(method, config))
    except ServerError as exc:
        raise Fault(1, str(exc)) from None
    missing = meta.get("douane/missing", [])
    if as_json:
        typer.echo(json.dumps({what.value: items, "missing": missing}, ensure_ascii=False))
        return
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    # Names are what people copy: they are never cut, descriptions are.
    table.add_column(what.value, no_wrap=True, min_width=max((len(i.get(key, "")) for i in items), default=0))
    table.add_column("description", overflow="ellipsis", no_wrap=True)
    for item in items:
        table.add_row(_plain(item.get(key, "")), _plain(str(item.get("description", "")).partition("\n")[0]))
    console.print(table if items else f"no {what.value}")
    for gap in missing:
        console.print(f"missing: {_plain(gap['name'])}: {_plain(gap['reason'])}", style="yellow", markup=False)


async def _listed(method: str, config: str | None) -> tuple[list[dict[str, Any]], JSON]:
    async with await client(paths(), config_path(config), deadline_s=30.0) as gateway:
        return await gateway.list(method)


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).replace("[", r"\[")
