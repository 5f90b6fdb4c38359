"""A list, read to its end, within bounds: a server whose list never ends is told of, and not listened to for ever.

Spec: specification/2026-07-28/server/utilities/pagination.mdx (cursors are opaque, the empty string is one).
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from ..protocol.call import JSON
from ..protocol.methods import METHODS
from ..wire.codes import UPSTREAM_UNAVAILABLE
from .answer import ServerError, objects_of
from .kept import ttl_ms_of

__all__ = ["Pages", "pages"]

_MAX_PAGES = 1_000
_MAX_ITEMS = 100_000
"""A gateway shows the lists of many servers as one; of each it takes 5,000."""


class Pages(NamedTuple):
    items: "list[dict[str, Any]]"
    meta: JSON
    """Of the last page."""
    ttl_ms: int
    """For how long all of it may be kept."""


async def pages(ask: Callable[[str, JSON], Awaitable[JSON]], method: str, meta: JSON) -> Pages:
    """All pages of the list that `method` asks for; `meta` is sent with each request. Raises ServerError, as `ask`."""
    member = METHODS[method].lists or ""
    items: list[dict[str, Any]] = []
    own: dict[str, Any] = {"_meta": meta} if meta else {}
    params, ttls = own, set[int]()
    for _ in range(_MAX_PAGES):
        page = await ask(method, params)
        items += objects_of(page, member)
        ttls.add(ttl_ms_of(page))
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str):
            return Pages(items, page.get("_meta", {}), min(ttls))
        if cursor == params.get("cursor"):
            raise ServerError(UPSTREAM_UNAVAILABLE, f"server: {method} goes on after a page with that same page")
        if len(items) > _MAX_ITEMS:
            raise ServerError(UPSTREAM_UNAVAILABLE, f"server: {method} lists more than {_MAX_ITEMS} items")
        params = {**own, "cursor": cursor}
    raise ServerError(UPSTREAM_UNAVAILABLE, f"server: {method} has more than {_MAX_PAGES} pages")
