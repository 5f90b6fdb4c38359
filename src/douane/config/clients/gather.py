"""The servers of several files on their way to be taken over: one of each name, without what is left out, checked."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from ..paths import Paths
from ..problem import ConfigError, Problem
from ..read import read
from ..secret_files import secret_files
from .credentials import looks_secret, separated
from .entry import Entry, Text, Wanted, our_name
from .formats import Source
from .readers import entries_of
from .variables import variable_name
from .write import says_something

__all__ = ["Gathering", "Left", "Planned", "Wishes"]

_PORT = 8440
_REFERENCE = re.compile(r"\$(\$\{|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")


class Left(NamedTuple):
    """A server that is not taken over, and why."""

    name: str
    file: Path
    line: int
    why: str


class Wishes(NamedTuple):
    """What the user said beside the files."""

    skip: frozenset[str] = frozenset()
    rename: Mapping[str, str] = {}


class Planned(msgspec.Struct, frozen=True):
    """A server that would be taken over."""

    name: str
    entry: Entry
    settings: dict[str, Any]
    secrets: dict[str, str]
    """Credentials that the file has in clear, by the variable that stands for each."""
    links: dict[str, Path]
    """Variables that a file of the user's holds already."""
    missing: tuple[Wanted, ...]
    """Variables that nothing gives a value yet."""

    @property
    def secret_names(self) -> list[str]:
        return [*self.secrets, *self.links]

    def expanded(self, text: str, env: Mapping[str, str]) -> str:
        """`text` as it will be, but for what is secret or not known yet: that stays a variable."""

        def put(match: re.Match[str]) -> str:
            name, default = match[2], match[3]
            if name is None:
                return "${"
            if name in self.secret_names or name not in env or looks_secret(name, env[name]):
                return match[0] if default is None or name in env else default
            return env[name]

        return _REFERENCE.sub(put, text)


