"""The `Mcp-*` headers of revision 2026-07-28: their values, and that they mirror the body.

Spec: specification/2026-07-28/basic/transports/streamable-http.mdx (request headers, base64 form).
"""

import base64
import binascii
import re

__all__ = ["HeaderError", "decode_value", "encode_value"]

_SENTINEL = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")


class HeaderError(ValueError):
    """A header value that no conforming peer sends."""


def encode_value(text: str) -> bytes:
    """`text` as a header value: as it is where that is safe, else `=?base64?…?=`."""
    if _PLAIN.fullmatch(text) and not _SENTINEL.fullmatch(text):
        return text.encode("ascii")
    return b"=?base64?" + base64.b64encode(text.encode("utf-8")) + b"?="


def decode_value(value: bytes) -> str:
    """The text a header value stands for. Raises HeaderError when it is neither plain nor well-formed base64."""
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        raise HeaderError("a header value must be visible ASCII, or =?base64?…?=") from None
    sealed = _SENTINEL.fullmatch(text)
    if sealed is None:
        if text and not _PLAIN.fullmatch(text):
            raise HeaderError("control characters in a header value")
        return text
    try:
        return base64.b64decode(sealed[1], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise HeaderError("malformed =?base64?…?= value") from None
