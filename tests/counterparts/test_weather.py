"""The weather server of the docs, called by the clients of the official SDKs: every transport, both eras."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import until_ready
from gateway_world import gateway
from weather_api import WeatherApi, weather_api

from .commands import CLIENTS, asked, asking, free_port, listening

pytestmark = pytest.mark.counterpart

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"
OURS, OFFICIAL = EXAMPLES / "weather.py", EXAMPLES / "weather_official.py"
OLDER, MODERN = "2025-11-25", "2026-07-28"
CITIES = "config://weather/supported-cities"
CALLS: list[dict[str, Any]] = [
    {"name": "get_weather", "arguments": {"city": "Oslo", "units": "fahrenheit"}},
    {"name": "get_weather", "arguments": {"city": "Oslo", "units": "kelvin"}},
    {"method": "resources/read", "uri": CITIES},
    {"method": "prompts/get", "name": "weather_report", "arguments": {"city": "Oslo"}},
]
SPEAKING = [("ts1", None, OLDER), ("py1", None, OLDER)] + [
    (name, mode, MODERN if mode == "auto" else OLDER) for name in ("ts2", "py2") for mode in ("auto", "legacy")
]
OSLO = {"city": "Oslo", "temperature": -3.5, "sky": "clear"}


@pytest.fixture
def api() -> Iterator[WeatherApi]:
    with weather_api() as api:
        api.temperature = -3.5
        yield api


def environment(api: WeatherApi) -> dict[str, str]:
    return {**os.environ, "WEATHER_API": api.url}


def check(said: dict[str, Any], api: WeatherApi, revision: str) -> None:
    assert said["protocolVersion"] == revision
    assert [tool["name"] for tool in said["tools"]] == ["get_weather"]
    assert said["tools"][0]["description"] == "The weather in a city, right now."
    assert [resource["uri"] for resource in said["resources"]] == [CITIES]
    assert [prompt["name"] for prompt in said["prompts"]] == ["weather_report"]
    weather, wrong, cities, report = said["calls"]
    assert weather["result"]["structuredContent"] == OSLO
    assert not weather["result"].get("isError")
    assert wrong["result"]["isError"] is True
    assert "Paris" in cities["result"]["contents"][0]["text"]
    assert report["result"]["messages"][0]["content"]["text"].startswith("Get the weather in Oslo")
    assert api.asked == [{"city": "Oslo", "units": "fahrenheit"}]


@pytest.mark.parametrize(("name", "mode", "revision"), SPEAKING)
async def test_every_official_client_asks_it_over_stdio(
    name: str, mode: str | None, revision: str, api: WeatherApi
) -> None:
    # Not every SDK hands its environment to the server it starts.
    stdio = ["env", f"WEATHER_API={api.url}", sys.executable, str(OURS)]
    check(await asked(asking(CLIENTS[name](), stdio=stdio, calls=CALLS, mode=mode)), api, revision)


@pytest.mark.parametrize(("name", "mode", "revision"), SPEAKING)
async def test_every_official_client_asks_it_over_streamable_http(
    name: str, mode: str | None, revision: str, api: WeatherApi
) -> None:
    port = free_port()
    async with listening([sys.executable, str(OURS), "http"], port, env=environment(api)):
        url = f"http://127.0.0.1:{port}/mcp"
        check(await asked(asking(CLIENTS[name](), url=url, calls=CALLS, mode=mode)), api, revision)


@pytest.mark.parametrize(("name", "mode"), [("ts1", None), ("py1", None), ("ts2", "legacy"), ("py2", "legacy")])
async def test_every_official_client_asks_it_over_http_sse(name: str, mode: str | None, api: WeatherApi) -> None:
    port = free_port()
    async with listening([sys.executable, str(OURS), "sse"], port, env=environment(api)):
        url = f"http://127.0.0.1:{port}/sse"
        check(await asked(asking(CLIENTS[name](), url=url, calls=CALLS, mode=mode)), api, OLDER)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_same_program_on_the_official_sdk_passes_the_gateway_unchanged(
    mode: str, api: WeatherApi, tmp_path: Path
) -> None:
    upstream = {
        "command": [sys.executable, str(OFFICIAL)],
        "prefix": "",
        "env": {"WEATHER_API": api.url},
        "reads": {"tools": ["*"], "resources": ["*"], "prompts": ["*"]},
    }
    async with gateway(tmp_path, {"weather": upstream}) as running:
        await until_ready(running)
        url = f"http://127.0.0.1:{running.port}/mcp"
        line = asking(CLIENTS["py2"](), url=url, token=running.token, calls=CALLS, mode=mode)
        check(await asked(line), api, MODERN if mode == "auto" else OLDER)


async def test_with_its_import_changed_the_official_program_runs_on_ours(api: WeatherApi, tmp_path: Path) -> None:
    line = "from mcp.server.mcpserver import MCPServer  # on ours: "
    program = OFFICIAL.read_text()
    assert line in program
    (tmp_path / "weather.py").write_text(program.replace(line, ""))
    stdio = ["env", f"WEATHER_API={api.url}", sys.executable, str(tmp_path / "weather.py")]
    check(await asked(asking(CLIENTS["py2"](), stdio=stdio, calls=CALLS)), api, MODERN)


def test_it_is_about_as_short_as_the_docs_say() -> None:
    body = OURS.read_text().partition("server = Server")[2]
    assert len([line for line in body.splitlines() if line.strip()]) <= 22


def test_it_says_where_it_serves_and_ends_when_it_is_told_to(api: WeatherApi) -> None:
    with subprocess.Popen(
        [sys.executable, str(OURS), "http"],
        env={**environment(api), "PORT": "0"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("serving at http://127.0.0.1:")
        process.terminate()
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
