"""A client of a session it was given, of one that has ended, and of a server that does not keep to the protocol."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from peers import BOUND_S, Asked, Server, Speaks, answers, errors, tool

from douane.sdk import Client, ServerError
from douane.sdk.connect import open_line
from douane.sdk.session import Session

ERAS: list[Speaks] = ["stateless", "handshake"]
NO_LIST = {"resultType": "complete", "tools": [tool("a"), None], "content": [7]}


async def opened(server: Server) -> Session:
    about = {"name": "t", "version": "1"}
    return await open_line(server.open, client=about, noted=lambda method, params: None, start_timeout_s=BOUND_S)


@pytest.mark.parametrize("era", ERAS)
async def test_what_changes_ends_with_a_session_that_was_given(era: Speaks) -> None:
    async with Server(era) as server, Client(await opened(server)) as client:
        changes = client.changes()
        server.drop()
        async with asyncio.timeout(BOUND_S):
            assert [change async for change in changes] == []


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_was_closed_listens_to_nothing_any_more(era: Speaks) -> None:
    server = Server(era)
    server.capabilities["resources"] = {"subscribe": True}
    async with server:
        async with Client(await opened(server)) as client:
            pass
        client.unsubscribe("a://b")
        async with asyncio.timeout(BOUND_S):
            assert [change async for change in client.changes()] == []
        with pytest.raises(ServerError, match="the session has ended"):
            await client.subscribe("a://b")
        assert not client.is_open
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.tools(),
        lambda client: client.read("a://b"),
        lambda client: client.prompt("p"),
        lambda client: client.complete("p", "a", "x"),
        lambda client: client.call("t"),
    ],
)
async def test_a_result_that_is_none_is_an_error_of_the_server(
    era: Speaks, ask: Callable[[Client], Awaitable[Any]]
) -> None:
    methods = ("tools/list", "resources/read", "prompts/get", "completion/complete", "tools/call")
    async with Server(era) as server:
        server.on |= dict.fromkeys(methods, answers(NO_LIST))
        async with Client(await opened(server)) as client:
            with pytest.raises(ServerError, match="server: answers without a list of"):
                await ask(client)


async def test_a_question_in_answer_to_what_cannot_ask_is_an_error_of_the_server() -> None:
    asks = {"resultType": "input_required", "inputRequests": {"a": {"method": "roots/list"}}}
    async with Server("stateless") as server:
        server.on["x/own"] = answers(asks)
        async with Client(await opened(server)) as client:
            with pytest.raises(ServerError, match="an unknown kind of result"):
                await client.request("x/own", {})


def same_page(asked: Asked) -> None:
    asked.answer({"resultType": "complete", "tools": [tool("a")], "nextCursor": "again"})


def another_page(asked: Asked) -> None:
    asked.answer({"resultType": "complete", "tools": [], "nextCursor": asked.params.get("cursor", "") + "n"})


def many_tools(asked: Asked) -> None:
    cursor = asked.params.get("cursor", "") + "n"
    asked.answer({"resultType": "complete", "tools": [tool("a")] * 3_000, "nextCursor": cursor})


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        (same_page, "goes on after a page with that same page"),
        (another_page, "more than 1000 pages"),
        (many_tools, "more than 100000 items"),
    ],
)
async def test_a_list_without_an_end_has_one(listing: Callable[[Asked], None], said: str) -> None:
    async with Server("stateless") as server:
        server.on["tools/list"] = listing
        async with Client(await opened(server)) as client:
            with pytest.raises(ServerError, match=said):
                await client.tools()


async def test_a_page_that_is_refused_is_the_error_of_the_list() -> None:
    async with Server("stateless") as server:
        server.on["tools/list"] = errors(-32602, "no such cursor")
        async with Client(await opened(server)) as client:
            with pytest.raises(ServerError, match="no such cursor"):
                await client.tools()
