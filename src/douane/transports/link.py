"""The seam every two-way transport stands behind: a line of frames with one peer.

A frame is the bytes of one JSON-RPC message, without a newline at its end. A link carries frames in order,
bounds what it holds, and says once why it closed. It reads nothing inside a frame.
"""

from collections.abc import Callable
from typing import Protocol

__all__ = ["Link", "LinkClosed", "OnClose", "OnFrame"]

OnFrame = Callable[[bytes], None]
"""Called for each frame, in order, on the event loop. Must not block."""
OnClose = Callable[[str], None]
"""Called exactly once, after the last frame, with the reason in words for an operator."""


class LinkClosed(Exception):
    """The peer cannot be reached over this link any more: nothing of the frame was sent."""


class Link(Protocol):
    """A line of frames with one peer, both ways."""

    def start(self, on_frame: OnFrame, on_close: OnClose) -> None:
        """Begin to deliver. Frames that came earlier are delivered first."""
        ...

    def send(self, frame: bytes) -> None:
        """Queue one frame. Raises LinkClosed when the link is closed, or closes it when its buffer is full."""
        ...

    async def aclose(self) -> None:
        """Close and wait until nothing of the link is left (task, descriptor, process). Idempotent."""
        ...
