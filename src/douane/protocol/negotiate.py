"""Which era a server speaks, from its answer to `server/discover`.

Only a DiscoverResult or an error that the newest revision defines means stateless. Anything else it says means
handshake; what says nothing about eras (5xx, 401, 403) is no evidence and decides nothing.
Spec: specification/2026-07-28/basic/transports/stdio.mdx:124-139, streamable-http.mdx:655, basic/versioning.mdx.
"""

from collections.abc import Sequence
from typing import Any, cast

from ..wire.codes import HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION
from ..wire.json import is_object
from ..wire.rpc import Error, Response
from .versions import HANDSHAKE, MODERN, Era

__all__ = ["judge_answer", "judge_status"]

_MODERN_ERRORS = frozenset({HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION})


def judge_answer(answer: Response | Error) -> Era | None:
    """The era of a server that answered the probe so; None when it speaks no revision of ours."""
    if isinstance(answer, Error):
        return _judge_error(answer)
    supported: object = answer.result.get("supportedVersions")
    if not isinstance(supported, list):
        return Era.HANDSHAKE
    return _pick(cast("list[Any]", supported))


def _judge_error(error: Error) -> Era | None:
    if error.code not in _MODERN_ERRORS:
        return Era.HANDSHAKE
    supported: object = error.data.get("supported") if is_object(error.data) else None
    return _pick(cast("list[Any]", supported)) if isinstance(supported, list) else Era.STATELESS


def _pick(supported: Sequence[Any]) -> Era | None:
    if MODERN in supported:
        return Era.STATELESS
    # Some servers answer discover with their handshake revisions only.
    return Era.HANDSHAKE if any(revision in HANDSHAKE for revision in supported) else None


def judge_status(status: int) -> bool:
    """Is an HTTP status with no JSON-RPC body evidence for the handshake era? 401, 403, 429 and 5xx are none."""
    return status in (400, 404, 405, 406, 415, 422)
