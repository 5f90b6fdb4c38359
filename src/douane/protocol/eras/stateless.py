"""Revision 2026-07-28: every request carries its own envelope; there is no session.

Spec: specification/2026-07-28/basic/index.mdx (`_meta`), basic/patterns/mrtr.mdx, server/utilities/caching.mdx,
basic/transports/streamable-http.mdx (headers).
"""

from collections.abc import Mapping
from typing import Any, cast

from ...wire import json, rpc
from ...wire.codes import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_CAPABILITY,
    UNSUPPORTED_VERSION,
    UPSTREAM_UNAVAILABLE,
)
from ...wire.headers import HeaderError, decode_value, encode_value
from ..call import JSON, Call, Event, Principal
from ..methods import METHODS
from ..offers import question_fault
from ..outcome import Complete, Deferred, Failed, InputRequired, Outcome, Refused
from ..tasks import OFFERED, accepts
from ..versions import MODERN, STATELESS, Era
from .envelope import CAPABILITIES, CLIENT, LOG_LEVEL, SUBSCRIPTION, VERSION, Body, read_body

__all__ = [
    "Envelope",
    "discover_result",
    "http_headers",
    "is_enveloped",
    "listening",
    "mirror_fault",
    "read_call",
    "read_outcome",
    "version_fault",
    "write_call",
    "write_event",
    "write_outcome",
    "write_subscribed",
]

_NOTHING: dict[str, Any] = {}
_CACHEABLE = frozenset(name for name, method in METHODS.items() if method.cacheable)
_COMPLETE = b'"resultType":"complete"'
_KEPT_ENVELOPES = 64
"""Clients declare few sets of capabilities; this many from one that means harm."""
_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


# --- as a server: frames of a caller → Call, and back -------------------------------------------------------------


def is_enveloped(params: Mapping[str, Any]) -> bool:
    """Is this request of the stateless era? Its envelope, and nothing else, says so (basic/versioning.mdx)."""
    meta: object = params.get("_meta")
    return json.is_object(meta) and VERSION in meta


def read_call(
    request: rpc.Request, *, id: str, root: str | None, principal: Principal, conversation: str
) -> Call | Refused:
    """The call in one request. A Refused is the answer to a request that is not one of this revision."""
    params = request.params
    meta: object = params.get("_meta")
    revision: object = meta.get(VERSION) if type(meta) is dict else None
    if revision not in STATELESS:
        return _wrong_version(revision)
    body = read_body(request.method, params, Era.STATELESS)
    if type(body) is Refused:
        return body
    kept, target, envelope = cast("Body", body)
    capabilities: Any = envelope.get(CAPABILITIES)
    if type(capabilities) is not dict:
        return Refused(INVALID_PARAMS, f'client: params._meta needs an object "{CAPABILITIES}"')
    level: object = envelope.get(LOG_LEVEL)
    if level is not None and level not in _LEVELS:
        return Refused(INVALID_PARAMS, f'client: "{LOG_LEVEL}" must be one of {", ".join(_LEVELS)}')
    answers: Any = params.get("inputResponses", _NOTHING)
    state: Any = params.get("requestState")
    if type(answers) is not dict or not (state is None or type(state) is str):
        return Refused(INVALID_PARAMS, "client: inputResponses must be an object, requestState a string")
    return Call(
        id=id,
        root=root or id,
        method=request.method,
        params=kept,
        principal=principal,
        target=target,
        conversation=conversation,
        capabilities=capabilities,
        answers=answers,
        state=state,
        log_level=str(level) if level is not None else None,
        wants_progress=envelope.get("progressToken") is not None,
    )


def _wrong_version(revision: object) -> Refused:
    if type(revision) is not str:
        return Refused(INVALID_PARAMS, f'client: params._meta needs a string "{VERSION}"')
    return Refused(
        UNSUPPORTED_VERSION,
        f"client: revision {revision[:40]!r} is not spoken here",
        data={"supported": list(STATELESS), "requested": revision[:40]},
    )


def mirror_fault(request: rpc.Request, headers: Mapping[bytes, bytes]) -> str | None:
    """Why the `Mcp-*` headers do not mirror the body, or None. The answer is then 400 and -32020.

    Spec: basic/transports/streamable-http.mdx (server validation of headers).
    """
    params = request.params
    fault = version_fault(request, headers)
    if fault is not None:
        return fault
    if headers.get(b"mcp-method") != request.method.encode():
        return "the header Mcp-Method must equal the method in the body"
    entry = METHODS.get(request.method)
    if entry is None or entry.target_key is None:
        return None
    sent, name = headers.get(b"mcp-name"), params.get(entry.target_key)
    if sent is None:
        return f"the header Mcp-Name must carry params.{entry.target_key}"
    try:
        matches = decode_value(sent) == name
    except HeaderError as exc:
        return f"Mcp-Name: {exc}"
    return None if matches else f"the header Mcp-Name must equal params.{entry.target_key}"


