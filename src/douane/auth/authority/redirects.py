"""Where a browser may be sent with a code: what a client may register, and what it may then ask for.

Compared as strings. Only the port of a loopback address is free, because a native client takes whichever is.
Spec: RFC 9700 §2.1; RFC 8252 §7.3, §8.4; specification/2026-07-28/basic/authorization/security-considerations.mdx.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

__all__ = ["host_of", "is_loopback", "registered_for", "registrable"]

_MAX_CHARS = 2048
_PLAIN = re.compile(r"[!#-;=?-\[\]_a-z~]+")
"""What a URI is written with: no space, quote, backslash, angle bracket, control or letter beyond ASCII."""
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::([0-9]{1,5}))?((?:/[^#]*)?)")
_HTTPS = re.compile(r"https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::([0-9]{1,5}))?/[^#]*")


def registrable(uri: str) -> bool:
    """https with a path, or http on this machine. In lower case up to the path, so that nothing has two spellings."""
    if len(uri) > _MAX_CHARS or not _PLAIN.fullmatch(uri):
        return False
    found = _HTTPS.fullmatch(uri)
    return is_loopback(uri) or (found is not None and int(found[1] or 443) < 65_536)


def is_loopback(uri: str) -> bool:
    """Whoever runs a program on the user's machine can listen there."""
    found = _LOOPBACK.fullmatch(uri)
    return found is not None and int(found[2] or 80) < 65_536


def registered_for(asked: str, registered: Iterable[str]) -> bool:
    """Whether a client that has registered these may be answered at `asked`."""
    if not registrable(asked):
        return False
    return any(asked == one or _portless(asked) == _portless(one) != "" for one in registered)


def host_of(uri: str) -> str:
    """Host and port, as people are shown them."""
    return urlsplit(uri).netloc


def _portless(uri: str) -> str:
    found = _LOOPBACK.fullmatch(uri)
    return "" if found is None else f"{found[1]}{found[3]}"
