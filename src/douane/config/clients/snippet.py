"""The entry that points a client at this gateway, in that client's words, and where it goes.

By command (`douane stdio`), which needs no token; or by URL, with a header that names the token and does not hold it,
unless that is asked for. Spec: as in `readers`; code.visualstudio.com and cursor.com/docs for the links that install.
"""

import base64
import json
import shlex
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import yaml

from ...auth.first_token import TokenUnusable, read_token
from ..model import Listen
from ..problem import ConfigError, Problem
from ..regular import read_regular
from ..replace import replace_file
from . import jsonc

__all__ = ["Door", "NoSuchDoor", "Snippet", "Target", "TokenUnusable", "by_url", "snippet", "write"]

TOKEN_VARIABLE = "DOUANE_TOKEN"
_MAX_BYTES = 8 * 1024 * 1024
_INPUT = {"type": "promptString", "id": "douane-token", "description": "The token of Douane", "password": True}


class Target(StrEnum):
    """Which client."""

    claude_desktop = "claude-desktop"
    claude_code = "claude-code"
    vscode = "vscode"
    cursor = "cursor"
    windsurf = "windsurf"
    continue_ = "continue"
    generic = "generic"


class NoSuchDoor(ValueError):
    """The client takes no such entry, or the gateway has no such door. The text says what to do."""


class Door(NamedTuple):
    """How the gateway is reached: by `command`, or by `url`."""

    command: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    url: str = ""
    token: str | None = None
    """To be written into the entry; None: it is named only."""


def by_url(listen: Listen, token: Path | None, server: str | None = None) -> Door:
    """The door over HTTP, of a virtual server or the whole; with `token`, what is in that file. Raises NoSuchDoor, TokenUnusable."""
    if listen.port == 0:
        raise NoSuchDoor("listen.port is 0, another one at each start; give it a number so that clients can name it")
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    path = "/mcp" if server is None else f"/mcp/{server}"
    return Door(url=f"{listen.scheme}://{host}:{listen.port}{path}", token=None if token is None else read_token(token))


class Snippet(NamedTuple):
    """What stands in a client's file."""

    text: str
    """The whole of a file that has nothing else."""
    file: Path | None
    """Where this client looks; None where nobody knows."""
    place: tuple[str, str] | None
    """Where it goes in a JSON file; None: the text is a file of its own."""
    entry: dict[str, Any]
    asks: tuple[dict[str, Any], ...] = ()
    """What VS Code is to ask for."""
    link: str = ""
    """Opening it installs the entry."""
    command: str = ""
    """A command of the client that installs it."""
    remark: str = ""


def snippet(target: Target, name: str, door: Door, home: Path, here: Path) -> Snippet:
    """Raises NoSuchDoor."""
    if target is Target.claude_desktop and door.url:
        raise NoSuchDoor("Claude Desktop takes only commands in its file; leave out --url")
    file = _file(target, home, here)
    if target is Target.continue_:
        block = _block(name, door)
        text = yaml.safe_dump(block, sort_keys=False, allow_unicode=True, width=1000)
        return Snippet(text, file, None, block, remark=_remark(target, door))
    entry = _entry(target, door)
    place = ("servers" if target is Target.vscode else "mcpServers", name)
    asks = (_INPUT,) if target is Target.vscode and door.url and door.token is None else ()
    made = Snippet(
        "",
        file,
        place,
        entry,
        asks,
        _link(target, name, entry, asks),
        _command(target, name, door),
        _remark(target, door),
    )
    return made._replace(text=_within("{}", made))


def _entry(target: Target, door: Door) -> dict[str, Any]:
    if door.command:
        entry: dict[str, Any] = {"type": "stdio"} if target in (Target.vscode, Target.claude_code) else {}
        entry |= {"command": door.command[0], "args": list(door.command[1:])}
        return entry | ({"env": dict(door.env)} if door.env else {})
    headers = {"Authorization": f"Bearer {door.token or _named(target)}"}
    match target:
        case Target.windsurf:
            return {"serverUrl": door.url, "headers": headers}
        case Target.cursor:
            return {"url": door.url, "headers": headers}
        case _:
            return {"type": "http", "url": door.url, "headers": headers}


def _named(target: Target) -> str:
    """The token by name, as the client writes that."""
    match target:
        case Target.vscode:
            return f"${{input:{_INPUT['id']}}}"
        case Target.cursor | Target.windsurf:
            return f"${{env:{TOKEN_VARIABLE}}}"
        case Target.continue_:
            return f"${{{{ secrets.{TOKEN_VARIABLE} }}}}"
        case _:
            return f"${{{TOKEN_VARIABLE}}}"


