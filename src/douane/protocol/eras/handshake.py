"""Revisions 2024-11-05 to 2025-11-25: `initialize` first, then calls on a session.

Spec: specification/2025-11-25/basic/lifecycle.mdx, basic/utilities/*.mdx.
"""

from typing import Any, cast

from ...wire import json, rpc
from ...wire.codes import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    RESOURCE_NOT_FOUND,
    UNSUPPORTED_VERSION,
    UPSTREAM_UNAVAILABLE,
    URL_ELICITATION_REQUIRED,
)
from ..call import JSON, Call, Principal
from ..outcome import Complete, Deferred, Failed, InputRequired, Outcome, Refused
from ..questions import ELICIT, undeclared
from ..tasks import needs_task
from ..versions import HANDSHAKE, LATEST_HANDSHAKE, Era, settle
from .differences import strip, strip_result
from .envelope import kept_meta, read_body
from .older_tasks import older_task
from .stateless import peer_error

__all__ = [
    "Hello",
    "initialize_params",
    "initialize_result",
    "plain_question",
    "read_call",
    "read_hello",
    "read_outcome",
    "read_welcome",
    "retry_fault",
    "write_call",
    "write_outcome",
]

_NOTHING: dict[str, Any] = {}
_NEWER = frozenset({"resultType", "ttlMs", "cacheScope"})
"""Words of 2026-07-28 that mean nothing from a server of this era, but would to a caller of the newer one."""

_OF_A_RESOURCE = frozenset({"resources/read", "resources/subscribe"})

Hello = tuple[str, JSON]
"""What an `initialize` settles: the revision, and the client's capabilities."""


# --- as a server --------------------------------------------------------------------------------------------------


def read_hello(request: rpc.Request) -> Hello | Refused:
    """What an `initialize` asks for."""
    asked: object = request.params.get("protocolVersion")
    capabilities: object = request.params.get("capabilities")
    if type(asked) is not str:
        return Refused(INVALID_PARAMS, "client: initialize needs a string protocolVersion")
    if not json.is_object(capabilities):
        return Refused(INVALID_PARAMS, "client: initialize needs an object capabilities")
    return settle(asked), capabilities


def initialize_result(revision: str, capabilities: JSON, server: JSON, instructions: str | None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "protocolVersion": revision,
        "capabilities": strip("server", capabilities, revision),
        "serverInfo": strip("implementation", server, revision),
    }
    if instructions:
        result["instructions"] = instructions
    return result


def read_call(
    request: rpc.Request,
    *,
    id: str,
    principal: Principal,
    conversation: str,
    capabilities: JSON,
    log_level: str | None,
) -> Call | Refused:
    """The call in one request of a session, whose capabilities and log level it takes over."""
    body = read_body(request.method, request.params, Era.HANDSHAKE)
    if isinstance(body, Refused):
        return body
    kept, target, meta = body
    return Call(
        id=id,
        root=id,
        method=request.method,
        params=kept,
        principal=principal,
        target=target,
        conversation=conversation,
        capabilities=capabilities,
        log_level=log_level,
        wants_progress=meta.get("progressToken") is not None,
    )


def write_outcome(id: rpc.Id, call: Call, outcome: Outcome, revision: str) -> bytes:
    """The frame that answers `call` to a peer of `revision`."""
    match outcome:
        case Complete(result, encoded):
            stripped = strip_result(result, revision)
            if stripped is not None:
                return rpc.write_result(id, json.encode(stripped))
            return rpc.write_result(id, json.encode(result) if encoded is None else encoded)
        case Refused() | Failed() if needs_task(outcome):
            # 2025-11-25/basic/utilities/tasks.mdx, tool-level negotiation.
            said = f"client: the tool {call.target!r} runs as a task only; call it with `task`, of revision 2025-11-25"
            return rpc.write_error(id, METHOD_NOT_FOUND, said)
        case Refused(code, reason) if code == MISSING_CAPABILITY and call.method == "tools/call":
            # This era has no code for it; a tool that cannot ask has failed in words the model can read.
            return rpc.write_result(id, json.encode({"content": [{"type": "text", "text": reason}], "isError": True}))
        case Refused(code, reason, data):
            return rpc.write_error(id, _older(code, data, call), reason, data)
        case Failed(code, message, _, data):
            return rpc.write_error(id, _older(code, data, call), message, data)
        case Deferred(task):
            return rpc.write_result(id, json.encode({"task": older_task(task)}))
        case InputRequired():
            # Rounds are driven before they get here (flow/rounds); what is left cannot be said in this era.
            return rpc.write_error(id, INTERNAL_ERROR, "gateway: this call needs a newer revision of the protocol")


