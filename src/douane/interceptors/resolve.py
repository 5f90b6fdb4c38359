"""RESOLVE: which upstream a call is for, and under what name. Reads the catalog and starts nothing.

What does not exist and what is hidden look alike: -32602 (specification/2026-07-28/server/tools.mdx, error handling).
What belongs to an upstream that is not there is another matter: lists name the gap, and so does the answer here.
"""

from collections.abc import Callable
from typing import Any, cast

from msgspec.structs import replace

from ..flow.chain import Gate, Stage
from ..protocol.call import JSON, Call
from ..protocol.outcome import Failed, Outcome, Refused
from ..registry.catalog import Catalog
from ..wire.codes import INVALID_PARAMS

__all__ = ["make"]


Absent = Callable[[str], Failed | None]
"""How a call of that exposed name ends if it belongs to an upstream that is not there, else None."""


def make(catalog: Catalog, absent: Absent = lambda name: None) -> Gate:
    ways: dict[str, Callable[[Call, Catalog], Call | Outcome]] = {
        "tools/call": _tool,
        "prompts/get": _prompt,
        "resources/read": _resource,
        "completion/complete": _completion,
    }

    def check(call: Call) -> Call | Outcome:
        way = ways.get(call.method)
        if way is None:
            return call
        found = way(call, catalog)
        if type(found) is Refused and call.method in ("tools/call", "prompts/get"):
            return absent(call.target or "") or found
        return found

    return Gate("resolve", Stage.RESOLVE, check)


def _tool(call: Call, catalog: Catalog) -> Call | Outcome:
    item = catalog.find("tools", call.target or "")
    if item is None:
        return Refused(INVALID_PARAMS, f"client: unknown tool {_shown(call.target)}; tools/list has the names")
    params = call.params if item.name == call.target else {**call.params, "name": item.name}
    return replace(call, params=params, upstream=item.upstream, name=item.name, digest=item.digest)


def _prompt(call: Call, catalog: Catalog) -> Call | Outcome:
    item = catalog.find("prompts", call.target or "")
    if item is None:
        return Refused(INVALID_PARAMS, f"client: unknown prompt {_shown(call.target)}; prompts/list has the names")
    params = call.params if item.name == call.target else {**call.params, "name": item.name}
    return replace(call, params=params, upstream=item.upstream, name=item.name, digest=item.digest)


def _resource(call: Call, catalog: Catalog) -> Call | Outcome:
    uri = call.target or ""
    item = catalog.reader_of(uri)
    if item is None:
        return Refused(INVALID_PARAMS, f"client: unknown resource {_shown(uri)}", data={"uri": uri})
    return replace(call, upstream=item.upstream, name=uri, digest=item.digest)


def _completion(call: Call, catalog: Catalog) -> Call | Outcome:
    # Only a reference of a known type has given the call a target.
    ref: JSON = {} if call.target is None else cast("JSON", call.params["ref"])
    item = catalog.find("prompts" if ref.get("type") == "ref/prompt" else "resourceTemplates", call.target or "")
    if item is None:
        return Refused(INVALID_PARAMS, f"client: nothing to complete for {_shown(call.target)}")
    if item.kind == "prompts":
        ref = {**ref, "name": item.name}
        params: dict[str, Any] = {**call.params, "ref": ref}
        return replace(call, params=params, upstream=item.upstream, name=item.name, digest=item.digest)
    return replace(call, upstream=item.upstream, name=item.name, digest=item.digest)


def _shown(name: str | None) -> str:
    return repr((name or "")[:80])
