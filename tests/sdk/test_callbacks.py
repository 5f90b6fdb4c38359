"""A client that answers: what servers of both eras ask in mid-call goes to its callbacks, and only what they can answer."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from peers import BOUND_S, CAPABILITIES, Asked, Hook, Json, Server, Speaks, answers

from douane.sdk import Client, ServerError
from douane.sdk.callbacks import responding
from douane.sdk.connect import open_line

FORM: Json = {
    "method": "elicitation/create",
    "params": {"message": "which?", "requestedSchema": {"type": "object", "properties": {"a": {"type": "string"}}}},
}
PAGE: Json = {
    "method": "elicitation/create",
    "params": {"mode": "url", "message": "pay", "url": "https://pay.example/1"},
}
MODEL: Json = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 9}}
TOOLS: Json = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 9, "tools": []}}
ROOTS: Json = {"method": "roots/list"}
SAID: Json = {"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"}
ERAS: list[Speaks] = ["stateless", "handshake"]


def asks(speaks: Speaks, *questions: Json, state: str | None = "s") -> Hook:
    """A tool that asks all of it at once, and then answers with what it was told."""

    def rounds(asked: Asked) -> None:
        if "inputResponses" in asked.params:
            asked.answer({"resultType": "complete", "content": [], "structuredContent": asked.params["inputResponses"]})
            return
        keyed = {f"q{at}": question for at, question in enumerate(questions)}
        more = {} if state is None else {"requestState": state}
        asked.answer({"resultType": "input_required", "inputRequests": keyed, **more})

    def directly(asked: Asked) -> None:
        asyncio.get_running_loop().create_task(_directly(asked, questions))

    return rounds if speaks == "stateless" else directly


async def _directly(asked: Asked, questions: tuple[Json, ...]) -> None:
    server = asked.server
    for at, question in enumerate(questions):
        asked.say({"id": f"q{at}", **question})
    await server.when(lambda: len(server.replies) >= len(questions))
    told = {reply["id"]: reply.get("result", reply.get("error")) for reply in server.replies}
    asked.answer({"content": [], "structuredContent": told})


async def client(server: Server, **callbacks: Any) -> Client:
    """Over a line, as to a command."""
    session = await open_line(
        server.open, client={"name": "t"}, noted=lambda *_: None, respondent=responding(**callbacks)
    )
    return Client(session, **callbacks)


def declared(server: Server, speaks: Speaks) -> Json:
    if speaks == "handshake":
        return next(a for a in server.heard if a.method == "initialize").params["capabilities"]
    declared = next(a for a in server.heard if a.method == "tools/call").params["_meta"][CAPABILITIES]
    # Whatever can be asked of it, it can look after a task.
    return {name: value for name, value in declared.items() if name != "extensions"}


@pytest.mark.parametrize("speaks", ERAS)
async def test_every_kind_of_question_is_answered_in_one_round_and_the_capabilities_say_so(speaks: Speaks) -> None:
    async def elicit(message: str, schema: Any) -> Json:
        assert (message, schema) == ("which?", FORM["params"]["requestedSchema"])
        return {"a": "this"}

    callbacks: dict[str, Any] = {
        "elicit": elicit,
        "elicit_url": lambda message, url: "accept" if (message, url) == ("pay", "https://pay.example/1") else "cancel",
        "sample": lambda params: SAID,
        "samples_with_tools": True,
        "roots": [Path("/srv"), "file:///tmp/x", {"uri": "file:///y", "name": "y"}],
    }
    async with Server(speaks, tools__call=asks(speaks, FORM, PAGE, MODEL, TOOLS, ROOTS)) as server:
        async with await client(server, **callbacks) as asking:
            answer = await asyncio.wait_for(asking.call("echo"), BOUND_S)
        roots = [{"uri": "file:///srv"}, {"uri": "file:///tmp/x"}, {"uri": "file:///y", "name": "y"}]
        assert answer.structured == {
            "q0": {"action": "accept", "content": {"a": "this"}},
            "q1": {"action": "accept"},
            "q2": SAID,
            "q3": SAID,
            "q4": {"roots": roots},
        }
        assert declared(server, speaks) == {
            "elicitation": {"form": {}, "url": {}},
            "sampling": {"tools": {}},
            "roots": {},
        }


@pytest.mark.parametrize(
    ("callbacks", "capabilities"),
    [
        ({}, {}),
        ({"elicit": lambda *_: {}}, {"elicitation": {"form": {}}}),
        ({"elicit_url": lambda *_: "accept"}, {"elicitation": {"url": {}}}),
        ({"sample": lambda _: SAID}, {"sampling": {}}),
        ({"roots": []}, {"roots": {}}),
    ],
)
@pytest.mark.parametrize("speaks", ERAS)
async def test_what_has_no_callback_is_not_declared(speaks: Speaks, callbacks: Any, capabilities: Json) -> None:
    async with Server(speaks) as server, await client(server, **callbacks) as asking:
        await asking.call("echo")
        assert declared(server, speaks) == capabilities


@pytest.mark.parametrize("question", [FORM, PAGE, MODEL, TOOLS, ROOTS, {"method": "tools/call", "params": {}}])
async def test_what_was_not_declared_is_refused_to_a_server_of_the_handshake_era(question: Json) -> None:
    async with Server("handshake", tools__call=asks("handshake", question)) as server, await client(server) as asking:
        answer = await asyncio.wait_for(asking.call("echo"), BOUND_S)
        assert answer.structured["q0"]["code"] == -32601


@pytest.mark.parametrize(
    ("question", "callbacks"),
    [
        (PAGE, {"elicit": lambda *_: {}}),
        (TOOLS, {"sample": lambda _: SAID}),
        (FORM, {"elicit_url": lambda *_: "accept"}),
    ],
)
@pytest.mark.parametrize("speaks", ERAS)
async def test_a_mode_that_was_not_declared_is_not_answered(speaks: Speaks, question: Json, callbacks: Any) -> None:
    async with (
        Server(speaks, tools__call=asks(speaks, question)) as server,
        await client(server, **callbacks) as asking,
    ):
        if speaks == "handshake":
            assert (await asking.call("echo")).structured["q0"]["code"] == -32601
        else:
            with pytest.raises(ServerError, match="nobody offered to give"):
                await asking.call("echo")


@pytest.mark.parametrize("said", ["decline", "cancel"])
@pytest.mark.parametrize("speaks", ERAS)
async def test_a_person_may_decline_or_put_it_away(speaks: Speaks, said: Any) -> None:
    async with (
        Server(speaks, tools__call=asks(speaks, FORM)) as server,
        await client(server, elicit=lambda *_: said) as asking,
    ):
        assert (await asking.call("echo")).structured == {"q0": {"action": said}}


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "vscode://run", 7, None])
async def test_a_page_that_is_no_page_is_shown_to_nobody(url: Any) -> None:
    seen: list[str] = []
    page = {"method": "elicitation/create", "params": {"mode": "url", "message": "m", "url": url}}
    async with (
        Server(tools__call=asks("handshake", page)) as server,
        await client(server, elicit_url=lambda _, url: seen.append(url) or "accept") as asking,
    ):
        assert (await asking.call("echo")).structured["q0"]["code"] == -32602
    assert not seen


async def test_each_round_has_a_new_id_and_the_exact_state_or_none() -> None:
    for state in ("", "  exact ☂ ", None):
        async with Server("stateless", tools__call=asks("stateless", FORM, state=state)) as server:
            async with await client(server, elicit=lambda *_: {"a": "x"}) as asking:
                await asyncio.wait_for(asking.call("echo", {"a": 1}), BOUND_S)
            first, second = [asked for asked in server.heard if asked.method == "tools/call"]
            assert first.id != second.id
            assert second.params["arguments"] == {"a": 1}
            assert second.params.get("requestState", None) == state
            assert ("requestState" in second.params) == (state is not None)


async def test_a_server_that_never_stops_asking_is_given_up() -> None:
    more = {"resultType": "input_required", "inputRequests": {"q": FORM}, "requestState": "s"}
    async with Server("stateless", tools__call=answers(more)) as server:
        async with await client(server, elicit=lambda *_: {}) as asking:
            with pytest.raises(ServerError, match="still asking after 10 rounds"):
                await asyncio.wait_for(asking.call("echo"), BOUND_S)
        assert server.methods().count("tools/call") == 11


@pytest.mark.parametrize("speaks", ERAS)
async def test_the_time_that_a_person_takes_is_not_the_servers(speaks: Speaks) -> None:
    async def slowly(message: str, schema: Any) -> Json:
        await asyncio.sleep(0.4)
        return {"a": "late"}

    async with (
        Server(speaks, tools__call=asks(speaks, FORM)) as server,
        await client(server, elicit=slowly) as asking,
    ):
        answer = await asyncio.wait_for(asking.call("echo", deadline_s=0.2), BOUND_S)
        assert answer.structured["q0"]["content"] == {"a": "late"}


async def test_a_callback_that_breaks_is_an_error_to_the_server_and_the_session_lives() -> None:
    def breaks(*_: Any) -> Any:
        raise KeyError("secret of ours")

    async with Server(tools__call=asks("handshake", FORM)) as server, await client(server, elicit=breaks) as asking:
        answer = await asyncio.wait_for(asking.call("echo"), BOUND_S)
        assert answer.structured == {"q0": {"code": -32603, "message": "client: the answer failed"}}
        assert asking.is_open


async def test_a_question_that_is_withdrawn_is_not_answered() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def never(*_: Any) -> Json:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return {}

    def hook(asked: Asked) -> None:
        asked.say({"id": 1, **FORM})

    async with Server(tools__call=hook) as server, await client(server, elicit=never) as asking:
        task = asyncio.create_task(asking.call("echo"))
        called = await server.until("tools/call")
        await asyncio.wait_for(begun.wait(), BOUND_S)
        called.note("notifications/cancelled", {"requestId": 1})
        await asyncio.wait_for(cancelled.wait(), BOUND_S)
        called.answer({"content": [], "structuredContent": {"over": True}})
        assert (await asyncio.wait_for(task, BOUND_S)).structured == {"over": True}
        assert server.replies == []


async def test_a_question_that_is_withdrawn_at_once_was_never_open() -> None:
    shown: list[str] = []

    def hook(asked: Asked) -> None:
        asked.say({"id": 1, **FORM})
        asked.note("notifications/cancelled", {"requestId": 1})
        asked.say({"id": 1, **FORM})

    async with (
        Server(tools__call=hook) as server,
        await client(server, elicit=lambda message, _: shown.append(message) or {"a": "b"}) as asking,
    ):
        task = asyncio.create_task(asking.call("echo"))
        called = await server.until("tools/call")
        await server.when(lambda: len(server.replies) == 1)
        called.say({"id": 1, **FORM})
        await server.when(lambda: len(server.replies) == 2)
        called.answer({"content": []})
        await asyncio.wait_for(task, BOUND_S)
        assert server.replies[1]["result"]["action"] == "accept"


async def test_an_answer_that_is_no_json_is_an_error_to_the_server() -> None:
    async with (
        Server(tools__call=asks("handshake", FORM)) as server,
        await client(server, elicit=lambda *_: {"a": object()}) as asking,
    ):
        answer = await asyncio.wait_for(asking.call("echo"), BOUND_S)
        assert answer.structured == {"q0": {"code": -32603, "message": "client: the answer failed"}}


async def test_where_one_question_of_a_round_is_refused_the_others_are_put_away() -> None:
    put_away = asyncio.Event()

    async def never(*_: Any) -> Json:
        try:
            await asyncio.Event().wait()
        finally:
            put_away.set()
        return {}

    page = {"method": "elicitation/create", "params": {"mode": "url", "message": "m", "url": "file:///etc"}}
    async with (
        Server("stateless", tools__call=asks("stateless", FORM, page)) as server,
        await client(server, elicit=never, elicit_url=lambda *_: "accept") as asking,
    ):
        with pytest.raises(ServerError, match="http or https"):
            await asyncio.wait_for(asking.call("echo"), BOUND_S)
        assert put_away.is_set()


async def test_pages_that_an_older_server_needs_visited_are_shown_and_the_call_is_made_again() -> None:
    pages = {"elicitations": [{**PAGE["params"], "elicitationId": "e"}]}
    visited: list[str] = []

    def hook(asked: Asked) -> None:
        if visited:
            asked.answer({"content": [], "structuredContent": {"done": True}})
        else:
            asked.error(-32042, "consent", pages)

    async with Server(tools__call=hook) as server:
        async with await client(server, elicit_url=lambda _, url: visited.append(url) or "accept") as asking:
            assert (await asyncio.wait_for(asking.call("echo"), BOUND_S)).structured == {"done": True}
        assert visited == ["https://pay.example/1"]
    async with Server(tools__call=lambda asked: asked.error(-32042, "consent", pages)) as server:
        async with await client(server, elicit_url=lambda *_: "decline") as asking:
            with pytest.raises(ServerError, match="was not visited"):
                await asyncio.wait_for(asking.call("echo"), BOUND_S)
        assert server.methods().count("tools/call") == 1
