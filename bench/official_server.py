"""A server on the official SDK, as fast as it offers to be: Streamable HTTP, stateless, plain JSON answers.

python official_server.py PORT TOOLS
"""

import logging
import sys

from mcp.server.mcpserver import MCPServer


def echo(text: str) -> str:
    """Return the text."""
    return text


def look_up(key: str, limit: int = 1, fields: list[str] | None = None) -> str:
    """Looks a record up in the system behind this server, and returns what it holds."""
    return key


def main() -> None:
    port, tools = int(sys.argv[1]), int(sys.argv[2])
    logging.disable(logging.INFO)
    server = MCPServer("official", log_level="WARNING")
    # An output schema would be more than the others answer.
    server.add_tool(echo, structured_output=False)
    for number in range(1, tools):
        server.add_tool(look_up, name=f"record_{number}", structured_output=False)
    server.run("streamable-http", host="127.0.0.1", port=port, json_response=True, stateless_http=True)


main()
