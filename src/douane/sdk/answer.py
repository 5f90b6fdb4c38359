"""What a server answers, as a program meets it."""

from typing import Any, cast

import msgspec

from ..protocol.call import JSON
from ..wire.codes import UPSTREAM_UNAVAILABLE
from ..wire.json import is_object

__all__ = ["Answer", "ServerError", "answer_of", "objects_of"]


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
        return "\n".join(str(part.get("text")) for part in self.content if part.get("type") == "text")


def answer_of(result: JSON) -> Answer:
    """Raises ServerError for a result that is none."""
    content = objects_of(result, "content") if "content" in result else ()
    return Answer(tuple(content), result.get("structuredContent"), result.get("isError") is True)


def objects_of(result: JSON, member: str) -> "list[dict[str, Any]]":
    """The objects that a result lists. Raises ServerError where it does not."""
    found: object = result.get(member)
    if not isinstance(found, list) or not all(is_object(one) for one in cast("list[object]", found)):
        raise ServerError(UPSTREAM_UNAVAILABLE, f"server: answers without a list of {member}")
    return cast("list[dict[str, Any]]", found)
