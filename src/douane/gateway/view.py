"""The lists a caller sees, kept as bytes per generation of the catalog.

A page ends after `page_items`; the cursor is ours: generation and position. A list that changed between two pages is
said to have changed, instead of skipping or repeating items. What is missing is named in `_meta["douane/missing"]`.

Who asks with `_meta["douane/original"]` and may, gets the original of each item beside it, in the `_meta` of the item,
and on the last page what the operator hides, in `_meta["douane/hidden"]`.
Spec: specification/2026-07-28/server/utilities/pagination.mdx, caching.mdx.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Any, cast

from ..flow.chain import Emit
from ..protocol.call import Call, Principal
from ..protocol.methods import METHODS
from ..protocol.outcome import Complete, Outcome, Refused
from ..registry.catalog import Item, Kind, Lists
from ..wire import json
from ..wire.codes import INVALID_PARAMS

__all__ = ["HIDDEN", "MISSING", "ORIGINAL", "View", "known_to_all"]

MISSING = "douane/missing"
ORIGINAL = "douane/original"
HIDDEN = "douane/hidden"

_NONE = frozenset[str]()
_MAX_KEPT = 256
"""Pages: what users are known at makes many."""


def _nobody(principal: Principal) -> bool:
    return False


def known_to_all(principal: Principal) -> frozenset[str]:
    return _NONE


class View:
    """Answers the list methods; a `Handler`."""

    def __init__(
        self,
        lists: Lists,
        *,
        page_items: int = 1000,
        ttl_ms: int = 5_000,
        sees_originals: Callable[[Principal], bool] = _nobody,
        strange_to: Callable[[Principal], frozenset[str]] = known_to_all,
    ) -> None:
        """`strange_to`: the upstreams that do not know somebody yet, of those that each calls as himself."""
        self._lists, self._page_items, self._ttl_ms = lists, page_items, ttl_ms
        self._sees_originals, self._strange_to = sees_originals, strange_to
        self._kept: dict[tuple[str, int, bool, frozenset[str]], tuple[Complete, str]] = {}
        self._generation = -1

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        if self._generation != self._lists.generation:
            self._kept.clear()
            self._generation = self._lists.generation
        start = self._position(call.method, call.params.get("cursor"))
        if start is None:
            return Refused(INVALID_PARAMS, "client: the cursor is not of this list, or the list changed; list again")
        with_originals = self._with_originals(call)
        strange = self._strange_to(call.principal)
        kept = self._kept.get((call.method, start, with_originals, strange))
        if kept is None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            page = self._page(call.method, start, with_originals, strange)
            digest = hashlib.sha256(page.encoded or b"").hexdigest()
            kept = self._kept[call.method, start, with_originals, strange] = (page, digest)
        # What was shown is written down by its digest: a list is large, and the same for everybody until it changes.
        emit.trail.shown = kept[1]
        return kept[0]

    def _with_originals(self, call: Call) -> bool:
        meta: object = call.params.get("_meta")
        return json.is_object(meta) and meta.get(ORIGINAL) is True and self._sees_originals(call.principal)

    def _page(self, method: str, start: int, with_originals: bool, strange: frozenset[str]) -> Complete:
        kind = cast("Kind", METHODS[method].lists)
        items = [item for item in self._lists.items(kind) if _is_for(item, strange)]
        page = items[start : start + self._page_items]
        shown = [_beside(item) if with_originals else item.definition for item in page]
        result: dict[str, Any] = {"resultType": "complete", kind: shown}
        meta: dict[str, Any] = {}
        if start + len(page) < len(items):
            result["nextCursor"] = self._cursor(start + len(page))
        elif with_originals:
            meta[HIDDEN] = [_original(item) for item in self._lists.hidden(kind)]
        missing = self._lists.missing
        if missing:
            meta[MISSING] = [{"name": name, "reason": reason} for name, reason in missing.items()]
        if meta:
            result["_meta"] = meta
        result |= {"ttlMs": self._ttl_ms if not missing else 0, "cacheScope": "private"}
        return Complete(result, json.encode(result))

    def _cursor(self, position: int) -> str:
        return base64.urlsafe_b64encode(b"%d:%d" % (self._generation, position)).decode()

    def _position(self, method: str, cursor: object) -> int | None:
        if cursor is None:
            return 0
        if not isinstance(cursor, str):
            return None
        try:
            start = int(base64.urlsafe_b64decode(cursor).rpartition(b":")[2])
        except ValueError:
            return None
        # Exactly what we wrote, and within the list: so no more pages are kept than there are.
        ours = cursor == self._cursor(start) and start % self._page_items == 0
        within = 0 < start < len(self._lists.items(cast("Kind", METHODS[method].lists)))
        return start if ours and within else None


def _is_for(item: Item, strange: frozenset[str]) -> bool:
    return item.shown_to == "everybody" or (item.shown_to == "strangers") == (item.upstream in strange)


def _beside(item: Item) -> dict[str, Any]:
    meta: object = item.definition.get("_meta")
    kept = meta if json.is_object(meta) else {}
    return {**item.definition, "_meta": {**kept, ORIGINAL: _original(item)}}


def _original(item: Item) -> dict[str, Any]:
    return {"upstream": item.upstream, "name": item.name, "definition": item.original}
