"""More upstreams in `douane.yaml`: the text is added to, never written anew, so comments and order stay.

What was added is read back: unless the file then says exactly what it said before and the new servers, nothing is changed.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..load import load
from ..model import UpstreamConfig
from ..problem import ConfigError, Problem
from ..read import read
from . import jsonc

__all__ = ["says_something", "with_upstreams"]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
"""Which YAML of one version or another does not read as text."""
_NEW = "# Written by `douane import`. Every setting: docs/configuration.md\nupstreams:\n"


def with_upstreams(
    path: Path, added: Mapping[str, Mapping[str, Any]], env: Mapping[str, str]
) -> tuple[str, Mapping[str, UpstreamConfig]]:
    """The text of `path` with `added` among its upstreams, and all of them as they are then loaded.

    `path` need not exist. Raises ConfigError.
    The result is loaded to see that it can be, with something in the place of each variable that `env` does not have.
    """
    before = read(path)[0] if says_something(path) else {}
    # Bytes: a line that ends in CR LF stays one.
    text = path.read_bytes().decode("utf-8-sig") if path.exists() else ""
    try:
        made = _extended(path, text, added)
    except (yaml.YAMLError, jsonc.NotJson, _Unextendable) as exc:
        raise _by_hand(path, added, str(exc)) from None
    return made, _checked(path, made, before, added, env)


class _Unextendable(ValueError):
    """The file is written in a way that text cannot be added to safely."""


def says_something(path: Path) -> bool:
    """Whether there is a file, with more than remarks in it."""
    if not path.exists():
        return False
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def _by_hand(path: Path, added: Mapping[str, Any], why: str) -> ConfigError:
    text = "\n".join(_block({"upstreams": dict(added)}))
    return ConfigError(
        path, [Problem("upstreams", 0, f"cannot be added to: {why}", f"write this there yourself:\n{text}")]
    )


def _checked(
    path: Path, text: str, before: dict[str, Any], added: Mapping[str, Mapping[str, Any]], env: Mapping[str, str]
) -> Mapping[str, UpstreamConfig]:
    after, _ = read(path, text)
    if after != {**before, "upstreams": {**(before.get("upstreams") or {}), **added}}:
        raise _by_hand(path, added, "it would say something else then")
    return load(path, {**_placeholders(after, env), **env}, text).config.upstreams


def _placeholders(value: Any, env: Mapping[str, str], key: str = "") -> dict[str, str]:
    """Something for every variable that has no value yet: what can be a text or a number, and where a URL begins, a URL."""
    if isinstance(value, Mapping):
        return {name: put for key, inner in value.items() for name, put in _placeholders(inner, env, key).items()}
    if isinstance(value, list):
        return {name: put for inner in value for name, put in _placeholders(inner, env).items()}
    made: dict[str, str] = {}
    for match in _VARIABLE.finditer(value) if isinstance(value, str) else ():
        if match[1] not in env and f"{match[1]}_FILE" not in env and match[2] is None:
            made[match[1]] = "https://placeholder.invalid" if key == "url" and match.start() == 0 else "1"
    return made


# --- text ---


def _extended(path: Path, text: str, added: Mapping[str, Mapping[str, Any]]) -> str:
    if path.suffix == ".json" or text.lstrip().startswith("{"):
        for name, settings in added.items():
            text = jsonc.with_member(text, ("upstreams", name), dict(settings))
        return text
    if path.suffix == ".toml":
        return _ended(text) + "\n".join(_toml(added))
    if not text:
        return _NEW + _joined(_block(dict(added), "  "))
    root = yaml.compose(text, yaml.SafeLoader)
    if root is None:
        return _ended(text) + _joined(_block({"upstreams": dict(added)}))
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise _Unextendable("it is not a block of settings")
    held = next(((key, value) for key, value in root.value if key.value == "upstreams"), None)
    if held is None:
        return _ended(text) + _joined(_block({"upstreams": dict(added)}))
    return _put_in(text, *held, added)


def _put_in(text: str, key: yaml.Node, upstreams: yaml.Node, added: Mapping[str, Mapping[str, Any]]) -> str:
    lines = text.splitlines(keepends=True)
    if isinstance(upstreams, yaml.ScalarNode) and upstreams.value == "":
        at, indent = key.end_mark.line + 1, "  "
    elif not isinstance(upstreams, yaml.MappingNode) or not upstreams.value:
        raise _Unextendable("its upstreams are empty; remove the key")
    elif upstreams.flow_style:
        end = max(_end(value) for _, value in upstreams.value)
        parts = [f", {_json(name)}: {_json(value)}" for name, value in added.items()]
        return text[:end] + "".join(parts) + text[end:]
    else:
        at = max(_last_line(node) for pair in upstreams.value for node in pair) + 1
        indent = " " * upstreams.value[0][0].start_mark.column
    head = _ended("".join(lines[:at]))
    return head + _joined(_block(dict(added), indent)) + "".join(lines[at:])


def _end(node: yaml.Node) -> int:
    return node.end_mark.index


def _last_line(node: yaml.Node) -> int:
    """The last line that something of the node stands on. A block's own end is where the next thing begins."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        return max(_last_line(part) for pair in node.value for part in pair)
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        return max(_last_line(part) for part in node.value)
    return node.end_mark.line - (node.end_mark.column == 0 and node.end_mark.line > node.start_mark.line)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _block(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """Mappings as blocks, everything else as JSON, which is YAML."""
    made: list[str] = []
    for key, inner in value.items():
        name = key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _WORDS else _json(key)
        if isinstance(inner, Mapping) and inner:
            made += [f"{indent}{name}:", *_block(inner, indent + "  ")]
        else:
            made.append(f"{indent}{name}: {_json(inner)}")
    return made


def _toml(added: Mapping[str, Mapping[str, Any]]) -> list[str]:
    made: list[str] = []
    for name, settings in added.items():
        made += ["", f"[upstreams.{name}]"]
        for key, value in settings.items():
            inner = value.items() if isinstance(value, Mapping) else ()
            made += [f"{key}.{_json(part)} = {_json(text)}" for part, text in inner] or [f"{key} = {_json(value)}"]
    return [*made, ""]


def _json(value: Any) -> str:
    """On one line; what does not print is escaped, for neither YAML nor TOML has it as it is."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() or ord(char) > 0xFFFF else f"\\u{ord(char):04x}" for char in text)
