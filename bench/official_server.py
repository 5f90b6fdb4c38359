"""A server on the official SDK, over HTTP as fast as it offers to be: stateless, plain JSON answers.

python official_server.py http|stdio PORT TOOLS [async]     (over stdio the port means nothing)

Its tool is a plain function, as most are, which the SDK runs in a thread; with `async` it is not, which is cheaper.
"""

import logging
import sys

from mcp.server.mcpserver import MCPServer


def echo(text: str) -> str:
    """Return the text."""
    return text


async def echo_on_the_loop(text: str) -> str:
    """Return the text."""
    return text


def look_up(key: str, limit: int = 1, fields: list[str] | None = None) -> str:
    """Looks a record up in the system behind this server, and returns what it holds."""
    return key


def main() -> None:
    transport, port, tools = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.disable(logging.INFO)
    server = MCPServer("official", log_level="WARNING")
    # An output schema would be more than the others answer.
    server.add_tool(echo_on_the_loop if "async" in sys.argv[4:] else echo, name="echo", structured_output=False)
    for number in range(1, tools):
        server.add_tool(look_up, name=f"record_{number}", structured_output=False)
    if transport == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=port, json_response=True, stateless_http=True)


main()
