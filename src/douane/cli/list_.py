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
from .options import AsJson, ConfigOption, ServerOption
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
_ORIGINAL, _HIDDEN, _MISSING = "douane/original", "douane/hidden", "douane/missing"
_WORDS = ("title", "description")


def list_(
    what: Annotated[What, typer.Argument(help="What to list.")] = What.tools,
    server: ServerOption = None,
    original: Annotated[
        bool, typer.Option("--original", help="Beside each: whose it is, its own name, and its own words.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """List tools, resources, templates or prompts of all upstreams, and what is missing and why."""
    method, key = _METHODS[what]
    try:
        with reaching():
            items, meta = asyncio.run(_listed(method, server, original, config))
    except ServerError as exc:
        raise Fault(1, str(exc)) from None
    missing, hidden = meta.get(_MISSING, []), meta.get(_HIDDEN, [])
    if as_json:
        also = {"hidden": hidden} if original else {}
        typer.echo(json.dumps({what.value: items, **also, "missing": missing}, ensure_ascii=False))
        return
    console = Console()
    console.print(_table(what, key, items, original) if items else f"no {what.value}")
    for one in hidden:
        said = f"hidden: {_plain(one['upstream'])}: {_plain(one['name'])}: {_first_line(one['definition'])}"
        console.print(said, style="dim", markup=False)
    for gap in missing:
        console.print(f"missing: {_plain(gap['name'])}: {_plain(gap['reason'])}", style="yellow", markup=False)


async def _listed(
    method: str, server: str | None, original: bool, config: str | None
) -> tuple[list[dict[str, Any]], JSON]:
    async with await client(paths(), config_path(config), deadline_s=30.0, server=server) as gateway:
        return await gateway.list(method, {_ORIGINAL: True} if original else {})


def _table(what: What, key: str, items: list[dict[str, Any]], original: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    # Names are what people copy: they are never cut, descriptions are.
    table.add_column(what.value, no_wrap=True, min_width=max((len(i.get(key, "")) for i in items), default=0))
    if original:
        table.add_column("upstream", no_wrap=True)
        table.add_column("its own", no_wrap=True)
    table.add_column("description", overflow="fold" if original else "ellipsis", no_wrap=not original)
    for item in items:
        if original:
            own = item["_meta"][_ORIGINAL]
            table.add_row(_cell(item, key), _plain(own["upstream"]), _plain(own["name"]), _compared(item, own))
        else:
            table.add_row(_cell(item, key), _first_line(item))
    return table


def _compared(item: JSON, own: JSON) -> str:
    """Its description, and below it each word of its server that the operator replaced, in full."""
    was = [
        f"its own {word}: {_plain(str(own['definition'].get(word, 'none')))}"
        for word in _WORDS
        if item.get(word) != own["definition"].get(word)
    ]
    return "\n".join([_first_line(item), *was])


def _cell(item: JSON, key: str) -> str:
    return _plain(item.get(key, ""))


def _first_line(item: JSON) -> str:
    return _plain(str(item.get("description", "")).partition("\n")[0])


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).replace("[", r"\[")
