"""Reading `douane.yaml` (or .toml, .json): every problem with its place, and the remedy.

Refused: unknown keys (with the one that was probably meant), keys twice, wrong types, variables that are not set.
`${NAME}` and `${NAME:-default}` are replaced in values, never in keys; when NAME is not set but NAME_FILE is, the
content of that file is taken. `$${` stands for `${`. What came from outside is never shown again.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from .model import Config, UpstreamConfig

__all__ = ["ConfigError", "Loaded", "Problem", "explain", "load"]

_VARIABLE = re.compile(r"\$(\$\{|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")
_PREFIX = re.compile(r"[A-Za-z0-9_.\-]{0,32}")
_WRONG = re.compile(r"(.*?)(?: - at `\$(.*)`)?$", re.DOTALL)

Place = tuple[str | int, ...]


class Problem(NamedTuple):
    """One thing that is wrong. `line` is 0 where the format keeps none."""

    where: str
    line: int
    message: str


class ConfigError(Exception):
    """The file cannot be used; `problems` says all that is wrong with it."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path, self.problems = path, problems
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        shown = [
            f"{self.path}{f':{p.line}' if p.line else ''}: {p.where + ': ' if p.where else ''}" for p in self.problems
        ]
        return [head + p.message for head, p in zip(shown, self.problems, strict=True)]


class Loaded(NamedTuple):
    path: Path
    config: Config
    lines: Mapping[Place, int]
    """Where each value stands."""
    outside: Mapping[Place, str]
    """Values that came from the environment or a file, and from where."""


def load(path: Path, env: Mapping[str, str]) -> Loaded:
    """Raises ConfigError with everything that is wrong."""
    raw, lines = _read(path)
    problems: list[Problem] = []
    outside: dict[Place, str] = {}
    raw = _expanded(raw, (), env, lines, problems, outside)
    problems += _unknown_keys(raw, Config, (), lines)
    if problems:
        raise ConfigError(path, problems)
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as exc:
        raise ConfigError(path, [_typed(str(exc), lines)]) from None
    problems = list(_wrong(config, lines))
    if problems:
        raise ConfigError(path, problems)
    return Loaded(path, config, lines, outside)


# --- reading ---


