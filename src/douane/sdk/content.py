"""What tools, prompts and resources return when plain values do not say enough: pictures, sound, links, messages.

Spec: specification/2026-07-28/server/tools.mdx (tool result), server/prompts.mdx, schema.ts (ContentBlock).
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

__all__ = ["Audio", "Content", "Embedded", "Image", "Link", "Message", "Result", "Text", "as_content"]


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
    """A part as the protocol writes it."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, Embedded):
        return {"type": "resource", "resource": contents_of(part.uri, part.content, part.mime)}
    return msgspec.to_builtins(part)


def contents_of(uri: str, content: str | bytes, mime: str | None) -> dict[str, Any]:
    """What a resource holds, as the protocol writes it."""
    made: dict[str, Any] = {"uri": uri}
    if mime is not None:
        made["mimeType"] = mime
    if isinstance(content, str):
        return {**made, "text": content}
    return {**made, "blob": base64.b64encode(content).decode()}
