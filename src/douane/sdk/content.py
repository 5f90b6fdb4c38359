"""What tools, prompts and resources return when plain values do not say enough: pictures, sound, links, messages.

Spec: specification/2026-07-28/server/tools.mdx (tool result), server/prompts.mdx, schema.ts (ContentBlock).
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

__all__ = ["Audio", "Content", "Embedded", "Image", "Link", "Message", "Result", "ResultFault", "Text", "as_content"]


class ResultFault(Exception):
    """The function returned what it did not promise, or what JSON cannot hold. The text is for its author."""


class Text(msgspec.Struct, frozen=True, tag_field="type", tag="text", omit_defaults=True):
    text: str
    annotations: Mapping[str, Any] | None = None


class Image(
    msgspec.Struct, frozen=True, tag_field="type", tag="image", rename={"mime": "mimeType"}, omit_defaults=True
):
    data: bytes
    mime: str
    """For example `image/png`."""
    annotations: Mapping[str, Any] | None = None


class Audio(
    msgspec.Struct, frozen=True, tag_field="type", tag="audio", rename={"mime": "mimeType"}, omit_defaults=True
):
    data: bytes
    mime: str
    annotations: Mapping[str, Any] | None = None


class Link(
    msgspec.Struct, frozen=True, tag_field="type", tag="resource_link", rename={"mime": "mimeType"}, omit_defaults=True
):
    """A resource the caller may read."""

    uri: str
    name: str
    description: str | None = None
    mime: str | None = None


class Embedded(msgspec.Struct, frozen=True):
    """A resource, brought along. Bytes are sent as base64."""

    uri: str
    content: str | bytes
    mime: str | None = None


Content = Text | Image | Audio | Link | Embedded
CONTENT_TYPES: tuple[type, ...] = (Text, Image, Audio, Link, Embedded)


class Message(msgspec.Struct, frozen=True):
    """One message of a prompt."""

    content: str | Content
    role: Literal["user", "assistant"] = "user"


class Result(msgspec.Struct, frozen=True):
    """A tool's whole result, said by hand: content, structured content, or an error the model should read."""

    content: Sequence[Content | str] = ()
    structured: Any = None
    is_error: bool = False


def as_content(part: Content | str) -> dict[str, Any]:
    """A part as the protocol writes it. Raises ResultFault."""
    if isinstance(part, str):
        return {"type": "text", "text": as_text(part)}
    if isinstance(part, Embedded):
        return {"type": "resource", "resource": contents_of(part.uri, part.content, part.mime)}
    made = msgspec.to_builtins(part)
    check_sayable(made)
    return made


def contents_of(uri: str, content: str | bytes, mime: str | None) -> dict[str, Any]:
    """What a resource holds, as the protocol writes it. Raises ResultFault."""
    made: dict[str, Any] = {"uri": as_text(uri)}
    if mime is not None:
        made["mimeType"] = as_text(mime)
    if isinstance(content, str):
        return {**made, "text": as_text(content)}
    return {**made, "blob": base64.b64encode(content).decode()}


def as_text(text: str) -> str:
    """The text, which nearly always can be sent. Raises ResultFault where it cannot."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            half = f"{text[exc.start]!r}, which is half of a pair and no character"
            raise ResultFault(f"returned text with {half}; decode bytes with errors='replace'") from None
    return text


def check_sayable(value: Any) -> None:
    """Raises ResultFault for what Python can hold and JSON cannot: text with halves of pairs, numbers that are none."""
    if type(value) is str:
        as_text(value)
    # msgspec writes null for them.
    elif type(value) is float and (value != value or value in (float("inf"), float("-inf"))):
        raise ResultFault(f"returned what cannot be written as JSON: {value} is not a number in JSON")
    elif isinstance(value, Mapping):
        for key, one in cast("Mapping[str, Any]", value).items():
            as_text(key)
            check_sayable(one)
    elif isinstance(value, list | tuple):
        for one in cast("list[Any]", value):
            check_sayable(one)
