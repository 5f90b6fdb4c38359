"""How the endpoints that programs ask are answered: JSON that no cache keeps. Spec: RFC 6749 §5."""

from collections.abc import Mapping
from typing import Any

from ...wire import json
from ..exchange import HttpResponse

__all__ = ["error", "json_answer"]

_HEADERS = (("content-type", "application/json"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff"))


def json_answer(status: int, body: Mapping[str, Any], *more: tuple[str, str]) -> HttpResponse:
    return HttpResponse(status, (*_HEADERS, *more), json.encode(body))


def error(status: int, code: str, reason: str, *more: tuple[str, str], retry_after_s: float = 0.0) -> HttpResponse:
    """`code`: of the registry of OAuth; `reason`: what is wrong, for who wrote the client."""
    if retry_after_s:
        more = (*more, ("retry-after", str(int(retry_after_s) + 1)))
    return json_answer(status, {"error": code, "error_description": f"client: {reason}"}, *more)
