"""A client that answers: `python answering_client.py "python cafe.py stdio"`. The guest is you, on this terminal."""

import asyncio
import sys
from typing import Any

from douane.sdk import Client


async def fill_in(message: str, schema: Any) -> Any:
    print(message)
    said = {name: await ask(field.get("description", name)) for name, field in schema["properties"].items()}
    # What was left empty is the server's to choose; nothing at all means no.
    return {name: text for name, text in said.items() if text} or "decline"


async def visit(message: str, url: str) -> Any:
    print(f"{message}: {url}")
    return "accept" if await ask("Have you been there?") == "yes" else "decline"


async def ask(question: str) -> str:
    return (await asyncio.to_thread(input, f"{question} ")).strip()


async def main(server: str) -> None:
    async with Client(server, elicit=fill_in, elicit_url=visit, roots=["."]) as client:
        print((await client.call("order", {"drink": "tea"})).text)
        print((await client.call("pay")).text)


asyncio.run(main(sys.argv[1]))
