"""What one endpoint shows, in whole generations. What is not in here does not exist for whoever comes by it."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..protocol.methods import KINDS, Kind
from ..protocol.param_headers import ParamHeader, mirrored
from .item import Item

__all__ = ["Changed", "Lists"]

Changed = Callable[[frozenset[Kind]], None]
"""Told which lists are not what they were."""


class Lists:
    def __init__(self) -> None:
        self.generation = 0
        """Another one when anything here is not what it was."""
        self.missing: Mapping[str, str] = {}
        """What is not in the lists though it should be, and why: upstreams by name, names that cannot be told apart."""
        self.capabilities: frozenset[str] = frozenset()
        """What can be asked of at least one upstream (`tools`, `completions`, …); `subscribe`: one tells of its resources."""
        self.on_change: list[Changed] = []
        self._by_name: dict[tuple[Kind, str], Item] = {}
        self._lists: dict[Kind, tuple[Item, ...]] = dict.fromkeys(KINDS, ())
        self._unshown: tuple[Item, ...] = ()
        self._mirrored: dict[str, tuple[ParamHeader, ...]] = {}
        """Of the tools that were asked for."""
        self._listed: set[tuple[str, str]] = set()
        """Upstream and own URI of every resource, shown or not."""

    def find(self, kind: Kind, exposed: str) -> Item | None:
        return self._by_name.get((kind, exposed))

    def mirrored(self, tool: str) -> Sequence[ParamHeader]:
        """The arguments of a tool that callers over HTTP mirror into headers."""
        found = self._mirrored.get(tool)
        if found is None:
            item = self.find("tools", tool)
            if item is None:
                return ()
            found = self._mirrored[tool] = mirrored(item.definition)
        return found

    def task_level(self, tool: str) -> str | None:
        """`optional` or `required` for a tool that runs as a task."""
        item = self.find("tools", tool)
        return item.task or None if item is not None else None

    def items(self, kind: Kind) -> tuple[Item, ...]:
        """In a fixed order: by upstream name, then as the upstream lists them."""
        return self._lists[kind]

    def hidden(self, kind: Kind) -> list[Item]:
        """What its operator hides, for himself."""
        return [item for item in self._unshown if item.hidden and item.kind == kind]

    def reader_of(self, uri: str) -> Item | None:
        """Who serves `uri`: the resource of that name, else the template that fits with the longest literal start.

        What an upstream lists under another URI, or not for these eyes, none of its templates serves instead.
        """
        found = self.find("resources", uri)
        if found is not None:
            return found
        fitting = [t for t in self._lists["resourceTemplates"] if _fits(t.exposed, uri) and self._serves(t, uri)]
        return max(fitting, key=lambda template: _reach(template.exposed), default=None)

    def readings(self, uri: str) -> list[str]:
        """The URIs to read instead of `uri`, when that of an upstream is shown in another form."""
        listed = (*self._lists["resources"], *self._lists["resourceTemplates"])
        return [
            item.exposed[: len(item.exposed) - len(item.name)] + uri
            for item in listed
            if item.exposed != item.name and (uri == item.name or _fits(item.name, uri))
        ]

    def replace(
        self,
        shown: Sequence[Item],
        unshown: Sequence[Item],
        missing: Mapping[str, str],
        capabilities: frozenset[str],
    ) -> frozenset[Kind]:
        """Take over what there is now; which lists are other than they were is for the caller to tell.

        `unshown`: what else the upstreams of these lists offer.
        """
        lists: dict[Kind, tuple[Item, ...]] = {k: tuple(i for i in shown if i.kind == k) for k in KINDS}
        changed: frozenset[Kind] = frozenset(k for k in KINDS if lists[k] != self._lists[k])
        if changed or missing != self.missing or tuple(unshown) != self._unshown:
            self.generation += 1
        self._lists, self._unshown = lists, tuple(unshown)
        self._by_name = {(item.kind, item.exposed): item for item in shown}
        self._listed = {(i.upstream, i.name) for i in (*lists["resources"], *unshown) if i.kind == "resources"}
        self._mirrored.clear()
        self.missing, self.capabilities = missing, capabilities
        return changed

    def _serves(self, template: Item, uri: str) -> bool:
        own = uri[len(template.exposed) - len(template.name) :]
        return (template.upstream, own) not in self._listed and not any(
            _fits(other.name, own) and _reach(other.name) > _reach(template.name)
            for other in self._unshown
            if other.kind == "resourceTemplates" and other.upstream == template.upstream
        )

    def tell(self, changed: Iterable[Kind]) -> None:
        if kinds := frozenset(changed):
            for hear in tuple(self.on_change):
                hear(kinds)


def _reach(template: str) -> int:
    return len(template.partition("{")[0])


def _fits(template: str, uri: str) -> bool:
    # Literal start and end only: a pattern made of a hostile template could take for ever to match.
    start, brace, _ = template.partition("{")
    end = template.rpartition("}")[2]
    return bool(brace) and len(uri) > len(start) + len(end) and uri.startswith(start) and uri.endswith(end)
