"""A server on the official Python SDK, second major version, over stdio: a part of what `library_py1` has, of each kind."""

from mcp.server.mcpserver import MCPServer
from mcp_types import Completion

server = MCPServer("shelf")


@server.tool()
def shelve(book: str) -> dict[str, str]:
    """Put a book on its shelf."""
    return {"book": book, "shelf": "A"}


@server.resource("library://catalog", name="catalog", mime_type="text/plain")
def catalog() -> str:
    """All books."""
    return "emma"


@server.resource("book://{book}/text", name="text", mime_type="text/plain")
def text(book: str) -> str:
    """The text of a book."""
    return f"the text of {book}"


@server.prompt()
def review(book: str, tone: str = "kind") -> str:
    """Review a book."""
    return f"A {tone} review of {book}"


@server.completion()
async def complete(ref: object, argument: object, context: object) -> Completion:
    return Completion(values=["emma"], has_more=False)


server.run()
