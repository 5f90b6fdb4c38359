"""Traps between the eras that other tests do not spring at the gateway's own doors."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway_clients import (
    MODERN,
    OLDER,
    HttpClient,
    Message,
    enveloped,
    head,
    http,
    post,
    request,
    stdio,
    text_of,
    tool,
    until_ready,
    wire,
)
from gateway_world import Gateway, gateway, hostile, until, witness
from raw_http import Said, events

ALL = {"elicitation": {"form": {}}, "roots": {}}
YES = {"action": "accept", "content": {"name": "anna"}}
ROOTS = {"roots": [{"uri": "file:///srv"}]}


@asynccontextmanager
async def asking(home: Path) -> AsyncGenerator[Gateway]:
    """A gateway before a server of the handshake era whose tool `w_ask` asks."""
    upstream = witness(home / "seen", "ask", asks=["elicitation", "roots"])
    async with gateway(home / "home", {"w": upstream}) as running:
        await until_ready(running)
        yield running


async def test_a_greeting_in_the_envelope_of_the_newest_era_does_not_exist(tmp_path: Path) -> None:
    """T13"""
    async with gateway(tmp_path, {"h": hostile()}) as running, stdio(running.world) as line:
        hello = {"protocolVersion": MODERN, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        message = request("initialize", enveloped(hello))
        answer = await post(running, message, head(running.token, message))
        assert (answer.status, answer.code) == (404, -32601)
        assert (await line.ask("initialize", hello))["error"]["code"] == -32601
        assert (await line.greet())["protocolVersion"] == OLDER


async def test_who_has_discovered_on_a_line_may_still_greet(tmp_path: Path) -> None:
    """T14"""
    async with gateway(tmp_path, {"h": hostile()}) as running, stdio(running.world) as line:
        assert (await line.ask("server/discover"))["result"]["supportedVersions"] == [MODERN]
        assert (await line.greet())["protocolVersion"] == OLDER
        assert text_of(await line.call("h_echo", text="greeted")) == "greeted"


async def test_a_client_that_takes_no_stream_is_told_that_it_cannot_be_asked(tmp_path: Path) -> None:
    """T15"""
    async with asking(tmp_path) as running, http(running) as client:
        await client.greet(capabilities=ALL)
        message = request("tools/call", tool("w_ask", {"kinds": ["elicitation"]}), 5)
        answer = await post(running, message, client.headers() | {"accept": "application/json"})
        assert answer.message["result"]["isError"] is True
        assert "a client that takes no event stream cannot be asked" in text_of(answer.message)


async def test_a_question_outlives_the_connection_it_came_on(tmp_path: Path) -> None:
    """T16: the call goes on with what is answered, and its result is fetched."""
    async with asking(tmp_path) as running, http(running) as client:
        await client.greet(capabilities=ALL)
        async with wire(running) as line:
            message = request("tools/call", tool("w_ask", {"kinds": ["elicitation"]}), 5)
            await line.send("POST", client.headers(), json.dumps(message).encode())
            await line.status()
            question = await asked(line)
        assert question.message is not None
        await answer(client, question.message, YES)
        after = {"accept": "text/event-stream", "last-event-id": question.id}
        async with wire(running) as line:
            await line.send("GET", client.headers() | after)
            assert (await line.status())[0] == 200
            (last,) = [said.message async for said in events(line) if said.message is not None]
        assert (last["id"], json.loads(text_of(last))) == (5, [YES])


async def asked(line: Any) -> Said:
    """The question on a stream."""
    async for said in events(line):
        if said.message is not None:
            return said
    raise AssertionError("nothing is asked")


async def answer(client: HttpClient, question: Message, result: Any) -> None:
    said = {"jsonrpc": "2.0", "id": question["id"], "result": result}
    assert (await post(client.gateway, said, client.headers())).status == 202


async def test_the_id_of_a_question_is_no_id_of_the_callers(tmp_path: Path) -> None:
    """T28: a caller that asks something by the id it is being asked by gets its answer, and so does the question."""
    async with asking(tmp_path) as running, stdio(running.world) as line:
        await line.greet(capabilities=ALL)
        call = request("tools/call", tool("w_ask", {"kinds": ["roots", "elicitation"]}), "mine")
        await line.say(json.dumps(call).encode())
        for method, result in (("roots/list", ROOTS), ("elicitation/create", YES)):
            question = await line.note_of(method)
            await line.say(json.dumps(request("tools/call", tool("w_echo", {"text": method}), question["id"])).encode())
            assert text_of(await line.answer_to(question["id"])) == method
            await line.say(json.dumps({"jsonrpc": "2.0", "id": question["id"], "result": result}).encode())
        assert json.loads(text_of(await line.answer_to("mine"))) == [ROOTS, YES]


async def test_a_server_that_ignores_the_end_of_its_input_and_sigterm_ends_with_the_gateway(tmp_path: Path) -> None:
    """T27: that nothing is left of it is looked at by `gateway`, in /proc."""
    async with gateway(tmp_path, {"h": hostile("deaf", "ignores-eof")}) as running, http(running) as client:
        assert text_of(await client.call("h_echo", text="here")) == "here"
        assert await until(lambda: len(running.world.processes()) > 1)
