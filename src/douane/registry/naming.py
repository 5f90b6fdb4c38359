"""How the gateway shows what one upstream offers: under which names, in whose words, and what not at all."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ..protocol.call import JSON
from ..protocol.methods import Kind
from .item import KEY, Item, digest_of
from .names import exposed

__all__ = ["Naming", "Override"]

_NONE: Mapping[Kind, "Mapping[str, Override]"] = {}


class Override(msgspec.Struct, frozen=True):
    """What the operator says of one thing, instead of its server. None: what the server says stands."""

    shown_as: str | None = None
    """The whole name; no prefix is put before it. Of tools and prompts."""
    title: str | None = None
    description: str | None = None
    hide: bool = False


_AS_IT_IS = Override()


class Naming:
    def __init__(self, upstream: str, prefix: str, overrides: Mapping[Kind, Mapping[str, Override]] = _NONE) -> None:
        """`overrides` by the upstream's own names. URIs have no prefix and keep their form."""
        self.upstream, self._prefix, self._overrides = upstream, prefix, overrides
        self._named = {
            (kind, override.shown_as): own
            for kind, of_kind in overrides.items()
            for own, override in of_kind.items()
            if override.shown_as is not None
        }

    def item(self, kind: Kind, own: str, original: JSON, cleaned: JSON) -> Item:
        """`original`: the definition as the upstream wrote it. `cleaned`: less what is shown to nobody."""
        said = self._overrides.get(kind, {}).get(own, _AS_IT_IS)
        shown = own
        if KEY[kind] == "name":
            shown = exposed(self._prefix, own) if said.shown_as is None else said.shown_as
        words = {"title": said.title, "description": said.description}
        definition: dict[str, Any] = {**cleaned, KEY[kind]: shown, **{k: v for k, v in words.items() if v is not None}}
        return Item(
            kind=kind,
            upstream=self.upstream,
            name=own,
            exposed=shown,
            definition=definition,
            digest=digest_of(original),
            original=original,
            pinned=said.shown_as is not None,
            hidden=said.hide,
        )

    def own_of(self, kind: Kind, shown: str) -> str | None:
        """What its upstream would call what is shown as `shown`; None: nothing of this one is shown so.

        Told by the prefix, for when the upstream is not there to be asked; a shortened name is not made whole again.
        """
        if (kind, shown) in self._named:
            return self._named[kind, shown]
        is_ours = bool(self._prefix) and shown.startswith(self._prefix)
        return shown.removeprefix(self._prefix) if is_ours else None
