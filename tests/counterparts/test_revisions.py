"""Every revision through every door, and from every transport behind: resources, prompts and completion included.

The client is the official Python SDK told to ask for an older revision; the server is built on it, too.
"""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateway_clients import OLDER, HttpClient, TwoWay, http, sse, stdio, text_of, tool, until_ready
from gateway_world import Gateway, World, gateway

from .commands import CLIENTS, Failed, asked, asking, free_port, library_server, listening

pytestmark = [pytest.mark.counterpart, pytest.mark.asyncio(loop_scope="module")]

OLD, BATCHING, JUNE, MODERN = "2024-11-05", "2025-03-26", "2025-06-18", "2026-07-28"
REVISIONS = (OLD, BATCHING, JUNE, OLDER)
TRANSPORTS = ("stdio", "streamable-http", "sse")
READS = {"tools": ["*"], "resources": ["*"], "prompts": ["*"]}
CALLS: list[dict[str, Any]] = [
    {"name": "library_shelve", "arguments": {"book": "emma"}, "progress": True},
    {"name": "library_borrow", "arguments": {"book": "emma"}},
    {"method": "resources/read", "uri": "library://catalog"},
    {"method": "resources/read", "uri": "library://stamp"},
    {"method": "resources/read", "uri": "book://emma/text"},
    {"method": "resources/read", "uri": "nothing://here"},
    {"method": "prompts/get", "name": "library_review", "arguments": {"book": "emma", "tone": "stern"}},
    {
        "method": "completion/complete",
        "ref": {"type": "ref/prompt", "name": "library_review"},
        "argument": {"name": "book", "value": "e"},
    },
    {
        "method": "completion/complete",
        "ref": {"type": "ref/resource", "uri": "book://{book}/text"},
        "argument": {"name": "book", "value": "p"},
    },
]


@asynccontextmanager
async def before(home: Path, transport: str) -> AsyncIterator[Gateway]:
    """A gateway before the library, which it reaches by `transport`."""
    async with AsyncExitStack() as stack:
        if transport == "stdio":
            upstream: dict[str, Any] = {"command": library_server("stdio"), "reads": READS}
            running = await stack.enter_async_context(gateway(home, {"library": upstream}))
        else:
            port = free_port()
            await stack.enter_async_context(listening(library_server(transport), port))
            url = f"http://127.0.0.1:{port}/{'sse' if transport == 'sse' else 'mcp'}"
            running = await stack.enter_async_context(by_url(home, url))
        await until_ready(running)
        yield running


@asynccontextmanager
async def by_url(home: Path, url: str) -> AsyncIterator[Gateway]:
    world = World(home, {})
    world.config.write_text(json.dumps({"upstreams": {"library": {"url": url, "reads": READS}}}))
    running = await world.up()
    try:
        yield running
        assert await running.stop() == 0, running.log[-20:]
        assert running.complaints() == []
    finally:
        await running.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=TRANSPORTS)
async def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with before(tmp_path_factory.mktemp(request.param), request.param) as gate:
        yield gate


def where(gate: Gateway, door: str) -> dict[str, Any]:
    if door == "stdio":
        return {"stdio": [sys.executable, "-m", "douane", "stdio", "--config", str(gate.world.config)]}
    path = "sse" if door == "sse" else "mcp"
    return {"url": f"http://127.0.0.1:{gate.port}/{path}", "token": gate.token}


@pytest.mark.parametrize("door", ["http", "stdio", "sse"])
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_client_of_every_revision_gets_everything_through_every_door(
    revision: str, door: str, running: Gateway
) -> None:
    line = asking(CLIENTS["py1"](), calls=CALLS, mode=revision, **where(running, door))
    check(await asked(line, env=running.world.env), revision)


