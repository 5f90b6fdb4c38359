"""What the other tests show in some cells only, in all four: a client of each era, and a real server of each."""

import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from counterparts.commands import library_server
from gateway_clients import HttpClient, http, until_ready
from gateway_world import Gateway, gateway

pytestmark = [pytest.mark.counterpart, pytest.mark.asyncio(loop_scope="module")]

SHELF = Path(__file__).parent.parent / "counterparts" / "shelf_py2.py"
READS = {"tools": ["*"], "resources": ["*"], "prompts": ["*"]}
BACKS = {
    "handshake": ("2025-11-25", lambda: library_server("stdio")),
    "newest": ("2026-07-28", lambda: [sys.executable, str(SHELF)]),
}
CELLS = [f"{front}-{back}" for back in BACKS for front in BACKS]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gates(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Gateway]]:
    homes = {back: tmp_path_factory.mktemp(back) for back in BACKS}
    async with before(homes["handshake"], "handshake") as old, before(homes["newest"], "newest") as new:
        yield {"handshake": old, "newest": new}


@asynccontextmanager
async def before(home: Path, back: str) -> AsyncGenerator[Gateway]:
    """A gateway that speaks this era with its upstream."""
    revision, command = BACKS[back]
    async with gateway(home, {"s": {"command": command(), "reads": READS}}) as running:
        await until_ready(running)
        assert f"upstream s is up ({revision})" in "\n".join(running.log)
        yield running


@pytest_asyncio.fixture(loop_scope="module", params=CELLS)
async def cell(request: pytest.FixtureRequest, gates: dict[str, Gateway]) -> AsyncIterator[HttpClient]:
    """A client in that cell."""
    front, back = request.param.split("-")
    async with http(gates[back]) as client:
        if front == "handshake":
            await client.greet("2025-11-25")
        yield client


@pytest.fixture
def newest(request: pytest.FixtureRequest) -> bool:
    """Whether the client is of the newest era."""
    return request.node.callspec.params["cell"].startswith("newest")


async def test_every_list_has_what_the_server_has(cell: HttpClient) -> None:
    tools = (await cell.ask("tools/list"))["result"]["tools"]
    prompts = (await cell.ask("prompts/list"))["result"]["prompts"]
    assert "s_shelve" in {tool["name"] for tool in tools}
    assert [prompt["name"] for prompt in prompts] == ["s_review"]


async def test_a_tool_is_called_and_its_structured_result_comes_back(cell: HttpClient) -> None:
    result = (await cell.call("s_shelve", book="emma"))["result"]
    assert result["structuredContent"] == {"book": "emma", "shelf": "A"}


async def test_an_unknown_tool_is_an_error_of_the_protocol(cell: HttpClient) -> None:
    assert (await cell.call("s_nothing"))["error"]["code"] == -32602


async def test_a_completion_comes_from_the_server(cell: HttpClient) -> None:
    asked: Any = {"ref": {"type": "ref/prompt", "name": "s_review"}, "argument": {"name": "book", "value": "e"}}
    assert (await cell.ask("completion/complete", asked))["result"]["completion"]["values"] == ["emma"]


async def test_hints_for_caches_are_said_to_the_newest_alone(cell: HttpClient, newest: bool) -> None:
    result = (await cell.ask("tools/list"))["result"]
    assert ("ttlMs" in result, "cacheScope" in result) == (newest, newest)


async def test_a_ping_is_answered_where_it_exists(cell: HttpClient, newest: bool) -> None:
    answer = await cell.ask("ping")
    assert (answer["error"]["code"] == -32601) if newest else (answer["result"] == {})
