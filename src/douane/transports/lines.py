"""Frames out of a byte stream: one per line, `\\n` or `\\r\\n`.

Pure: bytes in, frames out. It holds at most one unfinished line of the cap's length, takes time in proportion
to the bytes however they are cut, and reads nothing inside a line.

Spec: basic/transports/stdio.mdx, messages are delimited by newlines and hold none.
"""

__all__ = ["DEFAULT_MAX_FRAME_BYTES", "Lines"]

DEFAULT_MAX_FRAME_BYTES = 4 * 1024 * 1024
"""A tool result with an inlined image of 3 MB passes; a server that never ends its line does not."""


class Lines:
    """An incremental splitter. Any cutting of the same bytes gives the same frames."""

    __slots__ = ("_max_frame_bytes", "_unfinished", "overlong")

    def __init__(self, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> None:
        if max_frame_bytes < 1:
            raise ValueError("max_frame_bytes must be at least 1")
        self._max_frame_bytes = max_frame_bytes
        # A bytearray grows in place: a list of the pieces would cost 40 bytes for each one-byte read.
        self._unfinished = bytearray()
        self.overlong = False
        """A line went over the cap. The stream has lost its framing for good: nothing more comes out."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the frames they complete. Empty lines are not frames.

        Frames before an overlong line are still returned; look at `overlong` afterwards.
        """
        if self.overlong:
            return []
        pieces = data.split(b"\n")
        rest = pieces.pop()
        if pieces and self._unfinished:
            self._unfinished += pieces[0]
            pieces[0] = bytes(self._unfinished)
            self._unfinished.clear()
        frames: list[bytes] = []
        for piece in pieces:
            frame = piece[:-1] if piece.endswith(b"\r") else piece
            if len(frame) > self._max_frame_bytes:
                self._give_up()
                return frames
            if frame:
                frames.append(frame)
        self._unfinished += rest
        # A carriage return at the very end may yet prove to belong to the line's end.
        if len(self._unfinished) - self._unfinished.endswith(b"\r") > self._max_frame_bytes:
            self._give_up()
        return frames

    def _give_up(self) -> None:
        self.overlong = True
        self._unfinished = bytearray()
