"""The lists a caller sees, kept as bytes per generation of the catalog.

A page ends after `page_items`; the cursor is ours: generation and position. A list that changed between two pages is
said to have changed, instead of skipping or repeating items. What is missing is named in `_meta["douane/missing"]`.
Spec: specification/2026-07-28/server/utilities/pagination.mdx, caching.mdx.
"""

import base64
import hashlib
from typing import Any, cast

from ..flow.chain import Emit
from ..protocol.call import Call
from ..protocol.methods import METHODS
from ..protocol.outcome import Complete, Outcome, Refused
from ..registry.catalog import Catalog, Kind
from ..wire import json
from ..wire.codes import INVALID_PARAMS

__all__ = ["MISSING", "View"]

MISSING = "douane/missing"


class View:
    """Answers the list methods; a `Handler`."""

    def __init__(self, catalog: Catalog, *, page_items: int = 1000, ttl_ms: int = 5_000) -> None:
        self._catalog, self._page_items, self._ttl_ms = catalog, page_items, ttl_ms
        self._kept: dict[tuple[str, int], tuple[Complete, str]] = {}
        self._generation = -1

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        if self._generation != self._catalog.generation:
            self._kept.clear()
            self._generation = self._catalog.generation
        start = self._position(call.method, call.params.get("cursor"))
        if start is None:
            return Refused(INVALID_PARAMS, "client: the cursor is not of this list, or the list changed; list again")
        kept = self._kept.get((call.method, start))
        if kept is None:
            page = self._page(call.method, start)
            kept = self._kept[call.method, start] = (page, hashlib.sha256(page.encoded or b"").hexdigest())
        # What was shown is written down by its digest: a list is large, and the same for everybody until it changes.
        emit.trail.shown = kept[1]
        return kept[0]

    def _page(self, method: str, start: int) -> Complete:
        member = METHODS[method].lists
        items = self._catalog.items(cast("Kind", member))
        page = items[start : start + self._page_items]
        result: dict[str, Any] = {"resultType": "complete", member or "": [item.definition for item in page]}
        if start + len(page) < len(items):
            result["nextCursor"] = self._cursor(start + len(page))
        missing = self._catalog.missing
        if missing:
            result["_meta"] = {MISSING: [{"name": name, "reason": reason} for name, reason in missing.items()]}
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
        within = 0 < start < len(self._catalog.items(cast("Kind", METHODS[method].lists)))
        return start if ours and within else None
