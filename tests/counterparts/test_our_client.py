"""Our client and our host before servers on the official SDKs: by command, by URL, over HTTP+SSE, both eras."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from douane.sdk import Client, Host

from .commands import (
    everything_http_server,
    everything_server,
    everything_sse_server,
    free_port,
    listening,
    time_server,
)

pytestmark = pytest.mark.counterpart
Targets = dict[str, list[str] | str]


@pytest_asyncio.fixture
async def targets() -> AsyncIterator[Targets]:
    """One server each: of the handshake era over every transport, and one that speaks the newest revision too."""
    http, sse = free_port(), free_port()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listening(everything_http_server(), http))
        await stack.enter_async_context(listening(everything_sse_server(), sse))
        yield {
            "stdio": everything_server(),
            "http": f"http://127.0.0.1:{http}/mcp",
            "sse": f"http://127.0.0.1:{sse}/sse",
            "modern": time_server(),
        }


async def test_one_client_speaks_to_any_of_them_over_any_transport(targets: Targets) -> None:
    for name, target in targets.items():
        async with Client(target) as client:
            assert client.era.value == ("stateless" if name == "modern" else "handshake")
            if name == "modern":
                assert '"timezone": "UTC"' in (await client.call("get_current_time", {"timezone": "UTC"})).text
                continue
            assert (await client.call("echo", {"message": f"by {name}"})).text == f"Echo: by {name}"
            resources, prompts = await client.resources(), await client.prompts()
            assert await client.read(resources[0]["uri"])
            assert await client.prompt(next(one["name"] for one in prompts if not one.get("arguments")))


async def test_a_host_speaks_to_all_of_them_side_by_side_and_each_answers_for_itself(targets: Targets) -> None:
    async with Host({**targets, "dead": ["/no/such/program"]}) as host:
        assert host.down.keys() == {"dead"}
        assert (await host.tools()).keys() == targets.keys()
        older = [name for name in targets if name != "modern"]
        answers = await asyncio.gather(*(host.call(name, "echo", {"message": name}) for name in older))
        assert [answer.text for answer in answers] == [f"Echo: {name}" for name in older]
        assert '"timezone": "UTC"' in (await host.call("modern", "get_current_time", {"timezone": "UTC"})).text
