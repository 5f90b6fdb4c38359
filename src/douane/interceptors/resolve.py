"""RESOLVE: which upstream a call is for, and under what name. Reads the catalog and starts nothing.

What does not exist and what is hidden look alike: -32602 (specification/2026-07-28/server/tools.mdx, error handling).
What belongs to an upstream that is not there is another matter: lists name the gap, and so does the answer here.
"""

from collections.abc import Callable
from typing import cast

from msgspec.structs import replace

from ..flow.chain import Gate, Stage
from ..protocol.call import JSON, Call
from ..protocol.methods import Kind
from ..protocol.outcome import Failed, Outcome, Refused
from ..protocol.tasks import accepts, undeclared
from ..registry.catalog import Lists
from ..registry.handles import Handles
from ..wire.codes import INVALID_PARAMS

__all__ = ["Absent", "make"]


Absent = Callable[[Kind, str], Failed | None]
"""How a call of that exposed name ends if it belongs to an upstream that is not there, else None."""

_MAX_URI = 400
_OF_TASKS = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})
_NO_TASK = "client: there is no such task; it was never here, or has expired"
_ABSENT: dict[str, Kind] = {"tools/call": "tools", "prompts/get": "prompts"}


def make(lists: Lists, absent: Absent = lambda kind, name: None, handles: Handles | None = None) -> Gate:
    """`lists` is all there is for who comes by this way: what is elsewhere, or hidden, is not there. `handles`: the
    tasks whose ids were given out.
    """
    ways: dict[str, Callable[[Call, Lists], Call | Outcome]] = {
        "tools/call": _tool,
        "prompts/get": _prompt,
        "resources/read": _resource,
        "resources/subscribe": _resource,
        "completion/complete": _completion,
    }

    def check(call: Call) -> Call | Outcome:
        way = ways.get(call.method)
        if way is None:
            return _task(call, lists, absent, handles) if call.method in _OF_TASKS else call
        found = way(call, lists)
        if type(found) is Refused and call.method in _ABSENT:
            return absent(_ABSENT[call.method], call.target or "") or found
        return found

    return Gate("resolve", Stage.RESOLVE, check)


def _task(call: Call, lists: Lists, absent: Absent, handles: Handles | None) -> Call | Outcome:
    """As the call it came of, for the stages that follow: its target is the tool."""
    if not accepts(call.capabilities):
        return undeclared(f"{call.method} is of an extension")
    handle = handles.find(call.principal, call.target or "") if handles is not None else None
    item = lists.find("tools", handle.tool) if handle is not None else None
    if handle is None or (item is not None and item.upstream != handle.upstream):
        return Refused(INVALID_PARAMS, _NO_TASK)
    if item is None:
        return absent("tools", handle.tool) or Refused(INVALID_PARAMS, _NO_TASK)
    return replace(
        call,
        root=handle.root,
        params={**call.params, "arguments": handle.arguments},
        target=handle.tool,
        upstream=item.upstream,
        name=item.name,
        digest=item.digest,
    )


def _tool(call: Call, lists: Lists) -> Call | Outcome:
    item = lists.find("tools", call.target or "")
    if item is None:
        return Refused(INVALID_PARAMS, f"client: unknown tool {_shown(call.target)}; tools/list has the names")
    params = call.params if item.name == call.target else {**call.params, "name": item.name}
    return replace(call, params=params, upstream=item.upstream, name=item.name, digest=item.digest)


def _prompt(call: Call, lists: Lists) -> Call | Outcome:
    item = lists.find("prompts", call.target or "")
    if item is None:
        return Refused(INVALID_PARAMS, f"client: unknown prompt {_shown(call.target)}; prompts/list has the names")
    params = call.params if item.name == call.target else {**call.params, "name": item.name}
    return replace(call, params=params, upstream=item.upstream, name=item.name, digest=item.digest)


def _resource(call: Call, lists: Lists) -> Call | Outcome:
    uri = call.target or ""
    item = lists.reader_of(uri)
    if item is None:
        return Refused(
            INVALID_PARAMS, f"client: unknown resource {_shown(uri)}{_others(uri, lists)}", data={"uri": uri}
        )
    if item.exposed == item.name:
        return replace(call, upstream=item.upstream, name=uri, digest=item.digest)
    # Another has the same, so it is shown behind the name of its upstream.
    own = uri[len(item.exposed) - len(item.name) :]
    return replace(call, params={**call.params, "uri": own}, upstream=item.upstream, name=own, digest=item.digest)


def _others(uri: str, lists: Lists) -> str:
    readings = lists.readings(uri)
    return f"; it is shown as {' and '.join(repr(reading[:_MAX_URI]) for reading in readings[:4])}" if readings else ""


def _completion(call: Call, lists: Lists) -> Call | Outcome:
    # Only a reference of a known type has given the call a target.
    ref: JSON = {} if call.target is None else cast("JSON", call.params["ref"])
    item = lists.find("prompts" if ref.get("type") == "ref/prompt" else "resourceTemplates", call.target or "")
    if item is None:
        return Refused(INVALID_PARAMS, f"client: nothing to complete for {_shown(call.target)}")
    params: JSON = call.params
    if item.exposed != item.name:
        key = "name" if item.kind == "prompts" else "uri"
        params = {**call.params, "ref": {**ref, key: item.name}}
    return replace(call, params=params, upstream=item.upstream, name=item.name, digest=item.digest)


def _shown(name: str | None) -> str:
    return repr((name or "")[:80])
