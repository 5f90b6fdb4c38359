"""`douane call`: one tool, through the gateway, from the command line."""

import asyncio
import json
import sys
from typing import Annotated, Any

import typer

from ..config.join import client
from ..protocol.call import JSON, Event
from ..sdk.client import ServerError
from .faults import Fault
from .options import AsJson, ConfigOption, ServerOption
from .place import config_path, paths
from .reach import reaching

__all__ = ["call"]


def call(
    tool: Annotated[str, typer.Argument(help="The tool, as `douane list` shows it.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="name=value each; the value is JSON where it can be read as such, else text.", show_default=False
        ),
    ] = None,
    arguments_json: Annotated[
        str | None,
        typer.Option("--arguments", help="All arguments as one JSON object; - reads it from standard input."),
    ] = None,
    deadline_s: Annotated[float, typer.Option(help="How long to wait.")] = 60.0,
    server: ServerOption = None,
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """Call a tool and show what it answers. Exit code 1 when the call is refused or the tool reports an error."""
    given = _arguments(arguments or [], arguments_json)
    try:
        with reaching():
            result = asyncio.run(_call(tool, given, deadline_s, server, config))
    except ServerError as exc:
        if as_json:
            typer.echo(
                json.dumps({"error": {"code": exc.code, "message": str(exc), "data": exc.data}}, ensure_ascii=False)
            )
            raise typer.Exit(1) from None
        raise Fault(1, str(exc)) from None
    typer.echo(json.dumps(result, ensure_ascii=False) if as_json else _shown(result))
    if result.get("isError") is True:
        raise typer.Exit(1)


async def _call(
    tool: str, arguments: dict[str, Any], deadline_s: float, server: str | None, config: str | None
) -> JSON:
    async with await client(paths(), config_path(config), deadline_s=deadline_s, server=server) as gateway:
        return await gateway.request("tools/call", {"name": tool, "arguments": arguments}, _progress)


def _progress(event: Event) -> None:
    if sys.stderr.isatty() and event.method == "notifications/progress":
        of = f" of {event.params['total']}" if "total" in event.params else ""
        print(f"… {event.params.get('progress')}{of} {event.params.get('message', '')}", file=sys.stderr)


def _arguments(pairs: list[str], whole: str | None) -> dict[str, Any]:
    if whole is not None:
        if pairs:
            raise Fault(2, "give arguments as name=value, or as one object with --arguments, not both")
        text = sys.stdin.read() if whole == "-" else whole
        made = _json_or_text(text)
        if not isinstance(made, dict):
            raise Fault(2, "--arguments needs a JSON object")
        return made
    given: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Fault(2, f"{pair!r} is not name=value")
        if name in given:
            raise Fault(2, f"the argument {name!r} is given twice")
        given[name] = _json_or_text(value)
    return given


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _shown(result: JSON) -> str:
    """Text as it is; what is no text as its JSON."""
    parts: list[str] = []
    for item in result.get("content", []):
        text = item.get("text") if item.get("type") == "text" else None
        parts.append(_printable(text) if isinstance(text, str) else json.dumps(item, ensure_ascii=False)[:2000])
    return "\n".join(parts) or json.dumps(result, ensure_ascii=False)


def _printable(text: str) -> str:
    # A tool's text is data: it must not drive the terminal.
    return "".join(c if c in "\n\t" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)