def _block(name: str, door: Door) -> dict[str, Any]:
    """A block of Continue: a file of its own, so nothing is there to keep."""
    server: dict[str, Any] = {"name": name}
    if door.command:
        server |= {"type": "stdio", "command": door.command[0], "args": list(door.command[1:])}
        server |= {"env": dict(door.env)} if door.env else {}
    else:
        headers = {"Authorization": f"Bearer {door.token or _named(Target.continue_)}"}
        server |= {"type": "streamable-http", "url": door.url, "requestOptions": {"headers": headers}}
    return {"name": f"{name} MCP", "version": "0.0.1", "schema": "v1", "mcpServers": [server]}


def _file(target: Target, home: Path, here: Path) -> Path | None:
    support = home / ("Library/Application Support" if sys.platform == "darwin" else ".config")
    return {
        Target.claude_desktop: support / "Claude" / "claude_desktop_config.json",
        Target.claude_code: here / ".mcp.json",
        Target.vscode: here / ".vscode" / "mcp.json",
        Target.cursor: home / ".cursor" / "mcp.json",
        Target.windsurf: home / ".codeium" / "windsurf" / "mcp_config.json",
        Target.continue_: here / ".continue" / "mcpServers" / "douane.yaml",
    }.get(target)


def _link(target: Target, name: str, entry: dict[str, Any], inputs: tuple[Any, ...]) -> str:
    match target:
        case Target.vscode:
            said = {"name": name, **entry, **({"inputs": inputs} if inputs else {})}
            return f"vscode:mcp/install?{quote(json.dumps(said, separators=(',', ':')), safe='')}"
        case Target.cursor:
            packed = base64.b64encode(json.dumps(entry, separators=(",", ":")).encode()).decode()
            return f"cursor://anysphere.cursor-deeplink/mcp/install?name={quote(name, safe='')}&config={quote(packed, safe='')}"
        case _:
            return ""


def _command(target: Target, name: str, door: Door) -> str:
    if target is not Target.claude_code:
        return ""
    if door.command:
        given = [part for key, value in door.env.items() for part in ("--env", f"{key}={value}")]
        return shlex.join(["claude", "mcp", "add", "--scope", "user", name, *given, "--", *door.command])
    header = f"Authorization: Bearer {door.token or _named(target)}"
    return shlex.join(
        ["claude", "mcp", "add", "--scope", "user", "--transport", "http", name, door.url, "--header", header]
    )


def _remark(target: Target, door: Door) -> str:
    if door.command or door.token is not None:
        return ""
    if target is Target.vscode:
        return "VS Code asks for the token once and keeps it"
    where = "in ~/.continue/.env" if target is Target.continue_ else "in the environment of the client"
    return f"set {TOKEN_VARIABLE} {where}"


def write(made: Snippet, file: Path, *, holds_token: bool) -> None:
    """Put the entry into `file` and keep everything else in it. Raises ConfigError, OSError."""
    try:
        present = read_regular(file, _MAX_BYTES).decode("utf-8-sig") if file.exists() else ""
        if made.place is None and present.strip() and not _is_such_block(present, made):
            remedy = "name a file of its own, or remove this one"
            raise ConfigError(file, [Problem("", 0, "holds something else than this entry", remedy)])
        text = _within(present if present.strip() else "{}", made)
    except jsonc.NotJson as exc:
        raise ConfigError(file, [Problem("", exc.line, f"cannot be added to: {exc}", "mend it first")]) from None
    except UnicodeDecodeError as exc:
        raise ConfigError(file, [Problem("", 0, f"cannot be read: {exc}")]) from None
    replace_file(file, text if text.endswith("\n") else text + "\n", 0o600 if holds_token else None)


def _is_such_block(text: str, made: Snippet) -> bool:
    """Whether a file has but the server that would be written, however it is reached: what we may write anew."""
    try:
        held = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
    if not isinstance(held, dict) or held.keys() != made.entry.keys():
        return False
    servers = held["mcpServers"]
    names = [one.get("name") for one in servers if isinstance(one, dict)] if isinstance(servers, list) else []
    return names == [one["name"] for one in made.entry["mcpServers"]] and len(servers) == len(names)


def _within(text: str, made: Snippet) -> str:
    """The text of a client's file with the entry in it. Raises NotJson."""
    if made.place is None:
        return made.text
    text = jsonc.with_member(text, made.place, made.entry)
    present = jsonc.read(text).value.get("inputs")
    ids = [one.get("id") for one in present if isinstance(one, dict)] if isinstance(present, list) else []
    for one in made.asks:
        text = text if one["id"] in ids else jsonc.with_item(text, ("inputs",), one)
    return text
