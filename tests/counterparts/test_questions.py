"""What real servers ask in mid-call, asked of clients of other eras through the gateway: every cell, every method."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import until_ready
from gateway_world import BIN, Gateway, Upstream, gateway, until
from mcp import Client as OfficialClient
from mcp import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, Root, TextContent

from douane.sdk import Client, Reaching

from .commands import (
    asking_server,
    everything_http_server,
    everything_server,
    free_port,
    listening,
    polled_server,
)

pytestmark = pytest.mark.counterpart

ASKS = ["elicitation", "sampling", "roots"]
READS = {"tools": ["*"], "prompts": ["*"], "resources": ["*"]}
ANNA = {"name": "anna", "age": 7}
USES = {
    "role": "assistant",
    "content": {"type": "tool_use", "id": "t1", "name": "look", "input": {}},
    "model": "m",
    "stopReason": "toolUse",
}
SAID = {"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"}


def stdio(command: list[str], **more: Any) -> Upstream:
    return {"command": command, "reads": READS, "asks": ASKS, **more}


def http(port: int, **more: Any) -> Upstream:
    return {"url": f"http://127.0.0.1:{port}/mcp", "reads": READS, "asks": ASKS, **more}


@asynccontextmanager
async def behind(tmp_path: Path, command: list[str], over: str, **more: Any) -> AsyncIterator[Gateway]:
    """A gateway in front of the server `asked`."""
    async with AsyncExitStack() as stack:
        upstream = stdio(command, **more)
        if over == "http":
            port = free_port()
            await stack.enter_async_context(listening(command, port))
            upstream = http(port, **more)
        running = await stack.enter_async_context(gateway(tmp_path, {"asked": upstream}))
        await until_ready(running)
        yield running


@asynccontextmanager
async def ours(running: Gateway) -> AsyncIterator[Client]:
    client = Client(
        f"http://127.0.0.1:{running.port}/mcp",
        how=Reaching(headers={"Authorization": f"Bearer {running.token}"}),
        elicit=lambda message, schema: ANNA,
        elicit_url=lambda message, url: "accept",
        sample=lambda params: USES if "tools" in params else SAID,
        samples_with_tools=True,
        roots=["/home/anna"],
    )
    async with client:
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    answer = await client.call(f"asked_{tool}", arguments, deadline_s=20)
    assert not answer.is_error, answer.text
    return json.loads(answer.text)


@pytest.mark.parametrize("over", ["stdio", "http"])
@pytest.mark.parametrize("major", [1, 2])
async def test_everything_that_a_server_asks_reaches_a_client_and_comes_back(
    tmp_path: Path, major: int, over: str
) -> None:
    command = asking_server(major, "stdio" if over == "stdio" else "streamable-http")
    yes = {"action": "accept", "content": ANNA}
    async with behind(tmp_path, command, over) as running, ours(running) as client:
        assert await call(client, "ask_form") == yes
        assert await call(client, "ask_twice") in (yes, [yes, yes])
        assert (await call(client, "ask_model"))["text"] == "hm"
        assert await call(client, "ask_model_with_tools") == {"wants": "look", "why": "toolUse"}
        assert await call(client, "ask_roots") == ["file:///home/anna"]
        person, model = await call(client, "ask_at_once")
        assert (person, model["text"]) == (yes, "hm")
        assert await call(client, "ask_page") == {"action": "accept"}
        messages = await client.prompt("asked_asking")
        assert json.loads(messages[0]["content"]["text"]) == yes
        contents = await client.read("asking://topic")
        assert json.loads(contents[0]["text"]) == {"topic": "topic", **yes}


async def official(stack: AsyncExitStack, running: Gateway, over: str, mode: str) -> OfficialClient:
    """The official client, which answers all that it is asked."""

    async def elicit(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content=ANNA if params.mode == "form" else None)  # type: ignore[arg-type]

    async def sample(context: Any, params: Any) -> CreateMessageResult:
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text="hm"), model="m")

    async def roots(context: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri="file:///home/anna")])  # type: ignore[arg-type]

    if over == "http":
        headers = {"Authorization": f"Bearer {running.token}"}
        client = await stack.enter_async_context(create_mcp_http_client(headers=headers))
        target: Any = streamable_http_client(f"http://127.0.0.1:{running.port}/mcp", http_client=client)
    else:
        world = running.world
        line = ["stdio", "--config", str(world.config)]
        target = StdioServerParameters(command=str(BIN / "douane"), args=line, env=world.env)
    made = OfficialClient(
        target, mode=mode, elicitation_callback=elicit, sampling_callback=sample, list_roots_callback=roots
    )
    return await stack.enter_async_context(made)


FRONTS = [(door, mode) for door in ("http", "stdio") for mode in ("auto", "legacy")]
BACKS = [(1, "stdio"), (1, "streamable-http"), (2, "stdio"), (2, "streamable-http")]


@pytest.mark.parametrize(("major", "transport"), BACKS)
@pytest.mark.parametrize(("front", "mode"), FRONTS)
async def test_the_official_client_answers_what_official_servers_ask(
    tmp_path: Path, front: str, mode: str, major: int, transport: str
) -> None:
    over = "stdio" if transport == "stdio" else "http"
    async with behind(tmp_path, asking_server(major, transport), over) as running, AsyncExitStack() as stack:
        client = await official(stack, running, front, mode)
        assert client.protocol_version == ("2026-07-28" if mode == "auto" else "2025-11-25")
        assert f"upstream asked is up ({'2025-11-25' if major == 1 else '2026-07-28'})" in "\n".join(running.log)
        for tool, expected in (
            ("ask_form", '"anna"'),
            ("ask_model", '"hm"'),
            ("ask_roots", '"file:///home/anna"'),
            ("ask_page", '"accept"'),
        ):
            result = await client.call_tool(f"asked_{tool}", {})
            text = result.content[0].text  # type: ignore[union-attr]
            assert not result.is_error, text
            assert expected in text
        prompt = await client.get_prompt("asked_asking", {})
        assert '"anna"' in prompt.messages[0].content.text  # type: ignore[union-attr]
        contents = await client.read_resource("asking://topic")
        assert '"anna"' in contents.contents[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize("over", ["stdio", "http"])
async def test_tools_that_the_everything_server_shows_only_to_who_can_be_asked_work(tmp_path: Path, over: str) -> None:
    command = everything_server() if over == "stdio" else everything_http_server()
    async with behind(tmp_path, command, over) as running, ours(running) as client:
        names = {tool["name"] for tool in await client.tools()}
        asking = {"trigger-elicitation-request", "trigger-sampling-request", "trigger-url-elicitation"}
        assert {f"asked_{name}" for name in asking} <= names
        form = await client.call("asked_trigger-elicitation-request", deadline_s=20)
        assert "anna" in form.text
        model = await client.call("asked_trigger-sampling-request", {"prompt": "x", "maxTokens": 9}, deadline_s=20)
        assert "hm" in model.text
        for error_path in (False, True):
            url = {"url": "https://example.com/pay", "message": "pay", "errorPath": error_path}
            page = await client.call("asked_trigger-url-elicitation", url, deadline_s=20)
            assert not page.is_error, page.text
            assert "accept" in page.text


async def test_an_answer_is_fetched_from_a_server_that_closes_its_streams_early(tmp_path: Path) -> None:
    heard: list[str | None] = []
    port = free_port()
    async with listening(polled_server(), port), Client(f"http://127.0.0.1:{port}/mcp") as client:
        answer = await client.call("nap", {"seconds": 0.5}, on_progress=lambda done, of, said: heard.append(said))
        assert (answer.text, heard) == ("rested", ["asleep", "awake"])
    async with behind(tmp_path, polled_server(), "http") as running, ours(running) as client:
        assert (await client.call("asked_nap", {"seconds": 0.5}, deadline_s=20)).text == "rested"


async def test_each_question_and_each_answer_is_in_the_audit_as_a_call_of_its_own(tmp_path: Path) -> None:
    async with behind(tmp_path, asking_server(1, "stdio"), "stdio") as running:
        async with ours(running) as client:
            await call(client, "ask_twice")
        world = running.world
    rounds = [recorded for recorded in world.calls().values() if recorded.intents]
    assert [len(recorded.intents) for recorded in rounds] == [1, 1, 1]
    assert [recorded.outcomes[0].cause for recorded in rounds] == ["asks", "asks", ""]
    answers = [json.loads(recorded.intents[0].payload or b"{}").get("inputResponses") for recorded in rounds]
    assert answers[0] is None
    assert [list(given.values()) for given in answers[1:]] == [[{"action": "accept", "content": ANNA}]] * 2
    verified = await world.verified()
    assert verified["ok"]


async def test_what_the_operator_does_not_allow_is_not_offered_and_the_tool_says_what_is_missing(
    tmp_path: Path,
) -> None:
    command = asking_server(1, "stdio")
    async with behind(tmp_path, command, "stdio", asks=["roots"]) as running, ours(running) as client:
        refused = await client.call("asked_ask_form", deadline_s=20)
        assert refused.is_error
        assert await call(client, "ask_roots") == ["file:///home/anna"]


async def test_a_question_that_nobody_answers_leaves_nothing(tmp_path: Path) -> None:
    async with behind(tmp_path, asking_server(1, "stdio"), "stdio") as running:
        before = len(running.world.processes())
        async with ours(running) as client:
            await call(client, "ask_form")
        assert await until(lambda: len(running.world.processes()) >= before)
    assert await running.world.empty()
