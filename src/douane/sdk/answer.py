"""What a server answers, as a program meets it."""

from typing import Any

import msgspec

from ..protocol.call import JSON

__all__ = ["Answer", "ServerError", "answer_of"]


class ServerError(Exception):
    """The server, or the way to it, said no. `code` is the JSON-RPC error code."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.data = code, data


class Answer(msgspec.Struct, frozen=True):
    """What a tool answered. A tool that failed has answered too: look at `is_error`."""

    content: tuple[JSON, ...]
    structured: Any = None
    is_error: bool = False

    @property
    def text(self) -> str:
        """All its text, line by line."""
        return "\n".join(part["text"] for part in self.content if part.get("type") == "text")


def answer_of(result: JSON) -> Answer:
    return Answer(tuple(result.get("content", ())), result.get("structuredContent"), result.get("isError") is True)
