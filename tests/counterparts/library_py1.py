"""A server on the official Python SDK, first major version: every kind of resource, prompt and content, in a fixed order.

    library_py1.py stdio | sse | streamable-http        (over HTTP at $PORT of 127.0.0.1)

It speaks whichever of the handshake revisions it is asked for.
"""

import base64
import os
import sys

from mcp.server.fastmcp import Context, FastMCP
from mcp.server.fastmcp.prompts.base import Message, UserMessage
from mcp.types import (
    AudioContent,
    Completion,
    CompletionArgument,
    CompletionContext,
    EmbeddedResource,
    PromptReference,
    ResourceLink,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

server = FastMCP("library", host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
DOT = bytes.fromhex("89504e470d0a1a0a")
BOOKS = ("emma", "persuasion", "mansfield-park")


@server.tool()
async def shelve(book: str, context: Context) -> dict[str, str]:
    """Put a book on its shelf."""
    await context.report_progress(1, 2, "found")
    return {"book": book, "shelf": "A"}


@server.tool(structured_output=False)
def borrow(book: str) -> list[TextContent | ResourceLink | EmbeddedResource | AudioContent]:
    """A book in every form there is."""
    text = TextResourceContents(uri=f"book://{book}/text", text="It is a truth", mimeType="text/plain")
    return [
        TextContent(type="text", text=book),
        ResourceLink(type="resource_link", uri=f"book://{book}/text", name=book),
        EmbeddedResource(type="resource", resource=text),
        AudioContent(type="audio", data=base64.b64encode(DOT).decode(), mimeType="audio/wav"),
    ]


@server.resource("library://catalog", name="catalog", title="The catalog", mime_type="text/plain")
def catalog() -> str:
    """All books."""
    return "\n".join(BOOKS)


@server.resource("library://stamp", name="stamp", mime_type="image/png")
def stamp() -> bytes:
    """The stamp of the library."""
    return DOT


@server.resource("book://{book}/text", name="text", mime_type="text/plain")
def text(book: str) -> str:
    """The text of a book."""
    return f"the text of {book}"


@server.prompt(title="Review a book")
def review(book: str, tone: str = "kind") -> list[Message]:
    """A review, with the text beside it."""
    resource = TextResourceContents(uri=f"book://{book}/text", text="It is a truth", mimeType="text/plain")
    return [
        UserMessage(f"Review {book}, be {tone}."),
        UserMessage(EmbeddedResource(type="resource", resource=resource)),
    ]


@server.completion()
async def complete(
    ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
) -> Completion:
    return Completion(values=[book for book in BOOKS if book.startswith(argument.value)], hasMore=False)


server.run(sys.argv[1])
