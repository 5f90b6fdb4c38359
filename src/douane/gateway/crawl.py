"""Reading everything an upstream offers, within bounds: a hostile list has an end here.

Spec: specification/2026-07-28/server/utilities/pagination.mdx (cursors are opaque, the empty string is one).
"""

from typing import Any, cast

from msgspec.structs import replace

from ..protocol.call import JSON
from ..protocol.param_headers import param_headers, unmarked
from ..protocol.versions import Era
from ..registry.catalog import Item, Kind
from ..registry.item import KEY
from ..registry.naming import Naming
from ..sdk.connect import CannotConnect
from ..sdk.session import Session, Welcome
from ..wire import rpc
from ..wire.codes import METHOD_NOT_FOUND
from ..wire.json import is_object

__all__ = ["MAX_ITEMS", "crawl"]

MAX_ITEMS = 5_000
"""Per list; the largest real server seen offers a few hundred tools."""
_MAX_PAGES = 200

_LISTS: tuple[tuple[str, str, Kind], ...] = (
    ("tools", "tools/list", "tools"),
    ("prompts", "prompts/list", "prompts"),
    ("resources", "resources/list", "resources"),
    ("resources", "resources/templates/list", "resourceTemplates"),
)
"""Capability, method, member of the result."""


async def crawl(session: Session, naming: Naming, deadline_s: float) -> list[Item]:
    """All items of all lists the server declares, as `naming` shows them.

    Raises CannotConnect when a list breaks the protocol or its bounds, LinkClosed or TimeoutError with the session.
    """
    found: list[Item] = []
    for capability, method, kind in _LISTS:
        if capability in session.welcome.capabilities:
            definitions = await _pages(session, method, kind, deadline_s)
            found += [_item(d, kind, naming, session.welcome) for d in definitions]
    return found


async def _pages(session: Session, method: str, kind: Kind, deadline_s: float) -> list[dict[str, Any]]:
    definitions: list[dict[str, Any]] = []
    params: JSON = {}
    for _ in range(_MAX_PAGES):
        answer = await session.ask(method, params, deadline_s)
        if isinstance(answer, rpc.Error):
            if answer.code == METHOD_NOT_FOUND:
                return []
            raise CannotConnect(f"{method} failed: {answer.message[:200]} ({answer.code})")
        page: object = answer.result.get(kind)
        if not isinstance(page, list):
            raise CannotConnect(f"{method} answered without a list of {kind}")
        objects = _objects(cast("list[object]", page), method)
        definitions += session.usable(objects) if kind == "tools" else objects
        if len(definitions) > MAX_ITEMS:
            raise CannotConnect(f"{method} lists more than {MAX_ITEMS} items")
        cursor: object = answer.result.get("nextCursor")
        if not isinstance(cursor, str):
            return definitions
        params = {"cursor": cursor}
    raise CannotConnect(f"{method} has more than {_MAX_PAGES} pages")


def _objects(page: list[object], method: str) -> list[dict[str, Any]]:
    objects = [definition for definition in page if is_object(definition)]
    if len(objects) < len(page):
        raise CannotConnect(f"{method} lists something that is not an object")
    return objects


def _item(definition: dict[str, Any], kind: Kind, naming: Naming, welcome: Welcome) -> Item:
    own: object = definition.get(KEY[kind])
    if not isinstance(own, str) or not own:
        raise CannotConnect(f"one of its {kind} has no {KEY[kind]}")
    item = naming.item(kind, own, definition, _cleaned(definition, kind, welcome.era))
    if kind != "tools" or "tasks" not in welcome.abilities:
        return item
    # Which tools may is said in the handshake era alone. One that has to may as well: it is waited for otherwise.
    may = welcome.era is Era.STATELESS or _task_support(definition) in ("optional", "required")
    return replace(item, task="optional" if may else "")


def _cleaned(definition: dict[str, Any], kind: Kind, era: Era) -> dict[str, Any]:
    # A field of experimental tasks that the newest revision dropped; who knows it is told of `task` (sdk.listener).
    known = {k: v for k, v in definition.items() if k != "execution"} if era is Era.HANDSHAKE else definition
    schema: object = known.get("inputSchema")
    if kind != "tools" or not is_object(schema) or not _marked_wrongly(schema):
        return known
    # The server does without headers, or its session had not shown the tool; clients of the newest would leave it out.
    return {**known, "inputSchema": unmarked(schema)}


def _marked_wrongly(schema: dict[str, Any]) -> bool:
    try:
        param_headers(schema)
    except ValueError:
        return True
    return False


def _task_support(definition: dict[str, Any]) -> object:
    execution: object = definition.get("execution")
    return execution.get("taskSupport") if is_object(execution) else None
