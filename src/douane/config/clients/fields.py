"""One server of a client's file: its keys, one after the other. Unknown keys are refused."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..problem import Place, Problem, shown
from ..regular import read_regular
from .dotenv import NotDotenv, dotenv
from .entry import Entry, Text
from .formats import Client
from .variables import Context, Untranslatable, literal, translated

__all__ = ["Fields", "one_server"]

_MAX_ENV_BYTES = 1024 * 1024
_TYPES = {
    "stdio": "command",
    "http": "url",
    "streamable-http": "url",
    "streamableHttp": "url",
    "streamable_http": "url",
    "sse": "url",
}
_TAKEN = ("type", "transport", "command", "args", "env", "cwd", "envFile", "url", "serverUrl", "headers", "name")
_BEHIND: dict[str, str] = {
    "disabledTools": "hiding tools is left behind",
    "alwaysAllow": "approvals are not taken over: what may be called is said by `reads` and `douane allow`",
    "autoApprove": "approvals are not taken over: what may be called is said by `reads` and `douane allow`",
    "oauth": "its sign-in (OAuth) is not taken over: give a token in `headers`",
    "auth": "its sign-in (OAuth) is not taken over: give a token in `headers`",
    "sandbox": "its sandbox is left behind",
    "sandboxEnabled": "its sandbox is left behind",
    "dev": "its development mode is left behind",
    "timeout": "its timeout is left behind: set deadline_s if 60 s are not right",
    "connectionTimeout": "its timeout is left behind: set start_timeout_s if 30 s are not right",
}
_SILENT = ("description", "faviconUrl", "icon", "gallery", "version", "serverName", "sourceFile", "id", "tools")
"""Of no consequence here. `tools: ["*"]` is how Copilot says all."""


class Fields:
    """The keys of one server, read with the places they stand on; what is wrong gathers in `problems`."""

    def __init__(self, file: Path, place: Place, value: Any, lines: Mapping[Place, int], context: Context) -> None:
        self.file, self.place, self.context = file, place, context
        self.value: dict[str, Any] = value if isinstance(value, dict) else {}
        self._lines = lines
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        if not isinstance(value, dict):
            self.problem((), "must be an object", 'it has a "command" or a "url"')

    def line(self, *inner: str | int) -> int:
        place = (*self.place, *inner)
        return next((self._lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in self._lines), 0)

    def problem(self, inner: Place, message: str, remedy: str = "") -> None:
        self.problems.append(Problem(shown((*self.place, *inner)), self.line(*inner), message, remedy))

    def text(self, *inner: str | int) -> Text | None:
        """The value there; numbers and booleans as text. None, and a problem, when it is neither."""
        value: Any = self.value
        for key in inner:
            value = value[key]
        if isinstance(value, bool):
            value = "true" if value else "false"
        if isinstance(value, int | float):
            value = str(value)
        if not isinstance(value, str):
            self.problem(inner, "must be text", "put it in quotes")
            return None
        try:
            return translated(value, self.line(*inner), self.context)
        except Untranslatable as exc:
            self.problem(inner, str(exc))
            return None

    def texts(self, key: str) -> tuple[Text, ...]:
        """A list of text."""
        value = self.value.get(key, [])
        if not isinstance(value, list):
            self.problem((key,), "must be a list", "write it in brackets, one part each")
            return ()
        return tuple(part for i in range(len(value)) if (part := self.text(key, i)) is not None)

    def mapping(self, *inner: str) -> dict[str, Text]:
        """Names and their text."""
        value: Any = self.value
        for key in inner:
            value = value.get(key, {})
        if not isinstance(value, dict):
            self.problem(inner, "must be an object", "a name and its text, each")
            return {}
        return {name: part for name in value if (part := self._member(value, inner, name)) is not None}

    def _member(self, value: dict[str, Any], inner: Place, name: str) -> Text | None:
        if value[name] is None:
            self.notes.append(f"{name} has no value and is left out")
            return None
        return self.text(*inner, name)


def one_server(fields: Fields, name: str) -> Entry:
    """The server, with everything that is wrong with it."""
    _unknown(fields)
    kind = _kind(fields)
    command = _command(fields) if kind == "command" else ()
    headers = {**fields.mapping("headers"), **_requested(fields)} if kind == "url" else {}
    return Entry(
        name=name,
        file=fields.file,
        line=fields.line(),
        client=fields.context.client,
        command=command,
        env={**_from_file(fields), **fields.mapping("env")} if kind == "command" else {},
        cwd=_cwd(fields) if kind == "command" else None,
        url=fields.text("url" if "url" in fields.value else "serverUrl") if kind == "url" else None,
        headers=headers,
        is_disabled=fields.value.get("disabled") is True or fields.value.get("enabled") is False,
        notes=tuple(fields.notes),
        problems=tuple(fields.problems),
    )


def _unknown(fields: Fields) -> None:
    for key in fields.value:
        if key in _BEHIND:
            fields.notes.append(f"{key}: {_BEHIND[key]}")
        elif key == "headersHelper":
            fields.problem((key,), "runs a command for each header", "put the header into headers, from a variable")
        elif key not in (*_TAKEN, *_SILENT, "disabled", "enabled") and not (
            key == "requestOptions" and fields.context.client is Client.continue_
        ):
            near = difflib.get_close_matches(key, _TAKEN, n=1)
            remedy = f'did you mean "{near[0]}"?' if near else "remove it, or leave this server out with --skip"
            fields.problem((key,), "unknown key", remedy)


def _kind(fields: Fields) -> str | None:
    has_command = "command" in fields.value
    has_url = "url" in fields.value or "serverUrl" in fields.value
    said = fields.value.get("type", fields.value.get("transport"))
    if isinstance(said, str) and said not in _TYPES:
        fields.problem(("type",), f"the transport {said!r} is not known", "stdio and http are")
        return None
    if has_command == has_url:
        if fields.value:
            fields.problem((), "has both command and url" if has_url else "has neither command nor url", "keep one")
        return None
    kind = "command" if has_command else "url"
    if isinstance(said, str) and _TYPES[said] != kind:
        fields.problem(("type",), f"is {said!r}, and the server has a {kind}", "make them agree")
    other = ("args", "env", "cwd", "envFile") if kind == "url" else ("headers",)
    fields.notes += [
        f"{key}: a server with a {kind} has none; it is left behind" for key in other if fields.value.get(key)
    ]
    return kind


def _command(fields: Fields) -> tuple[Text, ...]:
    program = fields.text("command")
    if program is not None and not program.text:
        fields.problem(("command",), "the program has no name")
    return () if program is None else (program, *fields.texts("args"))


def _cwd(fields: Fields) -> Text | None:
    """Where it runs: as said, or in the project that the file belongs to."""
    project = fields.context.project
    said = fields.text("cwd") if fields.value.get("cwd") is not None else None
    if said is None:
        return None if project is None else Text(literal(str(project)), fields.line())
    if said.text.startswith(("/", "${")) or project is None:
        return said
    return Text(literal(str(project / said.text.replace("$${", "${"))), said.line)


def _requested(fields: Fields) -> dict[str, Text]:
    options = fields.value.get("requestOptions")
    if options is None:
        return {}
    if not isinstance(options, dict):
        fields.problem(("requestOptions",), "must be a mapping")
        return {}
    fields.notes += [f"requestOptions.{key} is left behind" for key in options if key != "headers"]
    return fields.mapping("requestOptions", "headers")


def _from_file(fields: Fields) -> dict[str, Text]:
    """The variables of `envFile`, read now: they are part of what is agreed to."""
    if fields.value.get("envFile") is None:
        return {}
    path = fields.text("envFile")
    if path is None or path.wanted:
        fields.problem(("envFile",), "its path holds a variable", "write the path itself")
        return {}
    file = (fields.context.project or fields.file.parent) / path.text.replace("$${", "${")
    try:
        found = dotenv(read_regular(file, _MAX_ENV_BYTES).decode())
    except NotDotenv as exc:
        fields.problem(("envFile",), f"{file}:{exc.line}: {exc}", "write NAME=value, one a line")
        return {}
    except (OSError, ValueError) as exc:
        fields.problem(("envFile",), f"{file} cannot be read: {exc}", "remove the key, or make the file")
        return {}
    fields.notes.append(f"{len(found)} variables are taken from {file} as they are now")
    return {name: Text(literal(value), fields.line("envFile")) for name, value in found.items()}
