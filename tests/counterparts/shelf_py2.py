"""A server on the official Python SDK, second major version, over stdio: the tool, prompt and completion of `library_py1`."""

from mcp.server.mcpserver import MCPServer
from mcp_types import Completion

server = MCPServer("shelf")


@server.tool()
def shelve(book: str) -> dict[str, str]:
    """Put a book on its shelf."""
    return {"book": book, "shelf": "A"}


@server.prompt()
def review(book: str, tone: str = "kind") -> str:
    """Review a book."""
    return f"A {tone} review of {book}"


@server.completion()
async def complete(ref: object, argument: object, context: object) -> Completion:
    return Completion(values=["emma"], has_more=False)


server.run()
