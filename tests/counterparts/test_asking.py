"""The café of the docs, which asks: the clients of the official SDKs answer it, in both eras, over every transport."""

import sys
from pathlib import Path
from typing import Any

import pytest

from .commands import CLIENTS, asked, asking, free_port, listening

pytestmark = pytest.mark.counterpart

CAFE = Path(__file__).parent.parent.parent / "docs" / "examples" / "cafe.py"
ANSWERS: dict[str, Any] = {
    "elicitation/create": {"action": "accept", "content": {"name": "Anna", "size": "l", "milk": "oat", "sure": True}},
    "sampling/createMessage": {
        "role": "assistant",
        "model": "poet",
        "content": {"type": "text", "text": "Two lines."},
    },
    "roots/list": {"roots": [{"uri": "file:///home/anna", "name": "home"}]},
}
TOOLS: dict[str, dict[str, Any]] = {
    "order": {"drink": "tea"},
    "order_water": {},
    "pay": {},
    "poem": {},
    "close": {},
}
SAID = {
    "order": "Anna: l tea, milk oat, sugar 0",
    "order_water": "water for Anna",
    "pay": "Thank you, the page knows the rest.",
    "poem": "Two lines.",
    "close": "closed (asked by the door)",
}
CALLS = [{"name": name, "arguments": arguments} for name, arguments in TOOLS.items()]
SPEAKING = [("ts1", None), ("py1", None)] + [(name, mode) for name in ("ts2", "py2") for mode in ("auto", "legacy")]


def texts(said: dict[str, Any]) -> dict[str, str]:
    return {call["name"]: call["result"]["content"][0]["text"] for call in said["calls"] if "result" in call}


def check(said: dict[str, Any]) -> None:
    assert texts(said) == SAID, said
    assert [one["method"] for one in said["asked"]] == [
        "elicitation/create",
        "elicitation/create",
        "elicitation/create",
        "roots/list",
        "sampling/createMessage",
        "elicitation/create",
    ]
    form = said["asked"][0]["params"]["requestedSchema"]
    assert form["properties"]["milk"]["enum"] == ["none", "cow", "oat"]
    assert said["asked"][2]["params"]["url"] == "https://cafe.example/pay/4711"


@pytest.mark.parametrize(("name", "mode"), SPEAKING)
async def test_every_official_client_answers_over_stdio(name: str, mode: str | None) -> None:
    stdio = [sys.executable, str(CAFE)]
    check(await asked(asking(CLIENTS[name](), stdio=stdio, calls=CALLS, mode=mode, answers=ANSWERS)))


@pytest.mark.parametrize(("name", "mode"), SPEAKING)
async def test_every_official_client_answers_over_streamable_http(name: str, mode: str | None) -> None:
    port = free_port()
    async with listening([sys.executable, str(CAFE), "http", str(port)], port):
        url = f"http://127.0.0.1:{port}/mcp"
        check(await asked(asking(CLIENTS[name](), url=url, calls=CALLS, mode=mode, answers=ANSWERS)))


@pytest.mark.parametrize(("name", "mode"), [("ts1", None), ("py1", None), ("ts2", "legacy"), ("py2", "legacy")])
async def test_every_official_client_answers_over_http_sse(name: str, mode: str | None) -> None:
    port = free_port()
    async with listening([sys.executable, str(CAFE), "sse", str(port)], port):
        url = f"http://127.0.0.1:{port}/sse"
        check(await asked(asking(CLIENTS[name](), url=url, calls=CALLS, mode=mode, answers=ANSWERS)))


@pytest.mark.parametrize(("name", "mode"), SPEAKING)
async def test_a_client_that_declares_nothing_is_told_what_is_missing(name: str, mode: str | None) -> None:
    said = await asked(asking(CLIENTS[name](), stdio=[sys.executable, str(CAFE)], calls=CALLS, mode=mode))
    order, _, pay, poem, close = said["calls"]
    assert "asked" not in said
    assert poem["result"]["content"][0]["text"] == "Roses are red."
    for call, missing in ((order, "elicitation.form"), (pay, "elicitation.url"), (close, "elicitation.form")):
        if mode == "auto":
            assert call["error"]["code"] == -32021, call
            kind, part = missing.split(".")
            assert call["error"]["data"] == {"requiredCapabilities": {kind: {part: {}}}}
        else:
            assert call["result"]["isError"] is True
            assert f"has not declared {missing}" in call["result"]["content"][0]["text"]
