"""`server.json`: a server as its author describes it for the registry, made into a command line or a URL.

Spec: static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json. A value that is fixed is taken as it is, a
default as if it had been chosen; what is required and has neither becomes a variable; the rest is left out and said.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..problem import Place, Problem, shown
from .entry import Entry, Text, Wanted
from .formats import Client
from .variables import literal, variable_name

__all__ = ["described"]

_CURLY = re.compile(r"\{([A-Za-z0-9_.-]+)\}")
_TOP = (
    *("$schema", "name", "title", "description", "version", "websiteUrl", "repository", "icons", "packages", "remotes"),
    *("_meta", "status", "server"),
)
_PACKAGE = (
    *("registryType", "registryBaseUrl", "identifier", "version", "fileSha256", "runtimeHint", "transport"),
    *("runtimeArguments", "packageArguments", "environmentVariables"),
)
_PROMPTING = ("description", "format", "placeholder", "valueHint", "isRequired", "choices")
"""A named argument with one of these stands for a value; without, it is a switch."""


def described(value: dict[str, Any], lines: Mapping[Place, int], path: Path) -> Entry:
    """The server: its first package that speaks stdio, else its first remote."""
    # As the registry answers, the description stands one level down.
    place: Place = ("server",) if isinstance(value.get("server"), dict) and "name" not in value else ()
    return _Description(value["server"] if place else value, lines, path, place).entry()


class _Description:
    def __init__(self, value: dict[str, Any], lines: Mapping[Place, int], path: Path, place: Place) -> None:
        self._value, self._lines, self._path, self._place = value, lines, path, place
        self._name = str(value.get("name")).rpartition("/")[2]
        self._problems: list[Problem] = []
        self._notes: list[str] = []

    def entry(self) -> Entry:
        name = self._value.get("name")
        if not isinstance(name, str) or "/" not in name:
            self._problem(("name",), "is missing, or has no namespace", 'write it as "io.github.someone/server"')
        for key in self._value:
            if key not in _TOP:
                self._problem((key,), "unknown key", "is it a server.json of 2025-12-11?")
        chosen = self._chosen()
        made: dict[str, Any] = {}
        if chosen is not None:
            kind, index, one = chosen
            made = self._package(one, (kind, index)) if kind == "packages" else self._remote(one, (kind, index))
        return Entry(
            name=self._name,
            file=self._path,
            line=self._line(()),
            client=Client.registry,
            notes=tuple(self._notes),
            problems=tuple(self._problems),
            **made,
        )

    def _chosen(self) -> tuple[str, int, dict[str, Any]] | None:
        offered = [
            (kind, index, one)
            for kind in ("packages", "remotes")
            for index, one in enumerate(self._list((kind,), self._value.get(kind)))
            if isinstance(one, dict)
        ]
        usable = [one for one in offered if self._is_usable(*one)]
        if not usable:
            what = "no package that speaks stdio, and no remote" if offered else "neither packages nor remotes"
            self._problem((), f"has {what}", "nothing here can be run or called")
            return None
        self._notes += [f"it is also offered as {_called(*one)}" for one in usable[1:]]
        return usable[0]

    def _is_usable(self, kind: str, index: int, one: dict[str, Any]) -> bool:
        if kind == "remotes":
            return True
        if one.get("registryType") == "mcpb":
            said = f"check its SHA-256 ({one.get('fileSha256', 'not given')}), unpack it, and write its command by hand"
            self._notes.append(f"{one.get('identifier')} is a bundle (mcpb), which is not run from here: {said}")
            return False
        transport = one.get("transport")
        return isinstance(transport, dict) and transport.get("type") == "stdio"

    def _package(self, one: dict[str, Any], place: Place) -> dict[str, Any]:
        for key in one:
            if key not in _PACKAGE:
                self._problem((*place, key), "unknown key", "is it a server.json of 2025-12-11?")
        identifier, version = one.get("identifier"), one.get("version")
        if not isinstance(identifier, str) or not identifier or identifier.startswith("-"):
            self._problem((*place, "identifier"), "is no name of a package")
            return {}
        runtime = self._arguments((*place, "runtimeArguments"), one.get("runtimeArguments"))
        arguments = self._arguments((*place, "packageArguments"), one.get("packageArguments"))
        env = self._named((*place, "environmentVariables"), one.get("environmentVariables"))
        if one.get("registryBaseUrl") is not None:
            self._notes.append(
                f"it is published at {one['registryBaseUrl']}: the program that runs it must be set up for that registry"
            )
        at = f"{identifier}@{version}" if isinstance(version, str) and version else identifier
        match one.get("registryType"):
            case "npm":
                ahead = () if any(part.text in ("-y", "--yes") for part in runtime) else (Text("-y"),)
                command = (_program(one, "npx"), *ahead, *runtime, Text(at), *arguments)
            case "pypi":
                command = (_program(one, "uvx"), *runtime, Text(at), *arguments)
            case "nuget":
                after = (Text("--"), *arguments) if arguments else ()
                command = (_program(one, "dnx"), *runtime, Text(at), Text("--yes"), *after)
            case "oci":
                image = identifier if not version or ":" in identifier.rpartition("/")[2] else f"{identifier}:{version}"
                passed = tuple(Text(word) for name in env for word in ("-e", name))
                start = (_program(one, "docker"), Text("run"), Text("-i"), Text("--rm"))
                command = (*start, *passed, *runtime, Text(image), *arguments)
            case other:
                self._problem((*place, "registryType"), f"{other!r} is not known", "npm, pypi, oci and nuget are")
                return {}
        return {"command": tuple(_at_line(part, self._line(place)) for part in command), "env": env}

    def _remote(self, one: dict[str, Any], place: Place) -> dict[str, Any]:
        url = one.get("url")
        if one.get("type") not in ("streamable-http", "sse") or not isinstance(url, str):
            self._problem(place, "is no remote", 'it has a url, and a type: "streamable-http" or "sse"')
            return {}
        filled = self._filled(url, one.get("variables"), (*place, "url"))
        return {"url": filled, "headers": self._named((*place, "headers"), one.get("headers"), f"{self._name} ")}

    # --- inputs ---

    def _arguments(self, place: Place, raw: Any) -> tuple[Text, ...]:
        made: list[Text] = []
        for index, one in enumerate(self._list(place, raw)):
            at: Place = (*place, index)
            if not isinstance(one, dict) or one.get("type") not in ("positional", "named"):
                self._problem(at, "is no argument", 'its type is "positional" or "named"')
                continue
            name = one.get("name")
            if one["type"] == "named" and not isinstance(name, str):
                self._problem(at, "has no name", 'as in "name": "--port"')
                continue
            hint = str(name or one.get("valueHint") or f"argument {index + 1}")
            value = self._input(one, at, f"{self._name} {hint}")
            if one["type"] == "named" and (value is not None or not any(key in one for key in _PROMPTING)):
                made.append(Text(literal(str(name)), self._line(at)))
            elif value is None:
                self._notes.append(f"the optional {hint} is left out{_why(one)}")
            made += [value] if value is not None else []
        return tuple(made)

    def _named(self, place: Place, raw: Any, prefix: str = "") -> dict[str, Text]:
        """Headers, or variables of the environment."""
        made: dict[str, Text] = {}
        for index, one in enumerate(self._list(place, raw)):
            at: Place = (*place, index)
            if not isinstance(one, dict) or not isinstance(one.get("name"), str):
                self._problem(at, "has no name")
                continue
            value = self._input(one, at, prefix + one["name"])
            if value is None:
                self._notes.append(f"the optional {one['name']} is left out{_why(one)}")
            else:
                made[one["name"]] = value
        return made

    def _input(self, one: dict[str, Any], place: Place, hint: str) -> Text | None:
        if isinstance(one.get("value"), str):
            return self._filled(one["value"], one.get("variables"), place, is_secret=one.get("isSecret") is True)
        if isinstance(one.get("default"), str):
            return Text(literal(one["default"]), self._line(place), is_secret=one.get("isSecret") is True)
        if one.get("isRequired") is not True:
            return None
        wanted = Wanted(variable_name(hint), one.get("isSecret") is True, said=str(one.get("description", "")))
        return Text(f"${{{wanted.name}}}", self._line(place), (wanted,), wanted.is_secret)

    def _filled(self, value: str, variables: Any, place: Place, *, is_secret: bool = False) -> Text:
        """`value` with what stands in curly braces put in; a name that is not among the variables stays."""
        known: dict[str, Any] = variables if isinstance(variables, dict) else {}
        parts: list[str] = []
        wanted: list[Wanted] = []
        end = 0
        for match in _CURLY.finditer(value):
            one = known.get(match[1])
            if not isinstance(one, dict):
                continue
            made = self._input({**one, "isRequired": True}, place, f"{self._name} {match[1]}") or Text("")
            parts += [literal(value[end : match.start()]), made.text]
            wanted += made.wanted
            end = match.end()
        text = "".join([*parts, literal(value[end:])])
        return Text(text, self._line(place), tuple(wanted), is_secret or any(one.is_secret for one in wanted))

    def _list(self, place: Place, raw: Any) -> list[Any]:
        if raw is None or isinstance(raw, list):
            return raw or []
        self._problem(place, "must be a list")
        return []

    def _line(self, inner: Place) -> int:
        place = (*self._place, *inner)
        return next((self._lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in self._lines), 0)

    def _problem(self, inner: Place, message: str, remedy: str = "") -> None:
        self._problems.append(Problem(shown((*self._place, *inner)), self._line(inner), message, remedy))


def _program(one: dict[str, Any], usual: str) -> Text:
    hint = one.get("runtimeHint")
    return Text(literal(hint) if isinstance(hint, str) and hint else usual)


def _at_line(text: Text, line: int) -> Text:
    return text if text.line else Text(text.text, line, text.wanted, text.is_secret)


def _called(kind: str, index: int, one: dict[str, Any]) -> str:
    return (
        f"the {one.get('registryType')} package {one.get('identifier')}" if kind == "packages" else str(one.get("url"))
    )


def _why(one: dict[str, Any]) -> str:
    return f": {one['description']}" if isinstance(one.get("description"), str) else ""
