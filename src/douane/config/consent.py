"""What was agreed to run: the commands of imported servers, pinned. A changed one is not started until it is agreed to again.

A command that somebody wrote into `douane.yaml` by hand is that person's word and is not in here. Pinned are the command
as written (its program with variables put in), where it runs, the names of the variables it is given, and the SHA-256 of
each script it names. Not pinned: what a program loads by itself, and what a package runner fetches.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .load import Loaded
from .model import UpstreamConfig
from .replace import replace_file

__all__ = [
    "Consent",
    "ConsentUnusable",
    "NotAgreed",
    "Pinned",
    "agree",
    "check",
    "consents",
    "left_behind",
    "now_run",
    "pinned",
    "said_of_left",
    "unagreed",
]

_INTERPRETERS = re.compile(
    r"(python|pypy)[0-9.]*|node|nodejs|bun|deno|tsx|ts-node|ruby|perl|php[0-9.]*|(ba|da|z|k)?sh|uv|pwsh|java|lua[0-9.]*"
)
_CODE = re.compile(r"\.(py|pyz|[cm]?js|[cm]?ts|rb|pl|php|sh|ps1|jar|lua)")
_SHEBANG = b"#!"


class ConsentUnusable(Exception):
    """The file of consents cannot be read, so nobody knows what was agreed to. The text says the remedy."""


class NotAgreed(Exception):
    """An imported command is not the one that was agreed to. The text says what changed, and the verb that agrees."""


class Pinned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is run, as far as it can be said beforehand."""

    command: tuple[str, ...]
    program: str
    """The first word, variables put in."""
    cwd: str
    env: tuple[str, ...]
    """The names of the variables it is given."""
    inherit: tuple[str, ...]
    scripts: dict[str, str] = {}
    """Path and SHA-256."""


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who agreed to what, when."""

    config: str
    upstream: str
    by: str
    at: str
    source: str
    """The file it was imported from."""
    pinned: Pinned


class _Consents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int = 1
    consents: tuple[Consent, ...] = ()


def consents(file: Path, config: Path) -> dict[str, Consent]:
    """What was agreed to of `config`, by upstream. Raises ConsentUnusable."""
    return {one.upstream: one for one in _read(file) if one.config == str(config.resolve())}


def agree(file: Path, given: list[Consent]) -> None:
    """Add to the file, in the place of older ones. Raises ConsentUnusable, OSError."""
    new = {(one.config, one.upstream) for one in given}
    kept = [one for one in _read(file) if (one.config, one.upstream) not in new]
    text = msgspec.json.format(msgspec.json.encode(_Consents(consents=(*kept, *given))), indent=2).decode()
    replace_file(file, text + "\n", 0o600)


def _read(file: Path) -> tuple[Consent, ...]:
    try:
        found = msgspec.json.decode(file.read_bytes(), type=_Consents)
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        remedy = "mend it, or remove it: every imported command then counts as written by hand"
        raise ConsentUnusable(f"{file} cannot be read: {exc}; {remedy}") from None
    if found.version != 1:
        raise ConsentUnusable(f"{file} was written by a newer version of Douane; use that one")
    return found.consents


def pinned(raw: Mapping[str, Any], upstream: UpstreamConfig, here: Path) -> Pinned:
    """What there is to agree to now. `raw` is the upstream before variables are put in."""
    command = raw.get("command", ())
    # The same whichever way the file was named.
    folder = here.resolve()
    return Pinned(
        command=tuple(str(word) for word in command),
        program=upstream.command[0],
        cwd=str(folder / raw.get("cwd", "")),
        env=tuple(sorted(upstream.env)),
        inherit=tuple(sorted(upstream.inherit)),
        scripts={str(path): _digest(path) for path in _scripts(upstream, folder / (upstream.cwd or ""))},
    )


def now_run(loaded: Loaded, name: str) -> Pinned | None:
    """What the configuration would run as this upstream; None when it is no command, or not there."""
    upstream = loaded.config.upstreams.get(name)
    if upstream is None or not upstream.command:
        return None
    return pinned(loaded.raw["upstreams"][name], upstream, loaded.path.parent)


def check(file: Path, loaded: Loaded, name: str) -> None:
    """Whether this upstream may be started. Raises NotAgreed, ConsentUnusable."""
    agreed = consents(file, loaded.path).get(name)
    now = None if agreed is None else now_run(loaded, name)
    if agreed is None or now is None:
        return
    changed = list(_differences(agreed.pinned, now))
    if changed:
        raise NotAgreed(
            f"{' and '.join(changed)} changed since {agreed.by} agreed to it ({agreed.at[:10]}), so it is not started;"
            f" look at it and agree again with: douane consent {name}"
        )


def unagreed(file: Path, loaded: Loaded) -> dict[str, str]:
    """The upstreams that would not be started, and why. Raises ConsentUnusable."""
    found: dict[str, str] = {}
    for name in loaded.config.upstreams:
        try:
            check(file, loaded, name)
        except NotAgreed as exc:
            found[name] = str(exc)
    return found


def left_behind(file: Path, loaded: Loaded) -> dict[str, Consent]:
    """What was agreed to for a configuration file that is no more, by the upstreams that `loaded` has without a consent.

    That file may have been moved here, and consents belong to the path they were given for: whoever moves one is to
    be told that nothing is pinned any more. The newest of each. Raises ConsentUnusable.
    """
    all_of_them = _read(file)
    held = {one.upstream for one in all_of_them if one.config == str(loaded.path.resolve())}
    wanted = {name for name, upstream in loaded.config.upstreams.items() if upstream.command} - held
    gone = (one for one in all_of_them if one.upstream in wanted and not Path(one.config).exists())
    return {one.upstream: one for one in sorted(gone, key=lambda one: one.at)}


def said_of_left(one: Consent) -> str:
    """What whoever moved the file is told."""
    return (
        f"{one.by} agreed to it ({one.at[:10]}) for {one.config}, which is no more; here it counts as written by hand,"
        f" and what it runs is not pinned. If that file was moved here, agree again with: douane consent {one.upstream}"
    )


def _differences(before: Pinned, now: Pinned) -> Iterator[str]:
    if (before.command, before.program) != (now.command, now.program):
        yield "its command"
    if before.cwd != now.cwd:
        yield "where it runs"
    if (before.env, before.inherit) != (now.env, now.inherit):
        yield "the variables it is given"
    for path in sorted({*before.scripts, *now.scripts}):
        if before.scripts.get(path) != now.scripts.get(path):
            yield f"the script {path}"


def _scripts(upstream: UpstreamConfig, cwd: Path) -> Iterator[Path]:
    """The program itself if it is a script, the code among its arguments, and an interpreter's first file."""
    program = upstream.command[0]
    # What is found on our PATH belongs to the system and changes with its updates; a PATH of its own may lead anywhere.
    if "/" not in program and "PATH" in upstream.env:
        program = _on_path(program, upstream.env["PATH"], cwd) or program
    if "/" in program and _has_shebang(cwd / program):
        yield cwd / program
    takes_code = _INTERPRETERS.fullmatch(Path(program).name.removesuffix(".exe")) is not None
    for word in upstream.command[1:]:
        file = cwd / word
        if word.startswith("-") or not _is_file(file):
            continue
        # The last is for `env`, `nice` and the like, which start what they are given.
        if takes_code or _CODE.fullmatch(file.suffix) or ("/" in word and _has_shebang(file)):
            yield file
            takes_code = False


def _on_path(program: str, path: str, cwd: Path) -> str | None:
    """Where a command looked for in its own PATH is found, whose relative folders begin at `cwd`."""
    folders = os.pathsep.join(str(cwd / folder) for folder in path.split(os.pathsep))
    return shutil.which(program, path=folders)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _has_shebang(path: Path) -> bool:
    # To open what is no file (a pipe) may wait for ever.
    if not _is_file(path):
        return False
    try:
        with path.open("rb") as file:
            return file.read(2) == _SHEBANG
    except (OSError, ValueError):
        return False


def _digest(path: Path) -> str:
    """The SHA-256, or why there is none: which then is a difference too."""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while piece := file.read(1024 * 1024):
                digest.update(piece)
            return digest.hexdigest()
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
