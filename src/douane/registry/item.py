"""One thing an upstream offers, as the upstream wrote it and as the gateway shows it."""

import hashlib
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from ..protocol.call import JSON
from ..protocol.methods import Kind

__all__ = ["KEY", "Item", "digest_of", "told_apart_as"]

KEY: dict[Kind, str] = {"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"}
"""The member of a definition that says what the thing is called by."""

_NOTHING: dict[str, Any] = {}
_sorted = msgspec.json.Encoder(order="sorted").encode


def digest_of(definition: JSON) -> str:
    """SHA-256 of a definition, whatever the order of its members."""
    return hashlib.sha256(_sorted(definition)).hexdigest()


class Item(msgspec.Struct, frozen=True):
    """One thing an upstream offers."""

    kind: Kind
    upstream: str
    name: str
    """As the upstream names it: a name, a URI, or a URI template."""
    exposed: str
    """As the gateway shows it."""
    definition: JSON
    """As the gateway shows it."""
    digest: str
    """Of `original`: what the operator rewords does not change it."""
    original: JSON = _NOTHING
    """The definition as the upstream wrote it."""
    plain: str = ""
    """What it would be shown as if nobody else had that name; empty: as it is."""
    pinned: bool = False
    """The operator chose `exposed`: in a clash the others give way."""
    task: str = ""
    """Of a tool: `optional` where its upstream can run it as a task."""
    hidden: bool = False
    """The operator wants nobody to see it."""
    shown_to: Literal["everybody", "known", "strangers"] = "everybody"
    """Of an upstream that each calls as himself: to those it knows, or to those who have to log in there first."""


def told_apart_as(item: Item, exposed: str) -> Item:
    definition = {**item.definition, KEY[item.kind]: exposed}
    return replace(item, exposed=exposed, definition=definition, plain=item.exposed)
