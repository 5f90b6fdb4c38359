"""The servers in a client's file. What a server has that cannot be taken over is said with it, by file, line and key.

Spec: code.claude.com/docs/en/mcp; code.visualstudio.com, "MCP configuration reference"; cursor.com/docs/mcp;
docs.windsurf.com, "Cascade MCP"; docs.continue.dev, "config.yaml reference".
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..problem import ConfigError, Place, Problem, shown
from ..read import read as read_ours
from . import jsonc
from .entry import Entry
from .fields import Fields, one_server
from .formats import Client, Source, told_by_content
from .server_json import described
from .variables import Context, Input

__all__ = ["entries_of"]

_MAX_BYTES = 8 * 1024 * 1024
"""`~/.claude.json` holds a history beside the servers."""
_SERVERS = {Client.vscode: "servers"}
"""The key that holds the servers, where it is not `mcpServers`."""
_INPUTS = ("promptString", "pickString", "command")


def entries_of(source: Source, home: Path, here: Path) -> list[Entry]:
    """Every server of the file, or of the files of a folder. Raises ConfigError when it cannot be read."""
    if source.path.is_dir():
        files = sorted(p for p in source.path.iterdir() if p.suffix in (".yaml", ".yml", ".json"))
        return [entry for path in files for entry in entries_of(source._replace(path=path), home, here)]
    value, lines = _read(source.path)
    client = source.client
    if client is Client.continue_ and source.path.suffix == ".json":
        # Continue takes the files of others as they are.
        client = told_by_content(value) or Client.claude_code
    file = _File(source.path, value, lines, Context(client, home, source.project))
    if client is Client.registry:
        return [described(value, lines, source.path)]
    if client is Client.continue_:
        return list(file.of_continue())
    return list(file.of_mapping(here))


def _read(path: Path) -> tuple[dict[str, Any], Mapping[Place, int]]:
    if path.suffix in (".yaml", ".yml"):
        try:
            return read_ours(path)
        except ConfigError as exc:
            # Its remedies are for our own file.
            raise ConfigError(path, [problem._replace(remedy="") for problem in exc.problems]) from None
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ConfigError(path, [Problem("", 0, "is larger than 8 MiB")])
        document = jsonc.read(content.decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(path, [Problem("", 0, "there is no such file")]) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(path, [Problem("", 0, f"cannot be read: {exc}")]) from None
    except jsonc.NotJson as exc:
        raise ConfigError(path, [Problem("", exc.line, f"is not JSON: {exc}")]) from None
    if not isinstance(document.value, dict):
        raise ConfigError(path, [Problem("", 1, "is not an object", 'it begins with {"mcpServers": {')])
    return document.value, document.lines


class _File:
    """One file, read: what its servers are made from."""

    def __init__(self, path: Path, value: dict[str, Any], lines: Mapping[Place, int], context: Context) -> None:
        self._path, self._value, self._lines, self._context = path, value, lines, context

    def of_mapping(self, here: Path) -> Iterator[Entry]:
        """`mcpServers` or `servers`; of `~/.claude.json` also those of the project in `here`."""
        key = _SERVERS.get(self._context.client, "mcpServers")
        held: list[Place] = [(key,)]
        if self._path.name == ".claude.json":
            held.append(("projects", str(here), key))
        present = [place for place in held if place in self._lines]
        if not present:
            raise self._without(key)
        inputs = self._inputs()
        context = Context(self._context.client, self._context.home, self._context.project, inputs)
        for place in present:
            servers = _at(self._value, place)
            if not isinstance(servers, dict):
                raise self._fault(place, "must be an object", "a name and its server, each")
            for name, server in servers.items():
                yield one_server(Fields(self._path, (*place, name), server, self._lines, context), name)

    def of_continue(self) -> Iterator[Entry]:
        """The list `mcpServers` of `config.yaml` or of a block."""
        servers = self._value.get("mcpServers")
        if servers is None and self._path.parent.name == "mcpServers":
            raise self._without("mcpServers")
        if not isinstance(servers, list | None):
            raise self._fault(("mcpServers",), "must be a list", "each server begins with `- name:`")
        for index, server in enumerate(servers or []):
            place: Place = ("mcpServers", index)
            name = server.get("name") if isinstance(server, dict) else None
            if isinstance(server, dict) and "uses" in server:
                said = f"uses {server['uses']}, a block of Continue's hub that is not in this file"
                problem = self._problem((*place, "uses"), said, "write its command or url here instead")
                yield self._lost(str(server["uses"]), place, problem)
            elif not isinstance(name, str) or not name:
                yield self._lost(f"server {index + 1}", place, self._problem(place, "has no name", "add name: …"))
            else:
                yield one_server(Fields(self._path, place, server, self._lines, self._context), name)

    def _lost(self, name: str, place: Place, problem: Problem) -> Entry:
        return Entry(name=name, file=self._path, line=problem.line, client=self._context.client, problems=(problem,))

    def _inputs(self) -> dict[str, Input]:
        raw = self._value.get("inputs", [])
        if self._context.client is not Client.vscode:
            return {}
        if not isinstance(raw, list):
            raise self._fault(("inputs",), "must be a list")
        made: dict[str, Input] = {}
        for index, one in enumerate(raw):
            place: Place = ("inputs", index)
            if not isinstance(one, dict) or not isinstance(one.get("id"), str) or one.get("type") not in _INPUTS:
                raise self._fault(place, "is no input", f"it has an id, and a type: {', '.join(_INPUTS)}")
            if one["id"] in made:
                raise self._fault(place, f"the input {one['id']} stands twice", "remove one")
            default = one.get("default")
            said = str(one.get("description", ""))
            made[one["id"]] = Input(
                one["type"], said, one.get("password") is True, default if isinstance(default, str) else None
            )
        return made

    def _without(self, key: str) -> ConfigError:
        near = difflib.get_close_matches(key, self._value, n=1, cutoff=0.5)
        remedy = f'did you mean "{key}" where it says "{near[0]}"?' if near else "is it the file of another client?"
        line = self._lines.get((near[0],), 1) if near else 1
        return ConfigError(self._path, [Problem("", line, f"there are no {key}", remedy)])

    def _fault(self, place: Place, message: str, remedy: str = "") -> ConfigError:
        return ConfigError(self._path, [self._problem(place, message, remedy)])

    def _problem(self, place: Place, message: str, remedy: str = "") -> Problem:
        return Problem(shown(place), self._lines.get(place, 0), message, remedy)


def _at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value
