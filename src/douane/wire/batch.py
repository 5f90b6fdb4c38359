"""JSON-RPC batches: several messages in one array. Whether a peer may send one is for its revision to say.

The whole array is held to the limits of one message. Its messages are written anew and then read like any that came
alone, so that there is one reader. An empty array, or one of too many messages, is refused whole; an element that is no
message is refused by itself (JSON-RPC 2.0 §6).
"""

from collections.abc import Sequence
from typing import Any, cast

from .json import DEFAULT_LIMITS, FrameError, Limits, encode, is_object, parse

__all__ = ["MAX_MESSAGES", "is_batch", "split", "write_batch"]

MAX_MESSAGES = 100
"""Each may be a call of a tool, and all of them run at once. geth takes 1000 of its own, which are small."""
_NO_MESSAGE = b"null"


def is_batch(data: bytes) -> bool:
    """Does `data` begin as an array does?"""
    return data.lstrip(b" \t\r\n")[:1] == b"["


def split(data: bytes, limits: Limits = DEFAULT_LIMITS) -> list[bytes]:
    """The messages of a batch, each in our own encoding. Raises FrameError."""
    value, _ = parse(data, limits)
    if not isinstance(value, list):
        raise FrameError("not a batch")
    items = cast("list[Any]", value)
    if not items:
        raise FrameError("a batch holds at least one message")
    if len(items) > MAX_MESSAGES:
        raise FrameError(f"a batch holds at most {MAX_MESSAGES} messages")
    # An array within would be a batch of its own.
    return [encode(item) if is_object(item) else _NO_MESSAGE for item in items]


def write_batch(frames: Sequence[bytes]) -> bytes:
    """`frames`, which are our own, as one."""
    return b"[%b]" % b",".join(frames)
