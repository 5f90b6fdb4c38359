"""Error codes of JSON-RPC and of MCP, and the HTTP status each is answered with.

Spec: JSON-RPC 2.0 §5.1; specification/2026-07-28/basic/index.mdx (error codes), basic/transports/streamable-http.mdx
(status). Our own codes lie outside -32768..-32000, as basic/index.mdx asks of implementations.
"""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

RESOURCE_NOT_FOUND = -32002
"""Handshake era only. Accepted from a peer, never sent on a 2026-07-28 exchange."""
URL_ELICITATION_REQUIRED = -32042
"""2025-11-25 only. Accepted from a peer, never sent on a 2026-07-28 exchange."""
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022

POLICY_DENIED = 1403
"""A rule, or the lack of one, says no."""
UPSTREAM_UNAVAILABLE = 1502
"""The upstream is down, starting, or broke the protocol."""
AUDIT_UNAVAILABLE = 1503
"""The audit log cannot be written, so nothing is dispatched; or it was, and cannot be recorded."""
DEADLINE_EXCEEDED = 1504
CANCELLED = 1499

_STATUS = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    METHOD_NOT_FOUND: 404,
    HEADER_MISMATCH: 400,
    MISSING_CAPABILITY: 400,
    UNSUPPORTED_VERSION: 400,
}


def http_status(code: int) -> int:
    """The status of a 2026-07-28 answer that carries `code`: 200 unless the table says otherwise."""
    return _STATUS.get(code, 200)
