"""A server on our SDK, with what `official_server.py … async` offers.

python own_server.py http|stdio PORT TOOLS     (over stdio the port means nothing)
"""

import sys

from douane.sdk import Server

server = Server("own")


@server.tool()
async def echo(text: str):
    """Return the text."""
    return text


async def look_up(key: str, limit: int = 1, fields: list[str] | None = None):
    """Looks a record up in the system behind this server, and returns what it holds."""
    return key


for number in range(1, int(sys.argv[3])):
    server.tool(f"record_{number}")(look_up)
server.run(sys.argv[1], port=int(sys.argv[2]))
