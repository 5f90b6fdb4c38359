"""A weather server: `python weather.py` on standard input and output, `python weather.py http` at a port."""

import json
import os
import sys
from typing import Literal, TypedDict
from urllib.request import urlopen

from douane.sdk import Server

API = os.environ.get("WEATHER_API", "https://weather.example")
CITIES = {"Paris": "FR", "Oslo": "NO", "Nairobi": "KE"}
server = Server("weather", "1.0")


class Weather(TypedDict):
    city: str
    temperature: float
    sky: str


@server.tool(reads=True)
def get_weather(
    city: Literal["Paris", "Oslo", "Nairobi"], units: Literal["celsius", "fahrenheit"] = "celsius"
) -> Weather:
    """The weather in a city, right now."""
    with urlopen(f"{API}/now?city={city}&units={units}", timeout=10) as answer:
        return json.load(answer)


@server.resource("config://weather/supported-cities")
def supported_cities() -> dict[str, str]:
    """The cities there is weather for, each with its country."""
    return CITIES


@server.prompt()
def weather_report(city: str) -> str:
    """A weather report for a city."""
    return f"Get the weather in {city} and write a report of three sentences for the local radio."


if __name__ == "__main__":
    server.run(*sys.argv[1:], port=int(os.environ.get("PORT", "8000")))