def check(said: dict[str, Any], revision: str) -> None:
    assert "error" not in said, said
    assert said["protocolVersion"] == revision
    titled = revision >= JUNE
    assert [tool["name"] for tool in said["tools"]] == ["library_shelve", "library_borrow"]
    assert ("outputSchema" in said["tools"][0]) is titled
    assert [resource["uri"] for resource in said["resources"]] == ["library://catalog", "library://stamp"]
    assert said["resources"][0].get("title") == ("The catalog" if titled else None)
    assert [template["uriTemplate"] for template in said["resourceTemplates"]] == ["book://{book}/text"]
    (prompt,) = said["prompts"]
    assert (prompt["name"], prompt.get("title")) == ("library_review", "Review a book" if titled else None)
    assert [argument["name"] for argument in prompt["arguments"]] == ["book", "tone"]
    assert ("completions" in said["capabilities"]) is (revision > OLD)
    shelved, borrowed, catalog, stamp, text, nothing, review, by_prompt, by_template = said["calls"]
    assert json.loads(shelved["result"]["content"][0]["text"]) == {"book": "emma", "shelf": "A"}
    assert ("structuredContent" in shelved["result"]) is titled
    assert shelved["progress"] == [[1.0, 2.0, None if revision == OLD else "found"]]
    kinds = [part["type"] for part in borrowed["result"]["content"]]
    assert kinds == [
        "text",
        "resource_link" if titled else "text",
        "resource",
        "text" if revision == OLD else "audio",
    ]
    assert catalog["result"]["contents"][0]["text"].splitlines() == ["emma", "persuasion", "mansfield-park"]
    assert base64.b64decode(stamp["result"]["contents"][0]["blob"])[:4] == b"\x89PNG"
    assert text["result"]["contents"][0]["text"] == "the text of emma"
    assert nothing["error"]["code"] == -32002
    told, embedded = (message["content"] for message in review["result"]["messages"])
    assert told["text"] == "Review emma, be stern."
    assert embedded["resource"]["uri"] == "book://emma/text"
    assert by_prompt["result"]["completion"]["values"] == ["emma"]
    assert by_template["result"]["completion"]["values"] == ["persuasion"]


async def test_every_list_is_the_same_for_every_revision_and_at_every_time(running: Gateway) -> None:
    async def names(client: HttpClient | TwoWay) -> list[Any]:
        found: list[Any] = []
        for method, member, key in (
            ("tools/list", "tools", "name"),
            ("prompts/list", "prompts", "name"),
            ("resources/list", "resources", "uri"),
            ("resources/templates/list", "resourceTemplates", "uriTemplate"),
        ):
            found.append([item[key] for item in (await client.ask(method))["result"][member]])
        return found

    seen: list[list[Any]] = []
    for revision in (*REVISIONS, MODERN):
        async with http(running) as client, stdio(running.world) as line, sse(running) as stream:
            for one in (client, line, stream):
                if revision != MODERN:
                    assert (await one.greet(revision))["protocolVersion"] == revision
                seen += [await names(one), await names(one)]
    assert all(found == seen[0] for found in seen)


async def test_an_upstream_over_http_sse_that_ends_is_asked_again_and_its_open_call_fails_once(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/sse"
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        await first.enter_async_context(listening(library_server("sse"), port))
        gate = await stack.enter_async_context(by_url(tmp_path, url))
        await until_ready(gate)
        async with http(gate) as client:
            assert "emma" in text_of(await client.ask("tools/call", tool("library_shelve", {"book": "emma"})))
        await first.aclose()
        async with http(gate) as client:
            refused = await client.ask("tools/call", tool("library_shelve", {"book": "emma"}))
            assert "error" in refused
        await stack.enter_async_context(listening(library_server("sse"), port))
        for _ in range(100):
            async with http(gate) as client:
                answer = await client.ask("tools/call", tool("library_shelve", {"book": "emma"}))
            if "result" in answer:
                break
            await asyncio.sleep(0.1)
        assert "emma" in text_of(answer)


CLIENTS_OF_SSE: Sequence[tuple[str, str | None]] = (("ts1", None), ("py1", None), ("ts2", "legacy"), ("py2", "legacy"))


@pytest.mark.parametrize(("name", "mode"), CLIENTS_OF_SSE)
async def test_every_official_client_is_turned_away_at_the_stream_without_a_token(
    name: str, mode: str | None, running: Gateway
) -> None:
    url = f"http://127.0.0.1:{running.port}/sse"
    try:
        said = await asked(asking(CLIENTS[name](), url=url, token="wrong", mode=mode), timeout_s=20.0)
    except Failed:
        pytest.fail("it neither connected nor gave up")
    assert "401" in json.dumps(said["error"])
    assert "tools" not in said
