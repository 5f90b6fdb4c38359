"""The variables of each client's files, in the syntax of ours.

`${VAR}` and `${VAR:-default}` (Claude Code), `${env:VAR}`, `${input:id}`, `${workspaceFolder}`, `${userHome}` (VS Code,
Cursor), `${env:VAR}`, `${file:path}` (Windsurf), `${{ secrets.VAR }}` (Continue). Claude Desktop has none.
What has no counterpart here is a problem that names the remedy.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .entry import Text, Wanted
from .formats import Client

__all__ = ["Context", "Input", "Untranslatable", "literal", "translated", "variable_name"]

_BRACED = re.compile(r"\$\{([^{}]*)\}")
_DOUBLE = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?")
_OTHER = re.compile(r"[^A-Za-z0-9]+")
_TAKEN = (
    *(
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "SHELL",
        "PWD",
        "OLDPWD",
        "TERM",
        "HOSTNAME",
    ),
    *("DISPLAY", "EDITOR", "PAGER", "MAIL", "PORT", "HOST"),
)
"""Names that mean something to everybody, so that a question of some server must not be answered by them."""
_PROJECT_DIR = "CLAUDE_PROJECT_DIR"


class Untranslatable(ValueError):
    """A variable that cannot be had here. The text names it, and the remedy."""


class Input(msgspec.Struct, frozen=True):
    """What VS Code would ask for once."""

    kind: str
    said: str = ""
    is_password: bool = False
    default: str | None = None


class Context(msgspec.Struct, frozen=True):
    """What the variables of a file stand for."""

    client: Client
    home: Path
    project: Path | None
    inputs: Mapping[str, Input] = {}


def variable_name(text: str) -> str:
    """`github-token` as `GITHUB_TOKEN`."""
    plain = _OTHER.sub("_", text).strip("_").upper()
    if plain in _TAKEN or plain[:1].isdigit() or not plain:
        return f"MCP_{plain}"
    return plain


def literal(text: str) -> str:
    """As our file has to say it so that nothing in it is a variable."""
    return text.replace("${", "$${")


def translated(value: str, line: int, context: Context) -> Text:
    """Raises Untranslatable."""
    if context.client is Client.claude_desktop:
        return Text(literal(value), line)
    pattern = _DOUBLE if context.client is Client.continue_ else _BRACED
    parts: list[str] = []
    wanted: list[Wanted] = []
    end = 0
    for match in pattern.finditer(value):
        made = _variable(match[1], context)
        parts += [literal(value[end : match.start()]), made if isinstance(made, str) else _reference(made)]
        wanted += [made] if isinstance(made, Wanted) else []
        end = match.end()
    text = "".join([*parts, literal(value[end:])])
    return Text(text, line, tuple(wanted), any(one.is_secret for one in wanted))


def _reference(wanted: Wanted) -> str:
    return f"${{{wanted.name}}}" if wanted.default is None else f"${{{wanted.name}:-{wanted.default}}}"


def _variable(inner: str, context: Context) -> Wanted | str:
    match context.client:
        case Client.claude_code:
            return _of_shell(inner, context)
        case Client.continue_:
            return _of_continue(inner)
        case Client.windsurf:
            return _of_windsurf(inner)
        case _:
            return _of_editor(inner, context)


def _of_shell(inner: str, context: Context) -> Wanted | str:
    match = _SHELL.fullmatch(inner)
    if match is None:
        # Claude Code passes on what it does not know.
        return f"$${{{inner}}}"
    if match[1] == _PROJECT_DIR:
        return _project(inner, context)
    return Wanted(match[1], default=match[2])


def _of_continue(inner: str) -> Wanted:
    kind, _, name = inner.partition(".")
    if kind not in ("secrets", "inputs") or not _NAME.fullmatch(name):
        raise Untranslatable(f"${{{{ {inner} }}}} is no secret or input; write the value, or ${{{{ secrets.NAME }}}}")
    return Wanted(name, is_secret=kind == "secrets")


def _of_windsurf(inner: str) -> Wanted:
    kind, _, name = inner.partition(":")
    if kind == "env" and _NAME.fullmatch(name):
        return Wanted(name)
    if kind == "file" and name:
        # Named by all of its path: two files of one name are two secrets.
        return Wanted(variable_name(name), is_secret=True, file=Path(name).expanduser())
    if _NAME.fullmatch(inner):
        return Wanted(inner)
    raise Untranslatable(f"${{{inner}}} is not known; Windsurf has ${{env:NAME}} and ${{file:path}}")


def _of_editor(inner: str, context: Context) -> Wanted | str:
    kind, _, name = inner.partition(":")
    if kind == "env" and _NAME.fullmatch(name):
        return Wanted(name)
    if kind == "input":
        return _of_input(name, context)
    if inner in ("workspaceFolder", "cwd"):
        return _project(inner, context)
    if inner == "workspaceFolderBasename":
        return Path(_project(inner, context)).name
    if inner == "userHome":
        return literal(str(context.home))
    if inner in ("pathSeparator", "/"):
        return "/"
    raise Untranslatable(f"${{{inner}}} is known to the editor only; write the value itself in its place")


def _of_input(id_: str, context: Context) -> Wanted:
    asked = context.inputs.get(id_)
    if asked is None:
        raise Untranslatable(f"${{input:{id_}}} is not among the file's inputs; add it there, or use ${{env:NAME}}")
    if asked.kind == "command":
        raise Untranslatable(
            f"${{input:{id_}}} runs a command of the editor; use ${{env:{variable_name(id_)}}} instead"
        )
    default = None if asked.is_password or asked.default is None or "}" in asked.default else asked.default
    return Wanted(variable_name(id_), asked.is_password, default, asked.said)


def _project(inner: str, context: Context) -> str:
    if context.project is None:
        raise Untranslatable(f"${{{inner}}} has no meaning in a file of the user; write the folder in its place")
    return literal(str(context.project))
