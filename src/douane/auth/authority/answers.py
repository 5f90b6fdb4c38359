"""How the endpoints that programs ask are answered: JSON that no cache keeps. Spec: RFC 6749 §5."""

from collections.abc import Mapping
from typing import Any

from ...wire import json
from ..exchange import HttpResponse
from .client import NotTheClient

__all__ = ["error", "json_answer", "not_the_client"]

_AGAIN_S = 10.0
_HEADERS = (("content-type", "application/json"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff"))


def json_answer(status: int, body: Mapping[str, Any], *more: tuple[str, str]) -> HttpResponse:
    return HttpResponse(status, (*_HEADERS, *more), json.encode(body))


def error(status: int, code: str, reason: str, *more: tuple[str, str], retry_after_s: float = 0.0) -> HttpResponse:
    """`code`: of the registry of OAuth; `reason`: what is wrong, for who wrote the client."""
    if retry_after_s:
        more = (*more, ("retry-after", str(int(retry_after_s) + 1)))
    return json_answer(status, {"error": code, "error_description": f"client: {reason}"}, *more)


def not_the_client(exc: NotTheClient) -> HttpResponse:
    """A program that is told `invalid_client` forgets who it is, so it is not told so of what passes."""
    if exc.passes:
        return error(503, "temporarily_unavailable", str(exc), retry_after_s=_AGAIN_S)
    challenge = [("www-authenticate", 'Basic realm="douane"')] if exc.basic else []
    return error(401, "invalid_client", str(exc), *challenge)
