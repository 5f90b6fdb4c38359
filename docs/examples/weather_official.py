"""The weather server on the official SDK. With the import changed as it says, it is one on ours."""

import json
import os
import sys
from typing import Literal
from urllib.request import urlopen

from mcp.server.mcpserver import MCPServer  # on ours: from douane.sdk import Server as MCPServer

API = os.environ.get("WEATHER_API", "https://weather.example")
mcp = MCPServer("weather", version="1.0")


@mcp.tool()
def get_weather(city: str, units: Literal["celsius", "fahrenheit"] = "celsius") -> dict[str, str | float]:
    """The weather in a city, right now."""
    with urlopen(f"{API}/now?city={city}&units={units}", timeout=10) as answer:
        return json.load(answer)


@mcp.resource("config://weather/supported-cities")
def supported_cities() -> str:
    """The cities there is weather for."""
    return "Paris, Oslo, Nairobi"


@mcp.prompt()
def weather_report(city: str) -> str:
    """A weather report for a city."""
    return f"Get the weather in {city} and write a report of three sentences for the local radio."


if __name__ == "__main__":
    mcp.run(*sys.argv[1:])
