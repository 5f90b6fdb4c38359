"""A configuration file as plain data, and the line each value stands on. YAML, TOML or JSON, told by the ending.

Keys are text as written, and stand once. YAML is read as its newer version means it: only `true` and `false` are
booleans, and dates and `12:30` are text. Aliases may be used; what they unfold to is bounded.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from .problem import ConfigError, Place, Problem

__all__ = ["read"]

_MAX_BYTES = 1024 * 1024
"""The largest configurations seen have some 100 KB."""
_MAX_VALUES = 50_000
_MAX_DEPTH = 32
_MERGE = "tag:yaml.org,2002:merge"
_BOOL, _TEXT = "tag:yaml.org,2002:bool", ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:str")
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_TOML_TABLE = re.compile(r"\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
_TOML_KEY = re.compile(r"([A-Za-z0-9_.\"' -]+?)\s*=")


class _Fault(ValueError):
    def __init__(self, message: str, line: int = 0, remedy: str = "") -> None:
        super().__init__(message)
        self.line, self.remedy = line, remedy


def read(path: Path, text: str | None = None) -> tuple[dict[str, Any], dict[Place, int]]:
    """Raises ConfigError. TOML keeps no lines; most are found by looking. With `text`, as if that stood in the file."""
    try:
        return _parsed(path, _text(path) if text is None else text)
    except _Fault as exc:
        problem = Problem("", exc.line, str(exc), exc.remedy)
    except FileNotFoundError:
        problem = Problem("", 0, "there is no such file")
    except (OSError, UnicodeDecodeError) as exc:
        problem = Problem("", 0, f"cannot be read: {exc}")
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark is not None else 0
        problem = Problem("", line, f"is not YAML: {exc.problem or exc.context}")
    except json.JSONDecodeError as exc:
        problem = Problem("", exc.lineno, f"is not JSON: {exc.msg}")
    except tomllib.TOMLDecodeError as exc:
        problem = Problem("", 0, f"is not TOML: {exc}")
    except (ValueError, yaml.YAMLError) as exc:
        problem = Problem("", 0, f"cannot be parsed: {exc}")
    except RecursionError:
        problem = Problem("", 0, "is nested too deeply")
    raise ConfigError(path, [problem])


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise _Fault("is larger than 1 MiB")
    return content.decode("utf-8-sig")


def _parsed(path: Path, text: str) -> tuple[dict[str, Any], dict[Place, int]]:
    lines: dict[Place, int] = {}
    if path.suffix == ".json":
        raw = json.loads(text, object_pairs_hook=_once)
        with suppress(yaml.YAMLError, _Fault):
            _from_yaml(text, lines)
    elif path.suffix == ".toml":
        raw = tomllib.loads(text)
        lines = dict(_toml_lines(text))
    else:
        raw = _from_yaml(text, lines)
    if raw is None:
        raise _Fault("is empty", 0, "it needs at least `upstreams:` with one server")
    if not isinstance(raw, dict):
        raise _Fault("is not a mapping of settings", 0, "it begins with `upstreams:`")
    return raw, lines


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _twice(key, 0)
        made[key] = value
    return made


def _twice(key: str, line: int) -> _Fault:
    return _Fault(f"the key {json.dumps(key)} stands twice", line, "remove one")


def _toml_lines(text: str) -> Iterator[tuple[Place, int]]:
    table: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if heading := _TOML_TABLE.fullmatch(stripped):
            table = _toml_path(heading[1])
            yield table, number
        elif key := _TOML_KEY.match(stripped):
            yield (*table, *_toml_path(key[1])), number


def _toml_path(text: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def _from_yaml(text: str, lines: dict[Place, int]) -> Any:
    loader = yaml.CSafeLoader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _Builder(loader, lines).build(node, ())
    finally:
        loader.dispose()


class _Builder:
    """Plain data from YAML nodes, noting where everything stands."""

    def __init__(self, loader: yaml.CSafeLoader, lines: dict[Place, int]) -> None:
        self._loader, self._lines, self._left = loader, lines, _MAX_VALUES

    def build(self, node: yaml.Node, place: Place) -> Any:
        self._lines.setdefault(place, _line(node))
        self._count(node, len(place))
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTIONS:
            raise _Fault(f"the tag {node.tag} is not known here", _line(node), "write the value without it")
        if isinstance(node, yaml.MappingNode):
            return {name: self.build(value, (*place, name)) for name, value in self._members(node, place).items()}
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*place, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _count(self, node: yaml.Node, depth: int) -> None:
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise _Fault("is nested too deeply, or unfolds to too much", _line(node), "is an alias used within itself?")

    def _members(self, node: yaml.MappingNode, place: Place, merges: int = 0) -> Mapping[str, yaml.Node]:
        self._count(node, merges)
        own: dict[str, yaml.Node] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Fault("a key is plain text", _line(key))
            if key.tag == _MERGE:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            if key.value in own:
                raise _twice(key.value, _line(key))
            own[key.value] = value
            self._lines.setdefault((*place, key.value), _line(key))
        for other in merged:
            if not isinstance(other, yaml.MappingNode):
                raise _Fault("`<<` takes a mapping", _line(other))
            for name, value in self._members(other, place, merges + 1).items():
                own.setdefault(name, value)
        return own

    def _scalar(self, node: yaml.Node) -> Any:
        is_text = node.tag in _TEXT or (node.tag == _BOOL and node.value.lower() not in ("true", "false"))
        if is_text or (node.tag.endswith((":int", ":float")) and ":" in node.value):
            return node.value
        return self._loader.construct_object(node)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
