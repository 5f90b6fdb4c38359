"""What `douane doctor` looks at: everything that can keep a gateway from serving, each with its remedy."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import apsw

from ..auth.first_token import TokenUnusable, read_token
from ..interceptors.policy import PolicyError, PolicyFiles
from ..stores.sqlite import OLDEST_SQLITE
from .consent import ConsentUnusable, left_behind, said_of_left, unagreed
from .load import ConfigError, Loaded, load
from .paths import Paths

__all__ = ["Finding", "findings"]


class Finding(NamedTuple):
    what: str
    state: Literal["ok", "bad", "note"]
    said: str


def findings(paths: Paths, config: Path | None, env: Mapping[str, str]) -> Iterator[Finding]:
    """One finding for each thing looked at, whatever the others say."""
    yield from _configuration(paths, config, env)
    yield _token(paths)
    yield _folder("data", paths.data_dir)
    yield _folder("keys", paths.keys)
    yield _space(paths)
    version = apsw.sqlite_lib_version()
    sound = tuple(int(part) for part in version.split(".")) >= OLDEST_SQLITE
    yield Finding("sqlite", "ok" if sound else "bad", version if sound else f"{version} has a known bug; upgrade apsw")


def _configuration(paths: Paths, config: Path | None, env: Mapping[str, str]) -> Iterator[Finding]:
    if config is None:
        yield Finding("configuration", "bad", f"none; write ./douane.yaml or {paths.config_dir}/douane.yaml")
        return
    try:
        loaded = load(config, env)
    except ConfigError as exc:
        yield Finding("configuration", "bad", str(exc))
        return
    yield Finding("configuration", "ok", str(config))
    for warning in loaded.warnings:
        yield Finding("configuration", "note", warning.said(config))
    for name, upstream in loaded.config.upstreams.items():
        if upstream.command:
            yield _command(name, upstream.command[0], config.parent, upstream.env.get("PATH") or env.get("PATH", ""))
    yield from _consents(paths, loaded)
    here = config.parent
    files = [here / file for file in loaded.config.policy.files] or [paths.policy]
    if loaded.config.policy.files or paths.policy.exists():
        try:
            PolicyFiles(files, [paths.allowed, paths.revoked], lambda: 0.0)
            yield Finding("policy", "ok", ", ".join(str(file) for file in files))
        except PolicyError as exc:
            yield Finding("policy", "bad", str(exc))
    else:
        yield Finding("policy", "note", "the default; it is written at the first start")


def _command(name: str, program: str, here: Path, path: str) -> Finding:
    found = shutil.which(program, path=path) or (shutil.which(str(here / program)) if "/" in program else None)
    if found is None:
        return Finding(f"upstream {name}", "bad", f"there is no program {program!r}; install it, or give its full path")
    return Finding(f"upstream {name}", "ok", found)


def _consents(paths: Paths, loaded: Loaded) -> Iterator[Finding]:
    try:
        for name, why in unagreed(paths.consents, loaded).items():
            yield Finding(f"consent {name}", "bad", why)
        for name, consent in left_behind(paths.consents, loaded).items():
            yield Finding(f"consent {name}", "note", said_of_left(consent))
    except ConsentUnusable as exc:
        yield Finding("consents", "bad", str(exc))


def _token(paths: Paths) -> Finding:
    if not paths.token.exists():
        return Finding("token", "note", "none yet; the first `douane up` makes one")
    try:
        read_token(paths.token)
    except TokenUnusable as exc:
        return Finding("token", "bad", str(exc))
    return Finding("token", "ok", str(paths.token))


def _folder(what: str, folder: Path) -> Finding:
    if not folder.exists():
        return Finding(what, "note", f"{folder} is made at the first start")
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Finding(what, "bad", f"others can look into {folder}; run: chmod 700 {folder}")
    if not os.access(folder, os.W_OK):
        return Finding(what, "bad", f"{folder} cannot be written by this user")
    return Finding(what, "ok", str(folder))


def _space(paths: Paths) -> Finding:
    folder = paths.data_dir if paths.data_dir.exists() else paths.data_dir.anchor or "/"
    free = shutil.disk_usage(folder).free
    enough = free >= 256 * 1024 * 1024
    said = f"{free // (1024 * 1024)} MiB free" + (
        "" if enough else "; below 256 MiB the log seals and calls are refused"
    )
    return Finding("disk", "ok" if enough else "bad", said)
