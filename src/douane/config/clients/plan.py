"""What an import would do, worked out whole before anything is asked or written; then done in one go, or not at all."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ...transports.command import INHERITED
from ..consent import Consent, Pinned, agree, pinned
from ..paths import Paths
from ..problem import ConfigError, Problem, shown
from ..replace import replace_file
from ..secret_files import write_secret
from .formats import Source
from .gather import Gathering, Left, Planned, Wishes
from .write import with_upstreams

__all__ = ["INHERITED", "CannotImport", "Plan", "done", "planned"]


class CannotImport(Exception):
    """Something stands in the way, so nothing is imported. One line a problem: file, line, key, what, remedy."""


class Plan(NamedTuple):
    config: Path
    servers: tuple[Planned, ...]
    left: tuple[Left, ...]
    text: str
    """The whole configuration, as it would be."""
    before: bytes
    """As it was when that was worked out."""
    pins: Mapping[str, Pinned]
    """What is agreed to, by server: as it was when it was shown."""


def planned(
    sources: Iterable[Source], config: Path, paths: Paths, env: Mapping[str, str], here: Path, wishes: Wishes
) -> Plan:
    """Raises CannotImport with everything that stands in the way."""
    work = Gathering(config, paths, env, wishes)
    for source in sources:
        work.read(source, here)
    work.choose()
    if work.faults:
        raise CannotImport("\n".join(dict.fromkeys(work.faults)))
    servers = tuple(work.servers)
    if not servers:
        return Plan(config, (), tuple(work.left), "", b"", {})
    try:
        before = _content(config)
        added = {server.name: server.settings for server in servers}
        text, upstreams = with_upstreams(config, added, env)
    except ConfigError as exc:
        raise CannotImport("\n".join(_said(problem, config, servers) for problem in exc.problems)) from None
    pins = {
        server.name: pinned(server.settings, upstreams[server.name], config.parent)
        for server in servers
        if server.entry.command
    }
    return Plan(config, servers, tuple(work.left), text, before, pins)


def _said(problem: Problem, config: Path, servers: Iterable[Planned]) -> str:
    """The problem, where it can be mended: what a client's file says is in no line of ours yet."""
    for server in servers:
        own, entry = shown(("upstreams", server.name)), server.entry
        if problem.where.startswith((f"{own}.", f"{own}[")) or problem.where == own:
            return problem._replace(where=entry.name + problem.where[len(own) :], line=entry.line).said(entry.file)
    return problem.said(config)


def done(plan: Plan, paths: Paths, who: str) -> list[Path]:
    """Do it: credentials, then the consents, then the configuration, which makes the rest count.

    Returns the files of the credentials. Raises CannotImport, OSError, ConsentUnusable; then nothing of it is left but,
    at most, a consent to something that is nowhere written.
    """
    if _content(plan.config) != plan.before:
        raise CannotImport(f"{plan.config} has changed while you were asked; look again")
    made: list[Path] = []
    try:
        for server in plan.servers:
            for name, value in server.secrets.items():
                write_secret(paths.secrets / name, value)
                made.append(paths.secrets / name)
            for name, file in server.links.items():
                paths.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not (paths.secrets / name).exists():
                    (paths.secrets / name).symlink_to(file)
                    made.append(paths.secrets / name)
        given = [_consent(plan, server, who) for server in plan.servers if server.name in plan.pins]
        agree(paths.consents, given)
        replace_file(plan.config, plan.text)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise
    return made


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _consent(plan: Plan, server: Planned, who: str) -> Consent:
    return Consent(
        config=str(plan.config.resolve()),
        upstream=server.name,
        by=who,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=f"{server.entry.file}:{server.entry.line}",
        pinned=plan.pins[server.name],
    )
