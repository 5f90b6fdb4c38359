"""What every verb needs first: where things live, and the configuration."""

import os
from pathlib import Path

from ..config.load import ConfigError, Loaded, load
from ..config.paths import Paths, find_config, paths_for
from ..config.secret_files import secret_files
from .faults import Fault

__all__ = ["config_path", "environment", "loaded", "paths"]


def paths() -> Paths:
    try:
        return paths_for(os.environ)
    except KeyError:
        raise Fault(3, "neither DOUANE_HOME nor HOME is set, so there is no place for the token and the log") from None


def config_path(given: str | None) -> Path:
    found = find_config(given, os.environ, Path.cwd(), paths())
    if found is None:
        raise Fault(
            3,
            f"there is no configuration; write ./douane.yaml, or {paths().config_dir}/douane.yaml (docs/configuration.md)",
        )
    return found


def environment() -> dict[str, str]:
    """Ours, and the files of the secrets folder as NAME_FILE. What the environment says itself counts."""
    return {**secret_files(paths().secrets), **os.environ}


def loaded(given: str | None) -> Loaded:
    try:
        return load(config_path(given), environment())
    except ConfigError as exc:
        raise Fault(3, f"the configuration cannot be used\n{exc}") from None
