"""Reading `douane.yaml` (or .toml, .json): every problem with its place, and the remedy.

Refused: unknown keys (with the one that was probably meant), keys twice, wrong types, variables that are not set, and
what fits but cannot be meant. What came from outside, and every header and variable of a server, is never shown again.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .checks import Shape, meant, plain_http_warnings
from .model import ASKS, Config
from .problem import ConfigError, Place, Problem, shown
from .read import read
from .shown import prefix_of
from .variables import Expansion

__all__ = ["ConfigError", "Loaded", "Problem", "explain", "load"]

_SECRET_PARTS = ("env", "headers")
"""Of an upstream. Written into the file itself they are still secrets."""
_PROXY_SECRET = ("network", "proxy_authorization")
_SECRET_KEYS = ("secret", "client_secret")


class Loaded(NamedTuple):
    path: Path
    config: Config
    lines: Mapping[Place, int]
    """Where each value stands."""
    outside: Mapping[Place, str]
    """Values that came from the environment or a file, and from where."""
    warnings: tuple[Problem, ...] = ()
    """What should be mended, though it can be used."""
    raw: Mapping[str, Any] = {}
    """The file as it is written, before variables are put in."""


def load(path: Path, env: Mapping[str, str], text: str | None = None) -> Loaded:
    """Raises ConfigError with everything that is wrong. With `text`, as if that stood in the file."""
    raw, lines = read(path, text)
    expansion = Expansion(env, path.parent, lines)
    shape = Shape(lines, expansion.outside)
    fitting = shape.struct(expansion.expanded(raw), Config)
    problems = [*expansion.problems, *shape.problems]
    if not problems:
        config = msgspec.convert(fitting, Config)
        problems = list(meant(config, lines))
        if not problems:
            warnings = (*expansion.warnings, *plain_http_warnings(config, lines))
            return Loaded(path, config, lines, expansion.outside, warnings, raw)
    raise ConfigError(path, sorted(problems, key=lambda problem: problem.line))


def explain(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Every setting in force: its path, its value, and where it comes from (`file:line`, `default`, a variable).

    Prefixes as they are made, what may be asked where nothing was said of it, and each virtual server by where it is
    served, are among them.
    """
    config: dict[str, Any] = msgspec.to_builtins(loaded.config)
    for name, upstream in loaded.config.upstreams.items():
        config["upstreams"][name]["prefix"] = prefix_of(name, upstream)
        if upstream.asks is None:
            config["upstreams"][name]["asks"] = ASKS
    served = [_row(loaded, ("servers", name), f"/mcp/{name}") for name in loaded.config.servers]
    return [*served, *(_row(loaded, place, value) for place, value in _leaves(config, ()))]


def _row(loaded: Loaded, place: Place, value: Any) -> tuple[str, str, str]:
    if place in loaded.outside:
        return shown(place), "***", loaded.outside[place]
    line = loaded.lines.get(place)
    if line is None and isinstance(place[-1], int):
        line = loaded.lines.get(place[:-1])
    is_secret = place in (_PROXY_SECRET, ("secrets", place[-1])) or (
        len(place) > 3
        and place[0] in ("upstreams", "auth")
        and (
            (place[0] == "upstreams" and place[2] in _SECRET_PARTS) or (place[-1] in _SECRET_KEYS and value is not None)
        )
    )
    source = "default" if line is None else f"{loaded.path}:{line}"
    return shown(place), "***" if is_secret else json.dumps(value, ensure_ascii=False), source


def _leaves(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*place, str(key)))
    elif isinstance(value, list | tuple) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*place, index))
    else:
        yield place, value
