"""A first client: `python first_client.py "python weather.py"`, or `python first_client.py http://127.0.0.1:8000/mcp`."""

import asyncio
import os
import sys

from douane.sdk import Client, Reaching, ServerError


async def main(server: str) -> None:
    # A command finds nothing of our environment but what it is given here.
    how = Reaching(env={"WEATHER_API": os.environ.get("WEATHER_API", "https://weather.example")})
    async with Client(server, how=how) as client:
        for tool in await client.tools():
            print(tool["name"], "-", tool["description"])
        answer = await client.call("get_weather", {"city": "Oslo"}, deadline_s=10)
        print(answer.structured if not answer.is_error else answer.text)
        try:
            await client.call("get_wether")
        except ServerError as error:
            print(error.code, error)


asyncio.run(main(sys.argv[1]))