def _older(code: int, data: object, call: Call) -> int:
    # Only the URI in the data tells a missing resource from other invalid parameters (2026-07-28 server/resources.mdx).
    if code == INVALID_PARAMS and call.method in _OF_A_RESOURCE and json.is_object(data) and "uri" in data:
        return RESOURCE_NOT_FOUND
    return INTERNAL_ERROR if -32022 <= code <= -32020 else code


# --- as a client --------------------------------------------------------------------------------------------------


def initialize_params(client: JSON, capabilities: JSON) -> dict[str, Any]:
    return {"protocolVersion": LATEST_HANDSHAKE, "capabilities": capabilities, "clientInfo": client}


def read_welcome(result: JSON) -> str | None:
    """The revision a server settled on in its `initialize` result, or None when we do not speak it."""
    revision: object = result.get("protocolVersion")
    return revision if isinstance(revision, str) and revision in HANDSHAKE else None


def write_call(id: rpc.Id, call: Call, revision: str) -> bytes:
    """The request that puts `call` to a server of `revision`."""
    meta = kept_meta(cast("JSON", call.params.get("_meta") or _NOTHING))
    if call.wants_progress:
        meta["progressToken"] = id
    params: dict[str, Any] = {key: value for key, value in call.params.items() if key != "_meta"}
    if meta:
        params["_meta"] = meta
    return rpc.write_request(id, call.method, strip(call.method, params, revision))


def read_outcome(answer: rpc.Response | rpc.Error, declared: JSON) -> Outcome:
    """What a server's answer means, in the inner tongue. `declared`: what the session offered it."""
    if type(answer) is rpc.Error:
        if answer.code == URL_ELICITATION_REQUIRED:
            return _visits(answer.data, declared)
        sent = "no" if answer.code == UNSUPPORTED_VERSION else "yes"
        return Failed(*peer_error(answer), sent=sent, data=answer.data)
    assert type(answer) is rpc.Response
    if answer.result.keys().isdisjoint(_NEWER):
        return Complete(answer.result, answer.encoded)
    return Complete({key: value for key, value in answer.result.items() if key not in _NEWER})


_VISITED = "visited"
"""The state of a call that is to be made again after somebody has been to a page. It needs no secret: who makes it up
has only made the call."""


def _visits(data: object, declared: JSON) -> InputRequired | Failed:
    """URL elicitations that a call needs before it can run (2025-11-25/client/elicitation.mdx, error -32042)."""
    missing = undeclared([{"method": ELICIT, "params": {"mode": "url"}}], declared)
    if missing is not None:
        said = "upstream: somebody has to visit a page first, and no client that can show one asked"
        return Failed(MISSING_CAPABILITY, said, "yes", {"requiredCapabilities": missing})
    pages: Any = data.get("elicitations") if json.is_object(data) else None
    if not isinstance(pages, list) or not pages or not all(json.is_object(page) for page in cast("list[Any]", pages)):
        return Failed(UPSTREAM_UNAVAILABLE, "upstream: wants a page visited, and does not say which", "yes")
    return InputRequired(
        {
            f"page-{at}": {"method": ELICIT, "params": plain_question({**page, "mode": "url"})}
            for at, page in enumerate(cast("list[dict[str, Any]]", pages), 1)
        },
        _VISITED,
    )


def retry_fault(call: Call) -> Refused | None:
    """Whether a call that has a state must not be made again: somebody has declined, or the state is none of ours."""
    if call.state != _VISITED:
        return Refused(INVALID_PARAMS, "client: the requestState is of no call that can go on; start the call again")
    said = [answer.get("action") for answer in call.answers.values() if json.is_object(answer)]
    if said and all(action == "accept" for action in said):
        return None
    return Refused(INVALID_PARAMS, "client: the page that the call needs was not visited, so it was not made")


_OF_A_SESSION = frozenset({"_meta", "task", "elicitationId"})


def plain_question(params: JSON) -> JSON:
    """The params of a server's question without what belongs to its session alone."""
    if params.keys().isdisjoint(_OF_A_SESSION):
        return params
    return {key: value for key, value in params.items() if key not in _OF_A_SESSION}