def _read(path: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(path, [Problem("", 0, f"cannot be read: {exc}")]) from None
    lines: dict[Place, int] = {}
    try:
        if path.suffix == ".json":
            raw: Any = json.loads(text, object_pairs_hook=_no_twins)
        elif path.suffix == ".toml":
            raw = tomllib.loads(text)
        else:
            raw = _read_yaml(text, lines)
    except _Twice as exc:
        raise ConfigError(path, [Problem("", exc.line, f"the key {exc.key!r} stands twice; remove one")]) from None
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark is not None else 0
        raise ConfigError(path, [Problem("", line, f"is not YAML: {exc.problem}")]) from None
    except (ValueError, yaml.YAMLError) as exc:
        raise ConfigError(path, [Problem("", 0, f"cannot be parsed: {exc}")]) from None
    if not isinstance(raw, dict):
        raise ConfigError(path, [Problem("", 0, "is empty; it needs at least `upstreams:` with one server")])
    return raw, lines


class _Twice(ValueError):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(key)
        self.key, self.line = key, line


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _Twice(key, 0)
        made[key] = value
    return made


def _read_yaml(text: str, lines: dict[Place, int]) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _note_lines(node, (), lines)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _note_lines(node: yaml.Node, place: Place, lines: dict[Place, int]) -> None:
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise _Twice(name, key.start_mark.line + 1)
            seen.add(name)
            _note_lines(value, (*place, name), lines)
            lines[*place, name] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_lines(item, (*place, index), lines)


# --- variables ---


def _expanded(
    value: Any,
    place: Place,
    env: Mapping[str, str],
    lines: Mapping[Place, int],
    problems: list[Problem],
    outside: dict[Place, str],
) -> Any:
    if isinstance(value, dict):
        return {k: _expanded(v, (*place, str(k)), env, lines, problems, outside) for k, v in value.items()}
    if isinstance(value, list):
        return [_expanded(v, (*place, i), env, lines, problems, outside) for i, v in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    found: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        if match[1] == "${":
            return "${"
        text, source = _variable(match[2], match[3], env)
        if text is None:
            problems.append(Problem(_shown(place), lines.get(place, 0), source))
            return ""
        found.append(source)
        return text

    text = _VARIABLE.sub(replaced, value)
    if found:
        outside[place] = ", ".join(found)
    return text


def _variable(name: str, default: str | None, env: Mapping[str, str]) -> tuple[str | None, str]:
    """The value and where it came from; None and why there is none."""
    if name in env:
        return env[name], f"${{{name}}} of the environment"
    file = env.get(f"{name}_FILE")
    if file is not None:
        try:
            return Path(file).read_text(encoding="utf-8").rstrip("\r\n"), f"${{{name}}} of {name}_FILE"
        except (OSError, UnicodeDecodeError) as exc:
            return None, f"${{{name}}}: {name}_FILE cannot be read: {exc}"
    if default is not None:
        return default, f"the default of ${{{name}}}"
    return None, f"${{{name}}} is not set; set {name}, or {name}_FILE to a file that holds it"


# --- checks ---


def _unknown_keys(raw: Any, model: Any, place: Place, lines: Mapping[Place, int]) -> list[Problem]:
    if not isinstance(raw, dict):
        return []
    fields = {field.name: field.type for field in msgspec.structs.fields(model)}
    problems: list[Problem] = []
    for key, value in raw.items():
        here = (*place, str(key))
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(fields)}"
            problems.append(Problem(_shown(here), lines.get(here, 0), f"unknown key; {hint}"))
        elif here == ("upstreams",) and isinstance(value, dict):
            for name, upstream in value.items():
                problems += _unknown_keys(upstream, UpstreamConfig, (*here, str(name)), lines)
        elif isinstance(fields[key], type) and issubclass(fields[key], msgspec.Struct):
            problems += _unknown_keys(value, fields[key], here, lines)
    return problems


def _typed(message: str, lines: Mapping[Place, int]) -> Problem:
    matched = _WRONG.match(message)
    text, path = (matched[1], matched[2] or "") if matched is not None else (message, "")
    place: Place = tuple(int(p[1:-1]) if p.startswith("[") else p for p in re.findall(r"\[\d+\]|[^.\[\]]+", path))
    # msgspec writes `[...]` for the keys of a mapping: the line is then that of the deepest part we know.
    return Problem(path.lstrip(".").replace("[...]", ".*"), lines.get(place, 0), text[0].lower() + text[1:])


def _wrong(config: Config, lines: Mapping[Place, int]) -> Iterator[Problem]:
    def problem(message: str, *place: str) -> Problem:
        return Problem(_shown(place), lines.get(place, lines.get(place[:-1], 0)), message)

    if not config.upstreams:
        yield problem("at least one server is needed, by `command` or by `url`", "upstreams")
    if not 0 <= config.listen.port <= 65535:
        yield problem("a port is a number from 0 to 65535", "listen", "port")
    for name, upstream in config.upstreams.items():
        at = ("upstreams", name)
        if not _NAME.fullmatch(name):
            yield problem("a name is 1 to 24 of a-z, 0-9 and -, a letter first: its tools are shown as name_tool", *at)
        if bool(upstream.command) == (upstream.url is not None):
            yield problem("needs either `command` or `url`", *at)
        if upstream.url is not None and (upstream.env or upstream.inherit or upstream.cwd is not None):
            yield problem("`env`, `inherit` and `cwd` belong to a `command`", *at)
        if upstream.command and (upstream.headers or upstream.reach is not None):
            yield problem("`headers` and `reach` belong to a `url`", *at)
        if upstream.prefix is not None and not _PREFIX.fullmatch(upstream.prefix):
            yield problem("a prefix is at most 32 of A-Z, a-z, 0-9, _ . -", *at, "prefix")
        for key in ("deadline_s", "max_deadline_s", "start_timeout_s", "refresh_s", "idle_stop_s"):
            if not getattr(upstream, key) > 0:
                yield problem("must be more than 0 seconds", *at, key)


def _shown(place: Place) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".")


# --- explaining ---


def explain(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Every setting in force: its path, its value, and where it comes from. Values from outside are not shown."""
    rows: list[tuple[str, str, str]] = []
    for place, value in _leaves(msgspec.to_builtins(loaded.config), ()):
        if place in loaded.outside:
            rows.append((_shown(place), "***", loaded.outside[place]))
        else:
            line = loaded.lines.get(place)
            source = "default" if line is None else f"{loaded.path}:{line}"
            rows.append((_shown(place), json.dumps(value), source))
    return rows


def _leaves(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*place, str(key)))
    elif isinstance(value, list | tuple) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*place, index))
    else:
        yield place, value