def version_fault(request: rpc.Request, headers: Mapping[bytes, bytes]) -> str | None:
    """The first part of `mirror_fault`, for a request that `is_enveloped`."""
    said: object = request.params["_meta"][VERSION]
    sent = headers.get(b"mcp-protocol-version")
    if type(said) is str and sent != said.encode():
        return f'the header MCP-Protocol-Version must equal params._meta["{VERSION}"]'
    return None


def write_outcome(id: rpc.Id, call: Call, outcome: Outcome) -> bytes:
    """The frame that answers `call`."""
    if isinstance(outcome, Complete):
        result, encoded = outcome.result, outcome.encoded
        if call.method in _CACHEABLE and result.get("cacheScope") != "private":
            # Without hints nobody may keep the answer, and what an upstream calls public may have been shown to
            # this principal alone (utilities/caching.mdx:101).
            result, encoded = {**result, "ttlMs": result.get("ttlMs", 0), "cacheScope": "private"}, None
        made = json.encode(result) if encoded is None else encoded
        return rpc.write_result(id, made) if "resultType" in result else rpc.write_result_and(id, _COMPLETE, made)
    match outcome:
        case InputRequired(asks, state):
            body: dict[str, Any] = {"resultType": "input_required"}
            if asks:
                body["inputRequests"] = asks
            if state is not None:
                body["requestState"] = state
            return rpc.write_result(id, json.encode(body))
        case Deferred(task):
            return rpc.write_result(id, json.encode({"resultType": "task", **task}))
        case Refused(code, reason, data):
            return rpc.write_error(id, code, reason, data)
        case Failed(code, message, _, data):
            return rpc.write_error(id, code, message, data)


def write_event(event: Event, token: rpc.Id | None) -> bytes:
    """A notification on the stream of the call that asked for it; both eras write it alike."""
    if event.method == "notifications/progress" and token is not None:
        return rpc.write_notification(event.method, {**event.params, "progressToken": token})
    return rpc.write_notification(event.method, event.params)


def write_subscribed(method: str, params: JSON, subscription: rpc.Id) -> bytes:
    """A notification on a listen stream (basic/patterns/subscriptions.mdx)."""
    return rpc.write_notification(method, {**params, "_meta": {SUBSCRIPTION: subscription}})


def discover_result(capabilities: JSON, server: JSON, instructions: str | None, ttl_ms: int) -> dict[str, Any]:
    """The result of `server/discover` (server/discover.mdx)."""
    result: dict[str, Any] = {
        "resultType": "complete",
        "supportedVersions": list(STATELESS),
        "capabilities": capabilities,
        "ttlMs": ttl_ms,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": server},
    }
    if instructions:
        result["instructions"] = instructions
    return result


# --- as a client: Call → frames for a server, and back ------------------------------------------------------------


class Envelope:
    """What every request to one server carries in `_meta`, encoded once."""

    __slots__ = ("_others", "base", "own", "plain")

    def __init__(self, client: JSON, capabilities: JSON, extensions: JSON | None = None) -> None:
        """`extensions`: told with each request of our own, beside `capabilities`; calls tell what their callers do."""
        self._others: dict[bytes, Envelope] = {}
        self.base: dict[str, Any] = {VERSION: MODERN, CLIENT: client, CAPABILITIES: capabilities}
        self.own = {**self.base, CAPABILITIES: {**capabilities, "extensions": extensions}} if extensions else self.base
        """What requests of our own carry, which belong to no call."""
        self.plain = b'"_meta":%b' % json.encode(self.base)
        """The member `_meta` where it is ours alone."""

    def offering(self, capabilities: JSON) -> "Envelope":
        """The same with other capabilities; itself for none."""
        if not capabilities:
            return self
        key = json.encode(capabilities)
        other = self._others.get(key)
        if other is None:
            if len(self._others) >= _KEPT_ENVELOPES:
                self._others.clear()
            other = self._others[key] = Envelope(self.base[CLIENT], capabilities)
        return other

    def is_plain(self, call: Call) -> bool:
        """Whether `_meta` for `call` is ours alone."""
        return not call.wants_progress and call.log_level is None and "_meta" not in call.params

    def meta(self, call: Call, token: rpc.Id) -> JSON:
        """`_meta` for `call`: ours, and what the caller sent end to end."""
        rest: object = call.params.get("_meta")
        meta = {**cast("JSON", rest or {}), **self.base}
        if call.wants_progress:
            meta["progressToken"] = token
        if call.log_level is not None:
            meta[LOG_LEVEL] = call.log_level
        return meta


