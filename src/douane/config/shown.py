"""Virtual servers, and how upstreams are shown: what the file says, checked, and as the gateway takes it.

What only the servers themselves can say, that a name is not there or a pattern matches nothing, is told when they are
listed: `unmatched`.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ..protocol.call import JSON, Principal
from ..protocol.methods import Kind
from ..registry.item import Item
from ..registry.naming import Naming, Override
from ..registry.selection import Selection
from .model import Config, NamedOverride, Selected, ServerConfig, UpstreamConfig, UriOverride
from .problem import Place, shown

__all__ = [
    "NAME",
    "Told",
    "naming_of",
    "of_names",
    "of_servers",
    "prefix_of",
    "roots_of",
    "selection_of",
    "unmatched",
    "welcome_of",
]

NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")
"""What an upstream or a virtual server may be called."""
_SHOWN = re.compile(r"[A-Za-z0-9_.\-]{1,64}")

_KINDS: dict[str, Kind] = {
    "tools": "tools",
    "prompts": "prompts",
    "resources": "resources",
    "templates": "resourceTemplates",
}
"""What the file calls the lists."""

Told = tuple[Place, str, str]
"""Where, what is wrong, and the remedy."""


def prefix_of(name: str, upstream: UpstreamConfig) -> str:
    return upstream.prefix if upstream.prefix is not None else f"{name}_"


def naming_of(name: str, upstream: UpstreamConfig) -> Naming:
    overrides: dict[Kind, Mapping[str, Override]] = {
        _KINDS[section]: {own: _override(said) for own, said in of_kind.items()}
        for section, of_kind in _overrides(upstream).items()
    }
    return Naming(name, prefix_of(name, upstream), overrides)


def roots_of(roots: Sequence[str], here: Path) -> tuple[JSON, ...]:
    """Folders and `file://` URIs as the protocol's roots."""
    uris = (
        root if root.startswith("file://") else (here / Path(root).expanduser()).resolve().as_uri() for root in roots
    )
    return tuple({"uri": uri} for uri in uris)


def selection_of(server: ServerConfig) -> Selection:
    return Selection(
        {
            upstream: {kind: getattr(selected, section) for section, kind in _KINDS.items()}
            for upstream, selected in server.select.items()
        }
    )


def welcome_of(server: ServerConfig) -> Callable[[Principal], bool]:
    users, groups, clients = frozenset(server.users), frozenset(server.groups), frozenset(server.clients)
    for_all = not (users or groups or clients)

    def welcomes(principal: Principal) -> bool:
        return for_all or principal.subject in users or bool(principal.groups & groups) or principal.client in clients

    return welcomes


# --- what the file alone shows to be wrong ---


def of_names(config: Config, lines: Mapping[Place, int]) -> Iterator[Told]:
    """Names that are none, that two would have, and words for what nobody sees."""
    taken: dict[tuple[str, str], Place] = {}
    for name, upstream in config.upstreams.items():
        for section, of_kind in _overrides(upstream).items():
            for own, said in of_kind.items():
                at = ("upstreams", name, section, own)
                yield from ((at, message, remedy) for message, remedy in _of_override(said))
                if isinstance(said, NamedOverride) and said.as_ is not None:
                    yield from _of_name((*at, "as"), said.as_)
                    first = taken.setdefault((section, said.as_), (*at, "as"))
                    if first != (*at, "as"):
                        line = f" (line {lines[first]})" if first in lines else ""
                        yield (
                            (*at, "as"),
                            f"is the name that {shown(first)}{line} has",
                            "a name is one thing's; choose another",
                        )


def of_servers(config: Config) -> Iterator[Told]:
    """Virtual servers that could not be served, or show nothing."""
    for name, server in config.servers.items():
        at = ("servers", name)
        if not NAME.fullmatch(name):
            yield at, "a name is 1 to 24 of a-z, 0-9 and -, a letter first", "it is served at /mcp/name"
        if not server.select:
            yield at, "selects nothing", "name an upstream below `select`, as in select: {git: {tools: [git_log]}}"
        for key in ("users", "groups", "clients"):
            if "" in getattr(server, key):
                yield (*at, key), "holds an empty name, which would be everybody that has none", "remove it"
        for upstream, selected in server.select.items():
            if upstream not in config.upstreams:
                yield (*at, "select", upstream), "is no upstream", _near(upstream, config.upstreams)
            elif not any(getattr(selected, section) for section in _KINDS):
                yield (*at, "select", upstream), "selects nothing", 'name tools, prompts, …; ["*"] selects all of them'


def _of_override(said: NamedOverride | UriOverride) -> Iterator[tuple[str, str]]:
    words = [said.title, said.description, said.as_ if isinstance(said, NamedOverride) else None]
    if said.hide and any(word is not None for word in words):
        yield "is hidden, so nobody sees its other words", "keep `hide`, or the others"
    elif not said.hide and all(word is None for word in words):
        known = "as, title, description" if isinstance(said, NamedOverride) else "title, description"
        yield "changes nothing", f"set one of {known}, or hide: true"


def _of_name(at: Place, name: str) -> Iterator[Told]:
    if not _SHOWN.fullmatch(name):
        yield at, "is no name that every client takes", "1 to 64 of A-Z, a-z, 0-9, _ . -"


def _overrides(upstream: UpstreamConfig) -> Mapping[str, Mapping[str, NamedOverride] | Mapping[str, UriOverride]]:
    return {section: getattr(upstream, section) for section in _KINDS}


def _override(said: NamedOverride | UriOverride) -> Override:
    return Override(said.as_ if isinstance(said, NamedOverride) else None, said.title, said.description, said.hide)


# --- what shows when an upstream is listed ---


def unmatched(config: Config, upstream: str, items: Sequence[Item]) -> Iterator[Told]:
    """Words for what `upstream` does not list, and patterns that match nothing of it."""
    own = {section: [i.name for i in items if i.kind == kind] for section, kind in _KINDS.items()}
    for section, of_kind in _overrides(config.upstreams[upstream]).items():
        for name in of_kind:
            if name not in own[section]:
                said = f"the server {upstream} lists no such {_one(section)}, so this does nothing"
                yield ("upstreams", upstream, section, name), said, _near(name, own[section])
    seen = {section: [i.name for i in items if i.kind == kind and not i.hidden] for section, kind in _KINDS.items()}
    for name, server in config.servers.items():
        selected = server.select.get(upstream, Selected())
        for section in _KINDS:
            for index, pattern in enumerate(getattr(selected, section)):
                if not any(fnmatchcase(one, pattern) for one in seen[section]):
                    said = f"matches none of the {section} of {upstream} that are shown"
                    yield ("servers", name, "select", upstream, section, index), said, _near(pattern, seen[section])


def _one(section: str) -> str:
    return section.removesuffix("s")


def _near(name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known here: {', '.join(sorted(known)[:12])}" if known else "there are none"
