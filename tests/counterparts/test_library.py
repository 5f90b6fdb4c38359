"""The library server of the docs, asked by the clients of the official SDKs for all that a server can do."""

import sys
from pathlib import Path
from typing import Any

import pytest

from .commands import CLIENTS, asked, asking

pytestmark = pytest.mark.counterpart

LIBRARY = Path(__file__).parent.parent.parent / "docs" / "examples" / "library.py"
TITLES = {"type": "ref/resource", "uri": "library://books/{title}"}
CALLS: list[dict[str, Any]] = [
    {"name": "find_books", "arguments": {"word": "mm"}},
    {"name": "find_books", "arguments": {"wrd": "mm"}},
    {"name": "add_book", "arguments": {"book": {"title": "Persuasion", "year": 1817}}},
    {"name": "take_stock", "arguments": {"shelves": 2}, "progress": True},
    {"name": "cover", "arguments": {"title": "Emma"}},
    {"name": "borrow", "arguments": {"title": "Emma"}},
    {"method": "resources/read", "uri": "library://books/Emma"},
    {"method": "resources/read", "uri": "library://books/Nobody"},
    {"method": "prompts/get", "name": "review", "arguments": {"title": "Emma", "words": "5"}},
    {"method": "completion/complete", "ref": TITLES, "argument": {"name": "title", "value": "E"}},
]
SPEAKING = [("ts1", None), ("py1", None), ("ts2", "auto"), ("ts2", "legacy"), ("py2", "auto"), ("py2", "legacy")]


@pytest.mark.parametrize(("name", "mode"), SPEAKING)
async def test_every_official_client_gets_all_of_it(name: str, mode: str | None) -> None:
    said = await asked(asking(CLIENTS[name](), stdio=[sys.executable, str(LIBRARY)], calls=CALLS, mode=mode))
    assert said["instructions"] == "Search before you add."
    assert said["capabilities"].keys() == {"tools", "resources", "prompts", "completions", "logging"}
    assert [template["uriTemplate"] for template in said["resourceTemplates"]] == [TITLES["uri"]]
    find, misspelt, add, stock, cover, borrow, page, nobody, review, titles = said["calls"]
    assert find["result"]["structuredContent"] == {"result": [{"title": "Emma", "year": 1815}]}
    assert misspelt["result"]["isError"] is True
    assert "there is no argument 'wrd'" in misspelt["result"]["content"][0]["text"]
    assert add["result"]["content"][0]["text"] == "Persuasion was added."
    assert stock["result"]["structuredContent"] == {"result": 2}
    # The TypeScript SDKs drop progress that comes in one read with the answer.
    assert [step[0] for step in stock["progress"]] in ([1, 2], [1])
    assert [part["type"] for part in cover["result"]["content"]] == ["text", "image"]
    assert borrow["result"]["isError"] is True
    assert page["result"]["contents"][0]["text"] == "Emma, 1815"
    # The newer TypeScript SDK gives its user the newer code in both eras.
    assert nobody["error"]["code"] == (-32602 if mode == "auto" or name == "ts2" else -32002)
    assert review["result"]["messages"][0]["content"]["text"] == "Write 5 words about Emma."
    assert titles["result"]["completion"]["values"] == ["Emma"]
