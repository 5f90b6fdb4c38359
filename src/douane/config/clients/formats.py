"""Which clients there are: what their files are called, where they lie, and how their variables are written. Pure."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Client", "Source", "found", "places", "project_of", "told_by_content", "told_by_name"]


class Client(StrEnum):
    """Whose file it is."""

    claude_desktop = "claude-desktop"
    claude_code = "claude-code"
    vscode = "vscode"
    cursor = "cursor"
    windsurf = "windsurf"
    continue_ = "continue"
    registry = "server.json"
    """A server's own description, as the registry of servers publishes it."""


class Source(NamedTuple):
    """A file of a client, and the project it belongs to; None where it belongs to the user."""

    path: Path
    client: Client
    project: Path | None


def places(home: Path, here: Path, platform: str = sys.platform) -> Iterator[Source]:
    """Where the clients look, of this user and of the project in `here`, whether or not something is there."""
    support = home / ("Library/Application Support" if platform == "darwin" else ".config")
    yield Source(here / ".mcp.json", Client.claude_code, here)
    yield Source(here / ".vscode" / "mcp.json", Client.vscode, here)
    yield Source(here / ".cursor" / "mcp.json", Client.cursor, here)
    yield Source(here / ".continue" / "mcpServers", Client.continue_, here)
    yield Source(here / "server.json", Client.registry, here)
    yield Source(support / "Claude" / "claude_desktop_config.json", Client.claude_desktop, None)
    yield Source(home / ".claude.json", Client.claude_code, None)
    yield Source(support / "Code" / "User" / "mcp.json", Client.vscode, None)
    yield Source(home / ".cursor" / "mcp.json", Client.cursor, None)
    yield Source(home / ".codeium" / "windsurf" / "mcp_config.json", Client.windsurf, None)
    yield Source(home / ".continue" / "config.yaml", Client.continue_, None)
    yield Source(home / ".continue" / "mcpServers", Client.continue_, None)


def found(home: Path, here: Path) -> list[Source]:
    """Those of the usual places where something is."""
    seen: dict[Path, Source] = {}
    for source in places(home, here):
        if source.path.exists():
            seen.setdefault(source.path.resolve(), source)
    return list(seen.values())


def told_by_name(path: Path) -> Client | None:
    """Whose file this is, as its name or folder says."""
    name, folder = path.name, path.parent.name
    if name == "claude_desktop_config.json":
        return Client.claude_desktop
    if name in (".mcp.json", ".claude.json"):
        return Client.claude_code
    if name == "mcp_config.json":
        return Client.windsurf
    if name == "server.json":
        return Client.registry
    if "mcpServers" in (name, folder) or folder == ".continue" or path.suffix in (".yaml", ".yml"):
        return Client.continue_
    return {".vscode": Client.vscode, "User": Client.vscode, ".cursor": Client.cursor}.get(folder)


def told_by_content(value: Any) -> Client | None:
    """Whose file this is, where the name does not say it. `mcpServers` alone is what Claude Code reads."""
    if not isinstance(value, dict):
        return None
    if "servers" in value:
        return Client.vscode
    if "mcpServers" in value:
        return Client.claude_code
    return Client.registry if "packages" in value or "remotes" in value else None


def project_of(path: Path, client: Client, home: Path) -> Path | None:
    """The folder that `${workspaceFolder}` stands for in this file, and where its commands run; None for one of the user."""
    if client in (Client.claude_desktop, Client.windsurf, Client.registry):
        return None
    folder = path.parent
    while folder.name in (".vscode", ".cursor", ".continue", "mcpServers"):
        folder = folder.parent
    is_users = folder == home or "Application Support" in folder.parts or home / ".config" in folder.parents
    return None if is_users else folder
