"""Questions over HTTP: in the stream of the call they belong to, answered by POSTs of the same session."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

from gateway_clients import HttpClient, Message, enveloped, head, http, post, request, session, sse, text_of, tool, wire
from peers import BOUND_S, Json

from douane.sdk import Context
from douane.sdk.serving import Http, serve_http

from .asked import EVERYTHING, accepted, asks_of, state_of
from .test_asking import ROOTS, SAID, World


class At(NamedTuple):
    port: int
    token: str | None = None


@asynccontextmanager
async def serving(world: World, *, legacy: bool = False) -> AsyncIterator[Any]:
    """Where it is served; used like a gateway."""
    at = Http("127.0.0.1", 0, legacy=legacy, token="t" * 32 if legacy else None)
    async with world.server.ready(), serve_http(world.server.listener, at) as port:
        yield cast("Any", At(port, at.token))


async def greeted(client: HttpClient, capabilities: Json = EVERYTHING) -> None:
    await client.greet(capabilities=capabilities)


async def asked(client: HttpClient, name: str) -> tuple[Message, AsyncIterator[Message]]:
    """The question a call comes to, and what follows it in the stream."""
    await client.begin("tools/call", tool(name))
    stream = client.messages()
    return await asyncio.wait_for(anext(stream), BOUND_S), stream


def reply(question: Message, result: Json) -> Message:
    return {"jsonrpc": "2.0", "id": question["id"], "result": result}


async def modern(at: Any, params: Message, capabilities: Json = EVERYTHING) -> Any:
    meta = {"io.modelcontextprotocol/clientCapabilities": capabilities}
    message = request("tools/call", enveloped(params, **meta))
    return await post(at, message, head(at.token, message))


async def test_a_round_is_a_result_and_its_retry_another_request() -> None:
    async with serving(World()) as at:
        first = await modern(at, tool("greet"))
        assert (first.status, list(asks_of(first.message))) == (200, ["name"])
        answers = {"inputResponses": {"name": accepted(name="Anna")}, "requestState": state_of(first.message)}
        assert text_of((await modern(at, tool("greet") | answers)).message) == "Hello, Anna"
        # Not heard, and sent again.
        assert text_of((await modern(at, tool("greet") | answers)).message) == "Hello, Anna"


async def test_who_cannot_be_asked_is_told_with_400_and_a_bad_state_with_200() -> None:
    async with serving(World()) as at:
        refused = await modern(at, tool("greet"), {})
        assert (refused.status, refused.code) == (400, -32021)
        bad = await modern(at, tool("greet") | {"requestState": "x", "inputResponses": {}})
        assert (bad.status, bad.code) == (200, -32602)


async def test_hanging_up_on_a_retry_ends_the_function() -> None:
    world = World()
    reached, ended = asyncio.Event(), asyncio.Event()

    @world.server.tool()
    async def slow(ctx: Context) -> str:
        """Asks, then takes for ever."""
        await ctx.roots(key="roots")
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    async with serving(world) as at, http(at) as client:
        meta = {"io.modelcontextprotocol/clientCapabilities": EVERYTHING}
        first = await client.ask("tools/call", tool("slow"), **meta)
        retry = {"inputResponses": {"roots": ROOTS}, "requestState": state_of(first)}
        await client.begin("tools/call", tool("slow") | retry, **meta)
        await asyncio.wait_for(reached.wait(), BOUND_S)
        await client.line.hang_up()
        await asyncio.wait_for(ended.wait(), BOUND_S)


async def test_a_question_comes_in_the_stream_of_its_call_and_a_post_answers_it() -> None:
    async with serving(World()) as at, http(at) as client:
        await greeted(client)
        question, stream = await asked(client, "greet")
        assert question["method"] == "elicitation/create"
        answer = await post(at, reply(question, accepted(name="Anna")), client.headers())
        assert (answer.status, answer.body) == (202, b"")
        (told,) = [message async for message in stream]
        assert text_of(told) == "Hello, Anna"


async def test_an_answer_counts_in_the_session_that_was_asked() -> None:
    async with serving(World()) as at, http(at) as client, http(at) as other:
        await greeted(client)
        await greeted(other)
        question, stream = await asked(client, "greet")
        foreign = reply(question, accepted(name="Mallory"))
        assert (await post(at, foreign, other.headers())).status == 400
        assert (await post(at, foreign, head(at.token))).status == 400
        assert (await post(at, foreign, client.headers() | {"mcp-session-id": "guess"})).status == 404
        await post(at, reply(question, accepted(name="Anna")), client.headers())
        assert text_of([message async for message in stream][-1]) == "Hello, Anna"


async def test_a_client_that_takes_no_stream_is_told_why_it_cannot_be_asked() -> None:  # T15
    async with serving(World()) as at, http(at) as client:
        await greeted(client)
        headers = client.headers() | {"accept": "application/json"}
        answer = await post(at, request("tools/call", tool("greet")), headers)
        assert answer.message["result"]["isError"] is True
        assert "a client that takes no event stream cannot be asked" in text_of(answer.message)


async def test_a_batch_of_one_that_takes_no_stream_is_told_so_too() -> None:
    async with serving(World()) as at, http(at) as client:
        await client.greet("2025-03-26", capabilities=EVERYTHING)
        headers = client.headers() | {"accept": "application/json"}
        batch = cast("Any", [request("tools/call", tool("in_one"))])
        answer = await asyncio.wait_for(post(at, batch, headers), BOUND_S)
        assert "a client that takes no event stream cannot be asked" in text_of(cast("Any", answer.message)[0])


async def test_a_question_outlives_the_connection_it_came_on() -> None:  # T16
    world = World()
    async with serving(world) as at, http(at) as client:
        await greeted(client)
        headers = client.headers()
        async with http(at) as line:
            line.session, line.revision = client.session, client.revision
            question, _ = await asked(line, "greet")
        assert world.ended == []
        await post(at, reply(question, accepted(name="Anna")), headers)
        await asyncio.wait_for(world.all_ended.wait(), BOUND_S)


async def test_the_end_of_a_session_ends_what_it_was_asked() -> None:
    world = World()
    async with serving(world) as at, http(at) as client, wire(at) as line:
        await greeted(client)
        _, stream = await asked(client, "greet")
        await line.send("DELETE", client.headers())
        assert (await line.answer()).status == 204
        await asyncio.wait_for(world.all_ended.wait(), BOUND_S)
        assert all("result" not in message for message in [message async for message in stream])
        assert len(world.server.toolbox.parking) == 0


async def test_a_question_of_a_batch_is_answered_by_a_batch() -> None:
    async with serving(World()) as at, http(at) as client:
        await client.greet("2025-03-26", EVERYTHING)
        batch = json.dumps([request("tools/call", tool("in_one"), 1), request("ping", id=2)]).encode()
        await client.line.send("POST", client.headers(), batch)
        stream = client.messages()
        questions = [await anext(stream), await anext(stream)]
        answers = {"sampling/createMessage": SAID, "roots/list": ROOTS}
        replies = [reply(question, answers[question["method"]]) for question in questions]
        answer = await post(at, json.dumps(replies).encode(), client.headers())
        assert answer.status == 202
        (told,) = [message async for message in stream]
        assert {one["id"] for one in cast("list[Message]", told)} == {1, 2}


async def test_a_client_of_http_sse_is_asked_by_an_event_of_its_stream() -> None:
    async with serving(World(), legacy=True) as at, sse(at) as client:
        await client.greet("2024-11-05", EVERYTHING)
        await client.begin("tools/call", tool("in_one"))
        answers = {"sampling/createMessage": SAID, "roots/list": ROOTS}
        for question in [await client.hear(), await client.hear()]:
            await client.say(json.dumps(reply(question, answers[question["method"]])).encode())
        assert text_of(await client.hear()) == "m 1"


async def test_a_session_that_is_never_asked_knows_nothing_of_questions() -> None:
    async with serving(World()) as at, session(at) as client:
        assert (await post(at, {"jsonrpc": "2.0", "id": 1, "result": {}}, client.headers())).status == 400
