"""What there is to call, and the rules that say who may: as a running gateway has it, without disturbing it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..audit.use import Use
from ..interceptors.policy import ACTIONS, PolicyError, Rules, default_policy
from ..interceptors.policy.source import Rule, rules_of
from ..protocol.methods import Kind
from ..registry.item import KEY, digest_of
from ..registry.marks import Marks
from ..sdk.client import ServerError
from .join import CannotJoin, client
from .kept import CannotRead
from .load import Loaded
from .paths import Paths
from .shown import naming_of

__all__ = ["InForce", "Offer", "from_use", "in_force", "offered"]

_LISTS: Mapping[str, tuple[str, str]] = {
    "tools/call": ("tools/list", "name"),
    "resources/read": ("resources/list", "uri"),
    "prompts/get": ("prompts/list", "name"),
}
_ORIGINAL = "douane/original"


class Offer(msgspec.Struct, frozen=True):
    """One thing that can be called."""

    method: str
    server: str
    name: str
    """As its server names it."""
    shown: str
    reads: bool
    digest: str = ""


class InForce(NamedTuple):
    rules: Rules
    each: list[Rule]


def in_force(loaded: Loaded, paths: Paths) -> InForce:
    """The rules as the files have them now. Raises CannotRead."""
    files = [loaded.path.parent / file for file in loaded.config.policy.files] or [paths.policy]
    files += [paths.allowed, paths.revoked]
    try:
        texts = [(file.name, file.read_text(encoding="utf-8")) for file in files if file.exists()]
        if not loaded.config.policy.files and not paths.policy.exists():
            texts.insert(0, (paths.policy.name, default_policy()))
        return InForce(Rules(texts), rules_of(texts))
    except (PolicyError, OSError, UnicodeDecodeError) as exc:
        raise CannotRead(f"the rules cannot be read: {exc}") from None


async def offered(loaded: Loaded, paths: Paths) -> list[Offer] | None:
    """What the running gateway lists for its owner; None: none runs, or it does not say."""
    found: list[Offer] = []
    try:
        # Without a configuration none is started.
        async with await client(paths, None, deadline_s=10.0) as gateway:
            for method, (listing, key) in _LISTS.items():
                items, _ = await gateway.list(listing, {_ORIGINAL: True})
                found += [_offer(loaded, method, item, str(item[key])) for item in items]
    except (CannotJoin, ServerError):
        return None
    return found


def from_use(loaded: Loaded, uses: Iterable[Use]) -> list[Offer]:
    """What was called, under the names its servers have for it: where no gateway can be asked what there is."""
    places = {(use.method, use.server, use.tool) for use in uses if use.method in _LISTS and use.server and use.tool}
    return [
        Offer(method, server, name, _shown(loaded, method, server, name), _reads(loaded, method, server, name))
        for method, server, name in sorted(places)
    ]


def _offer(loaded: Loaded, method: str, item: Mapping[str, Any], shown: str) -> Offer:
    own = item["_meta"][_ORIGINAL]
    server, name = str(own["upstream"]), str(own["name"])
    return Offer(method, server, name, shown, _reads(loaded, method, server, name), digest_of(own["definition"]))


def _reads(loaded: Loaded, method: str, server: str, name: str) -> bool:
    upstream = loaded.config.upstreams.get(server)
    kind: Kind = ACTIONS[method][2]
    if upstream is None:
        return False
    reads = upstream.reads
    marks: Mapping[Kind, tuple[str, ...]] = {
        "tools": reads.tools,
        "resources": reads.resources,
        "prompts": reads.prompts,
    }
    return Marks({server: marks}).reads(kind, server, name)


def _shown(loaded: Loaded, method: str, server: str, name: str) -> str:
    upstream = loaded.config.upstreams.get(server)
    if upstream is None:
        return name
    kind: Kind = ACTIONS[method][2]
    definition = {KEY[kind]: name}
    return naming_of(server, upstream).item(kind, name, definition, definition).exposed