def listening(notifications: JSON, envelope: Envelope) -> dict[str, Any]:
    """The params of `subscriptions/listen`. Who names tasks there has to know them (tasks.md, task status notifications)."""
    known = envelope.offering(OFFERED) if "taskIds" in notifications else envelope
    return {"notifications": notifications, "_meta": known.base}


def write_call(id: int, call: Call, envelope: Envelope, encoded: bytes | None = None) -> bytes:
    """The request that puts `call` to a server, under our own id and progress token.

    `encoded` is `call.params` in our own encoding, if it exists.
    """
    if encoded is not None and call.state is None and not call.answers and envelope.is_plain(call):
        return rpc.write_request_and(id, call.method, encoded, envelope.plain)
    params: dict[str, Any] = {**call.params, "_meta": envelope.meta(call, id)}
    if call.answers:
        params["inputResponses"] = call.answers
    if call.state is not None:
        params["requestState"] = call.state
    return rpc.write_request(id, call.method, params)


def http_headers(method: str, params: JSON) -> list[tuple[bytes, bytes]]:
    """The headers that mirror a request of this revision."""
    headers = [(b"mcp-protocol-version", MODERN.encode()), (b"mcp-method", method.encode())]
    entry = METHODS.get(method)
    name: object = params.get(entry.target_key) if entry is not None and entry.target_key is not None else None
    if isinstance(name, str):
        headers.append((b"mcp-name", encode_value(name)))
    return headers


def read_outcome(answer: rpc.Response | rpc.Error, call: Call) -> Outcome:
    """What a server's answer means. The capabilities of `call` are what was offered for it.

    A result type nobody agreed on is a broken peer (basic/index.mdx:84).
    """
    if isinstance(answer, rpc.Error):
        # A revision that is refused is refused before anything is run.
        sent = "no" if answer.code == UNSUPPORTED_VERSION else "yes"
        return Failed(*peer_error(answer), sent=sent, data=answer.data)
    kind: object = answer.result.get("resultType", "complete")
    if kind == "complete":
        return Complete(answer.result, answer.encoded)
    if kind == "input_required" and (entry := METHODS.get(call.method)) is not None and entry.may_ask:
        return _input_required(answer.result, call)
    if kind == "task" and call.method == "tools/call" and accepts(call.capabilities):
        return _deferred(answer.result)
    return Failed(UPSTREAM_UNAVAILABLE, "upstream: answers with an unknown kind of result", "yes")


def _deferred(result: JSON) -> Outcome:
    if not isinstance(result.get("taskId"), str):
        return Failed(UPSTREAM_UNAVAILABLE, "upstream: answers with a task that has no id", "yes")
    return Deferred({key: value for key, value in result.items() if key != "resultType"})


def _input_required(result: JSON, call: Call) -> InputRequired | Failed:
    """Spec: basic/patterns/mrtr.mdx: what was not declared must not be asked, and one of the two is there."""
    asks: object = result.get("inputRequests", _NOTHING)
    state: object = result.get("requestState")
    if not json.is_object(asks) or not (state is None or isinstance(state, str)) or not (asks or state):
        return Failed(UPSTREAM_UNAVAILABLE, "upstream: asks for input in a way that is none", "yes")
    for question in asks.values():
        fault = question_fault(question, call.capabilities)
        if fault is not None:
            return Failed(UPSTREAM_UNAVAILABLE, f"upstream: asks for input that nobody offered to give: {fault}", "yes")
    return InputRequired(asks, state)


_RECEIVED = {-32002: INVALID_PARAMS}
"""Resource not found, as older revisions say it (server/resources.mdx:404)."""


def peer_error(error: rpc.Error) -> tuple[int, str]:
    """Code and message of a server's error, as it may be passed on.

    A complaint about our own envelope (-32020, -32022) is a fault of this hop, not of the caller; what is declared in
    it (-32021) is the caller's.
    """
    if error.code == MISSING_CAPABILITY:
        return MISSING_CAPABILITY, f"upstream: needs what was not offered to it: {error.message}"
    if -32022 <= error.code <= -32020:
        return INTERNAL_ERROR, f"gateway: the upstream refused our envelope: {error.message}"
    return _RECEIVED.get(error.code, error.code), error.message
