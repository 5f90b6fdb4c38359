"""JSON-RPC 2.0 messages: requests, notifications, responses, errors.

`read` turns bytes into one of four values or raises FrameError; the writers turn values into bytes. Nothing here
knows a method of MCP. Members that JSON-RPC does not define are dropped, and a defined one in another letter case
is refused: some peers read keys without regard to case.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from . import json
from .codes import INVALID_REQUEST
from .json import DEFAULT_LIMITS, FrameError, Limits, parse

__all__ = [
    "Error",
    "Frame",
    "FrameError",
    "Id",
    "Limits",
    "Notification",
    "Request",
    "Response",
    "as_id",
    "read",
    "write_error",
    "write_notification",
    "write_request",
    "write_request_and",
    "write_result",
    "write_result_and",
]

Id = str | int
"""The type is kept: 1 and "1" are two ids (JSON-RPC 2.0 §4)."""

_MEMBERS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_RESULT = b',"result":'
_ANSWER = ("jsonrpc", "id", "result")
_REQUEST = ("jsonrpc", "id", "method", "params")
_SHORT_BYTES = 4096
_NO_PARAMS: dict[str, Any] = {}


class Request(msgspec.Struct, frozen=True, gc=False):
    id: Id
    method: str
    params: dict[str, Any]


class Notification(msgspec.Struct, frozen=True, gc=False):
    method: str
    params: dict[str, Any]


class Response(msgspec.Struct, frozen=True, gc=False):
    id: Id
    result: dict[str, Any]
    encoded: bytes
    """`result` in our own encoding, never the peer's bytes."""


class Error(msgspec.Struct, frozen=True, gc=False):
    id: Id | None
    code: int
    message: str
    data: Any = None


Frame = Request | Notification | Response | Error


def as_id(value: object) -> Id | None:
    """`value` where it is an id. `true` is none, which Python takes for the integer 1."""
    return value if type(value) is str or type(value) is int else None


def read(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Frame:
    """One message. Raises FrameError and nothing else.

    A batch is refused here: only revision 2025-03-26 has them (specification/2025-06-18/changelog.mdx). See `batch`.
    """
    value, canonical = parse(data, limits)
    if type(value) is not dict:
        raise FrameError("a batch is not accepted" if type(value) is list else "not a JSON-RPC message")
    # First what nearly every message is: an answer or a request with the usual members in the usual order.
    members = tuple(value)
    if members == _ANSWER:
        _, id_, result = value.values()
        if type(result) is dict and type(id_) is int and value["jsonrpc"] == "2.0":
            # The result is a slice of what we encoded.
            return Response(id_, result, canonical[len(b'{"jsonrpc":"2.0","id":%d,"result":' % id_) : -1])
    elif members == _REQUEST:
        _, id_, method, params = value.values()
        known = type(id_) is int or type(id_) is str
        if known and type(method) is str and type(params) is dict and value["jsonrpc"] == "2.0":
            return Request(id_, method, params)
    return _read(value)


def _read(value: dict[str, Any]) -> Frame:
    id_: Any = value.get("id")
    known = type(id_) is str or type(id_) is int
    asks = "method" in value
    if value.get("jsonrpc") != "2.0":
        raise FrameError('"jsonrpc" must be "2.0"', id=id_ if known else None, asks=asks)
    if not value.keys() <= _MEMBERS:
        _refuse_odd_case(value, id_ if known else None, asks)
    if asks:
        return _read_call(value, id_, known)
    return _read_answer(value, id_, known)


def _read_call(value: dict[str, Any], id_: Any, known: bool) -> Request | Notification:
    method, params = value["method"], value.get("params", _NO_PARAMS)
    fault_id = id_ if known else None
    if type(method) is not str:
        raise FrameError('"method" must be a string', id=fault_id, asks=True)
    if not json.is_object(params):
        raise FrameError('"params" must be an object', id=fault_id, asks=True)
    if "result" in value or "error" in value:
        raise FrameError("a request carries neither result nor error", id=fault_id, asks=True)
    if known:
        return Request(id_, method, params)
    if "id" in value:
        raise FrameError('"id" must be a string or an integer')
    return Notification(method, params)


def _read_answer(value: dict[str, Any], id_: Any, known: bool) -> Response | Error:
    if ("result" in value) == ("error" in value):
        raise FrameError("neither a request nor an answer", id=id_ if known else None)
    if "result" in value:
        result = value["result"]
        if not known:
            raise FrameError("an answer without the id it answers")
        if not json.is_object(result):
            raise FrameError('"result" must be an object', id=id_)
        return Response(id_, result, json.encode(result))
    if not known and id_ is not None:
        raise FrameError('"id" must be a string or an integer')
    return _read_error(id_, value["error"])


def _read_error(id_: Id | None, raw: Any) -> Error:
    if not json.is_object(raw):
        raise FrameError('"error" must be an object', id=id_)
    error = raw
    code: Any = error.get("code")
    message: Any = error.get("message")
    if type(code) is not int or type(message) is not str:
        raise FrameError("an error needs an integer code and a message", id=id_)
    return Error(id_, code, message, error.get("data"))


def _refuse_odd_case(value: dict[str, Any], id_: Id | None, asks: bool) -> None:
    for key in value.keys() - _MEMBERS:
        # Full folding: Go's encoding/json reads the long s and the Kelvin sign as s and k.
        if key.casefold() in _MEMBERS:
            raise FrameError(f'member names are lower case: "{key.casefold()}"', INVALID_REQUEST, id_, asks=asks)


def _head(id_: Id | None) -> bytes:
    if type(id_) is int:
        return b'{"jsonrpc":"2.0","id":%d' % id_
    return b'{"jsonrpc":"2.0","id":%b' % json.encode(id_)


def write_request(id: Id, method: str, params: Mapping[str, Any]) -> bytes:
    return b'%b,"method":%b,"params":%b}' % (_head(id), json.encode(method), json.encode(params))


def write_request_and(id: int, method: str, params: bytes, member: bytes) -> bytes:
    """As `write_request`, with params in our own encoding and one member more."""
    comma = b"," if len(params) > 2 else b""
    return b'{"jsonrpc":"2.0","id":%d,"method":%b,"params":%b%b%b}}' % (
        id,
        json.encode(method),
        params[:-1],
        comma,
        member,
    )


def write_notification(method: str, params: Mapping[str, Any]) -> bytes:
    return b'{"jsonrpc":"2.0","method":%b,"params":%b}' % (json.encode(method), json.encode(params))


def write_result(id: Id, encoded: bytes) -> bytes:
    """`encoded` is the result in our own encoding."""
    return b"%b%b%b}" % (_head(id), _RESULT, encoded)


def write_result_and(id: Id, member: bytes, encoded: bytes) -> bytes:
    """As `write_result`, with one member more, before the others."""
    if encoded == b"{}":
        return b"%b%b{%b}}" % (_head(id), _RESULT, member)
    # A slice would be a copy, and a list of tools may have hundreds of kilobytes.
    rest = encoded[1:] if len(encoded) < _SHORT_BYTES else memoryview(encoded)[1:]
    return b"%b%b{%b,%b}" % (_head(id), _RESULT, member, rest)


def write_error(id: Id | None, code: int, message: str, data: Any = None) -> bytes:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return b'%b,"error":%b}' % (_head(id), json.encode(error))
