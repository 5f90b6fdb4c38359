"""Tests of the weather server: in memory, without a model and without a network. Run `pytest test_weather.py`."""

import io

import pytest
import weather
from weather import server

from douane.sdk.testing import fixture

client = fixture(server)


@pytest.fixture(autouse=True)
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b'{"city": "Oslo", "temperature": -3.5, "sky": "clear"}'
    monkeypatch.setattr(weather, "urlopen", lambda url, timeout: io.BytesIO(answer))


def test_oslo_is_cold(client):
    assert client.call("get_weather", {"city": "Oslo"}).structured["temperature"] < 0


def test_a_city_nobody_knows_is_an_error_the_model_can_read(client):
    answer = client.call("get_weather", {"city": "Atlantis"})
    assert answer.is_error
    assert "Nairobi, Oslo, Paris" in answer.text


def test_the_cities_can_be_read(client):
    assert "Nairobi" in client.read("config://weather/supported-cities")[0]["text"]


def test_the_report_is_about_the_city(client):
    assert "Oslo" in client.prompt("weather_report", {"city": "Oslo"})[0]["content"]["text"]
