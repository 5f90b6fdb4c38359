"""A client that logs in: `python logging_in.py https://mcp.example/mcp`, with a browser.

Without one, by $CLIENT_ID, $CLIENT_SECRET and $ISSUER.
"""

import asyncio
import os
import sys
from pathlib import Path

from douane.sdk import CannotConnect, Client, ClientCredentials, OAuth


def auth() -> OAuth | ClientCredentials:
    if "CLIENT_SECRET" in os.environ:
        return ClientCredentials(
            client_id=os.environ["CLIENT_ID"],
            client_secret=os.environ["CLIENT_SECRET"],
            issuer=os.environ["ISSUER"],
        )
    return OAuth(client_name="The docs", store=Path.home() / ".config" / "docs-client" / "logins")


async def main(url: str) -> None:
    try:
        async with Client(url, auth=auth()) as client:
            for tool in await client.tools():
                print(tool["name"])
    except CannotConnect as error:
        sys.exit(str(error))


asyncio.run(main(sys.argv[1]))