class Gathering:
    """Entries on their way to be planned; what is wrong gathers in `faults`."""

    def __init__(self, config: Path, paths: Paths, env: Mapping[str, str], wishes: Wishes) -> None:
        self._config, self._paths, self._wishes = config, paths, wishes
        self._env = {**secret_files(paths.secrets), **env}
        self._entries: dict[str, list[Entry]] = {}
        self.servers: list[Planned] = []
        self.left: list[Left] = []
        self.faults: list[str] = []
        self._port: Any = _PORT
        self._seen: set[str] = set()
        self._present = self._upstreams()

    def _upstreams(self) -> dict[str, Any]:
        try:
            raw = read(self._config)[0] if says_something(self._config) else {}
        except ConfigError as exc:
            self.faults += exc.lines()
            return {}
        listen = raw.get("listen")
        self._port = listen.get("port", _PORT) if isinstance(listen, dict) else _PORT
        held = raw.get("upstreams")
        return held if isinstance(held, dict) else {}

    def read(self, source: Source, here: Path) -> None:
        try:
            entries = entries_of(source, Path(self._env.get("HOME", "/")), here)
        except ConfigError as exc:
            self.faults += exc.lines()
            return
        for entry in entries:
            name = self._wishes.rename.get(entry.name) or our_name(entry.name)
            self._seen |= {entry.name, name}
            if why := self._left_out(entry, name):
                self.left.append(Left(entry.name, entry.file, entry.line, why))
            elif not name:
                self._fault(entry, "nothing of its name can be kept", f"give one: --rename {entry.name!r}=NAME")
            else:
                self._entries.setdefault(name, []).append(entry)

    def _left_out(self, entry: Entry, name: str) -> str:
        if entry.name in self._wishes.skip or name in self._wishes.skip:
            return "left out by --skip"
        if entry.is_disabled:
            return "disabled there"
        return "this is Douane itself" if _is_ourselves(entry, self._port) else ""

    def choose(self) -> None:
        """One of each name, checked."""
        for wish, names in (("--skip", self._wishes.skip), ("--rename", self._wishes.rename)):
            self.faults += [
                f"{wish} {name}: none of the files has such a server" for name in names if name not in self._seen
            ]
        for name, entries in self._entries.items():
            entry, *others = entries
            for other in others:
                if other.settings() == entry.settings():
                    self.left.append(Left(other.name, other.file, other.line, "the same as the one before"))
                else:
                    remedy = f"choose: --rename {other.name!r}=NAME, or --skip {other.name!r}"
                    self._fault(
                        other, f"the name {name} stands for another server in {entry.file}:{entry.line}", remedy
                    )
            self._take(name, entry)

    def _take(self, name: str, entry: Entry) -> None:
        if name in self._present:
            self._meet(name, entry)
            return
        self.faults += [problem.said(entry.file) for problem in entry.problems]
        if not entry.problems:
            self._add(name, self._placed(entry))

    def _meet(self, name: str, entry: Entry) -> None:
        """One that bears the name of an upstream: the same, or another."""
        plain, secrets = separated(self._placed(entry), variable_name(name), ())
        if not _within(plain.settings(), self._present[name]):
            remedy = f"--rename {entry.name!r}=NAME, --skip {entry.name!r}, or edit that file"
            self._fault(entry, f"{self._config} has another upstream {name}", remedy)
            return
        stale = [str(self._paths.secrets / key) for key, value in secrets.items() if not self._holds(key, value)]
        differs = f", with another secret than {' and '.join(stale)}" if stale else ""
        self.left.append(Left(entry.name, entry.file, entry.line, f"{self._config} has it already{differs}"))

    def _holds(self, name: str, value: str) -> bool:
        try:
            return (self._paths.secrets / name).read_text(encoding="utf-8") == value
        except (OSError, UnicodeDecodeError):
            return False

    def _placed(self, entry: Entry) -> Entry:
        """The entry, without a folder to run in that is the usual one."""
        if entry.cwd is not None and entry.cwd.text == str(self._config.resolve().parent):
            return msgspec.structs.replace(entry, cwd=None)
        return entry

    def _add(self, name: str, entry: Entry) -> None:
        taken = {*self._env, *(key.removesuffix("_FILE") for key in self._env)}
        taken.update(secret for server in self.servers for secret in server.secret_names)
        made, secrets = separated(entry, variable_name(name), taken)
        wanted = {one.name: one for text in made.texts() for one in text.wanted if one.name not in secrets}
        links = {one.name: one.file for one in wanted.values() if one.file is not None and one.file.is_file()}
        missing = tuple(one for one in wanted.values() if one.name not in links and self._is_missing(one))
        server = Planned(name, made, made.settings(), secrets, links, missing)
        self._find_program(server)
        self.servers.append(server)

    def _is_missing(self, wanted: Wanted) -> bool:
        return wanted.default is None and wanted.name not in self._env and f"{wanted.name}_FILE" not in self._env

    def _find_program(self, server: Planned) -> None:
        if not server.entry.command:
            return
        first = server.entry.command[0]
        program = server.expanded(first.text, self._env)
        given = server.entry.env.get("PATH")
        path = server.expanded(given.text, self._env) if given is not None else self._env.get("PATH", "")
        cwd = self._config.resolve().parent / server.expanded(server.settings.get("cwd", ""), self._env)
        found = shutil.which(str(cwd / program)) if "/" in program else shutil.which(program, path=path)
        if found is None:
            remedy = "install it, give its full path there, or leave the server out with --skip " + repr(
                server.entry.name
            )
            problem = Problem(f"{server.entry.name}.command", first.line, f"there is no program {program!r}", remedy)
            self.faults.append(problem.said(server.entry.file))

    def _fault(self, entry: Entry, message: str, remedy: str) -> None:
        self.faults.append(Problem(entry.name, entry.line, message, remedy).said(entry.file))


def _within(settings: Mapping[str, Any], present: Any) -> bool:
    """Whether what is there says the same, and perhaps more (`reads`, `prefix`)."""
    return isinstance(present, dict) and all(present.get(key) == value for key, value in settings.items())


def _is_ourselves(entry: Entry, port: Any) -> bool:
    words = [text.text for text in entry.command]
    if words and "stdio" in words[1:]:
        return Path(words[0]).name == "douane" or words[1:3] == ["-m", "douane"]
    return entry.url is not None and _is_our_url(entry.url, port)


def _is_our_url(url: Text, port: Any) -> bool:
    try:
        parts = urlsplit(url.text)
        return parts.hostname in ("127.0.0.1", "localhost", "::1") and parts.port == port and parts.path == "/mcp"
    except ValueError:
        return False
