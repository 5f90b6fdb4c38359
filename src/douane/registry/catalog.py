"""The catalog: every tool, prompt, resource and template there is, under the one name the gateway shows it by.

An upstream publishes all it offers at once and withdraws it when it fails; readers see whole generations. Names are made
over all of it, so that a thing has one name at every endpoint, and in the policies.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ..protocol.apps import page_of, pointing
from ..protocol.methods import KINDS, Kind
from .item import Item, digest_of
from .lists import Lists
from .names import Clashes, told_apart
from .selection import Selection

__all__ = ["KINDS", "Catalog", "Item", "Kind", "Lists", "digest_of"]

_CLASH = "two upstreams show this name; the operator can set another prefix"


class Catalog(Lists):
    """The lists of everything, and what keeps the selected ones."""

    def __init__(self) -> None:
        super().__init__()
        self._offers: dict[str, tuple[Item, ...]] = {}
        """The last of each, whether it is there or not: a name does not change because another is away."""
        self._away: dict[str, str] = {}
        self._abilities: dict[str, frozenset[str]] = {}
        self._selected: list[tuple[Selection, Lists]] = []

    def select(self, selection: Selection) -> Lists:
        """The lists of a selection, kept as the catalog changes."""
        lists = Lists()
        self._selected.append((selection, lists))
        self._rebuild()
        return lists

    def plain(self, kind: Kind, shown: str, own: str) -> str | None:
        """What something would be shown as if no other upstream had that name; None: as it is shown."""
        if kind == "resources":
            # A URI is shown as it is, unless two have it.
            return own if own != shown else None
        found = self.find(kind, shown)
        return found.plain or None if found is not None else None

    def publish(self, upstream: str, items: Sequence[Item], capabilities: frozenset[str]) -> None:
        """Everything `upstream` offers, in its own order, and what it can do. Replaces what it offered before."""
        self._abilities[upstream] = capabilities
        self._away.pop(upstream, None)
        self._offers[upstream] = tuple(items)
        self._rebuild()

    def withdraw(self, upstream: str, reason: str) -> None:
        """`upstream` offers nothing now; `reason` is shown to callers."""
        self._abilities.pop(upstream, None)
        self._away[upstream] = reason
        self._rebuild()

    def _rebuild(self) -> None:
        offered = [item for upstream in sorted(self._offers) for item in self._offers[upstream]]
        named, clashes = told_apart([item for item in offered if not item.hidden])
        named = _with_pages(named)
        shown = [item for item in named if item.upstream not in self._away]
        hidden = [item for item in offered if item.hidden and item.upstream not in self._away]
        able = frozenset[str]().union(*self._abilities.values())
        changes = [(self.replace(shown, hidden, {**self._away, **_withheld(clashes)}, able), self.tell)]
        for selection, lists in self._selected:
            changes.append((self._fill(selection, lists, shown, hidden, clashes), lists.tell))
        # Everybody sees the new generation before anybody is told of it.
        for changed, tell in changes:
            tell(changed)

    def _fill(
        self, selection: Selection, lists: Lists, shown: Sequence[Item], hidden: Sequence[Item], clashes: Clashes
    ) -> frozenset[Kind]:
        selected = [item for item in shown if selection.selects(item)]
        others = [i for i in shown if selection.concerns(i.upstream) and not selection.selects(i)]
        others += [item for item in hidden if selection.concerns(item.upstream)]
        away = {name: reason for name, reason in self._away.items() if selection.concerns(name)}
        # Whom it clashes with is nothing for who does not see the other.
        clashing = {name: _CLASH for (_, name), group in clashes.items() if any(map(selection.selects, group))}
        able = frozenset[str]().union(*(selection.narrowed(u, a) for u, a in self._abilities.items()))
        return lists.replace(selected, others, {**away, **clashing}, able)


def _with_pages(items: list[Item]) -> list[Item]:
    """The tools that have a page name it as it is shown, where two upstreams have that URI."""
    moved = {(i.upstream, i.name): i.exposed for i in items if i.kind == "resources" and i.exposed != i.name}
    return [_with_page(item, moved) for item in items] if moved else items


def _with_page(item: Item, moved: Mapping[tuple[str, str], str]) -> Item:
    page = page_of(item.definition) if item.kind == "tools" else None
    uri = None if page is None else moved.get((item.upstream, page))
    return item if uri is None else replace(item, definition=pointing(item.definition, uri))


def _withheld(clashes: Clashes) -> Mapping[str, str]:
    """Why each name is missing. Only upstreams that show it are named, and their own name for it."""
    said: dict[str, str] = {}
    for (_, name), group in clashes.items():
        sources = sorted({f"{item.upstream} ({item.name})" for item in group})
        if len(sources) == 1:
            said[name] = f"{sources[0]} is listed {len(group)} times by its server, so which is meant cannot be told"
        else:
            both = " and ".join(sources)
            said[name] = (
                f"{both} would both be shown so; the operator can set another `prefix`, or `as` for one of them"
            )
    return said
