"""A function that asks a client of the handshake era: directly, on the line or stream of its call."""

import asyncio
import json

import pytest
from peers import BOUND_S, OLDER, Json

from douane.flow.rounds import Unanswered
from douane.sdk import Context, Elicit, ListRoots, Server
from douane.sdk.asked_client import AskedClient
from douane.sdk.serving import LOCAL
from douane.wire.codes import INTERNAL_ERROR

from .asked import EVERYTHING, Line, accepted, line, text_of
from .test_asking import ROOTS, SAID, World

FORM: Json = {
    "type": "object",
    "properties": {
        "size": {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]},
        "count": {"type": "integer", "default": 1},
        "gift": {"type": "boolean", "default": True},
    },
}


def forms() -> Server:
    server = Server("forms")

    @server.tool()
    async def order(ctx: Context) -> str:
        """Asks with titled choices."""
        return str((await ctx.elicit("What?", FORM)).content)

    @server.tool()
    async def several(ctx: Context) -> str:
        """Asks for a choice of several."""
        tags = {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}
        return str((await ctx.elicit("Which?", {"type": "object", "properties": {"tags": tags}})).content)

    @server.tool()
    async def pay(ctx: Context) -> str:
        """Sends to a page."""
        return await ctx.elicit_url("Pay here", "https://pay.example/")

    return server


async def test_each_question_is_a_request_of_ours_and_its_answer_resumes_the_function() -> None:
    world = World()
    async with line(world.server) as client:
        await client.greet()
        asked = await client.older("greet")
        assert asked["method"] == "elicitation/create"
        assert asked["params"]["message"] == "Who are you?"
        told = await client.tell(asked, accepted(name="Anna"))
        assert (told["id"], text_of(told)) == ("call", "Hello, Anna")
    assert len(world.began) == 1


async def test_a_question_says_by_what_name_the_newest_revision_would_know_it() -> None:
    server = Server("named")

    @server.tool()
    async def greet(ctx: Context) -> str:
        """Asks by a name."""
        return (await ctx.elicit("Who?", {"type": "object", "properties": {}}, key="user_name")).action

    async with line(server) as client:
        await client.greet()
        asked = await client.older("greet")
        assert asked["params"]["_meta"] == {"douane/inputKey": "user_name"}
        assert text_of(await client.tell(asked, {"action": "decline"})) == "decline"


async def test_what_is_asked_at_once_is_asked_side_by_side() -> None:
    answers = {"elicitation/create": accepted(name="Anna"), "sampling/createMessage": SAID, "roots/list": ROOTS}
    async with line(World().server) as client:
        await client.greet()
        asked = [await client.older("interview"), await client.hear(), await client.hear()]
        assert {one["method"] for one in asked} == answers.keys()
        for one in asked[:2]:
            client.send(id=one["id"], result=answers[one["method"]])
        page = await client.tell(asked[2], answers[asked[2]["method"]])
        assert page["params"]["mode"] == "url"
        assert page["params"]["elicitationId"]
        told = await client.tell(page, {"action": "accept"})
        assert told["result"]["structuredContent"]["result"] == ["Anna", "Paris", "file:///home", "accept"]


async def test_a_function_that_holds_nothing_asks_older_clients_too() -> None:
    async with line(World().server) as client:
        await client.greet()
        asked = await client.older("holds_nothing")
        assert text_of(await client.tell(asked, accepted(name="Anna"))) == "Anna after step 1"


async def test_our_ids_and_those_of_the_client_are_two_kinds() -> None:  # T28
    async with line(World().server) as client:
        await client.greet()
        client.send(id=1, method="tools/call", params={"name": "greet", "arguments": {}})
        asked = await client.hear()
        assert asked["id"] == 1
        # Its own request of that number is open: this answers ours.
        assert text_of(await client.tell(asked, accepted(name="Anna"))) == "Hello, Anna"


async def test_answers_nobody_asked_for_are_passed_over() -> None:
    async with line(World().server) as client:
        client.send(id=1, result=accepted(name="before"))
        await client.greet()
        client.send(id=1, result=accepted(name="early"))
        asked = await client.older("greet")
        for id_ in (99, "1", 1.5):
            client.send(id=id_, result=accepted(name="Mallory"))
        client.send(id=99, error={"code": 1, "message": "no"})
        heard = await client.tell(asked, accepted(name="Anna"))
        while "result" not in heard:
            heard = await client.hear()
        assert text_of(heard) == "Hello, Anna"
        client.send(id=asked["id"], result=accepted(name="late"))


async def test_an_error_for_an_answer_ends_the_call_and_its_function() -> None:
    world = World()
    async with line(world.server) as client:
        await client.greet()
        asked = await client.older("greet")
        client.send(id=asked["id"], error={"code": -32601, "message": "not now"})
        told = await client.hear()
        said = "client: answered elicitation/create with an error: not now (-32601)"
        assert told["error"] == {"code": -32603, "message": said}
        await asyncio.wait_for(world.all_ended.wait(), BOUND_S)
        assert len(world.server.toolbox.parking) == 0


async def test_a_person_who_refused_in_an_error_has_cancelled() -> None:
    async with line(World().server) as client:
        await client.greet()
        asked = await client.older("greet")
        client.send(id=asked["id"], error={"code": -1, "message": "User rejected"})
        assert text_of(await client.hear()) == "cancel: no greeting"


async def test_an_answer_that_does_not_fit_ends_the_call_and_its_function() -> None:
    world = World()
    async with line(world.server) as client:
        await client.greet()
        told = await client.tell(await client.older("greet"), accepted(name=7))
        said = "client: the answer to 'name' has a 'name' that is no text"
        assert told["error"] == {"code": -32602, "message": said}
        await asyncio.wait_for(world.all_ended.wait(), BOUND_S)


async def test_a_call_that_is_given_up_takes_its_question_back_and_ends_its_function() -> None:
    world = World()
    async with line(world.server) as client:
        await client.greet()
        asked = await client.older("greet")
        client.send(method="notifications/cancelled", params={"requestId": "call"})
        back = await client.hear()
        assert (back["method"], back["params"]["requestId"]) == ("notifications/cancelled", asked["id"])
        await asyncio.wait_for(world.all_ended.wait(), BOUND_S)


async def test_who_does_not_answer_in_time_is_told_so_and_the_function_ends() -> None:
    world = World(answer_within_s=0.01)
    async with line(world.server) as client:
        await client.greet()
        await client.older("greet")
        assert (await client.hear())["method"] == "notifications/cancelled"
        told = await client.hear()
        said = "client: no answer to elicitation/create within 0.01 s"
        assert told["error"] == {"code": 1504, "message": said}
        await asyncio.wait_for(world.all_ended.wait(), BOUND_S)


async def test_the_end_of_the_line_ends_what_was_asked_on_it() -> None:
    world = World()
    async with world.server.ready():
        client = Line(world.server, LOCAL, EVERYTHING)
        await client.greet()
        await client.older("greet")
        await client.link.aclose()
        await asyncio.wait_for(world.all_ended.wait(), BOUND_S)
        await client.door.aclose()


async def test_a_client_that_goes_while_its_question_is_written_is_not_waited_for() -> None:
    said: list[bytes] = []
    client = AskedClient(OLDER)
    asking = asyncio.ensure_future(client.ask({"roots": ListRoots().request}, said.append, BOUND_S))
    await asyncio.sleep(0)
    client.close()
    with pytest.raises(Unanswered) as unanswered:
        await asking
    assert unanswered.value.outcome.code == INTERNAL_ERROR
    assert (said, client.waiting) == ([], 0)


async def test_a_client_that_initializes_again_is_not_waited_for() -> None:
    world = World()
    async with line(world.server) as client:
        await client.greet()
        await client.older("greet")
        await client.greet()
        told = await client.hear()
        said = "client: it has gone, or has begun anew, and cannot be asked"
        assert (told["id"], told["error"]["message"]) == ("call", said)
    assert len(world.ended) == 1


async def test_an_answer_that_comes_after_a_new_beginning_answers_nothing_that_was_asked_since() -> None:
    async with line(World().server) as client:
        await client.greet()
        old = await client.older("greet")
        await client.greet()
        assert "error" in await client.hear()
        new = await client.older("greet")
        assert new["id"] == old["id"] + 1
        client.send(id=old["id"], result=accepted(name="Mallory"))
        assert text_of(await client.tell(new, accepted(name="Anna"))) == "Hello, Anna"


# --- what older revisions do not know ---


async def test_titled_choices_are_named_as_2025_06_18_names_them() -> None:
    async with line(forms(), capabilities={"elicitation": {}}) as client:
        await client.greet("2025-06-18")
        asked = await client.older("order")
        assert asked["params"] == {
            "_meta": {"douane/inputKey": "elicit_1"},
            "message": "What?",
            "requestedSchema": {
                "type": "object",
                "properties": {
                    "size": {"type": "string", "enum": ["s", "l"], "enumNames": ["Small", "Large"]},
                    "count": {"type": "integer"},
                    "gift": {"type": "boolean", "default": True},
                },
            },
        }
        assert text_of(await client.tell(asked, accepted(size="s"))) == "{'size': 's'}"


@pytest.mark.parametrize(
    ("revision", "tool", "said"),
    [
        (
            "2025-06-18",
            "several",
            "this call has to ask for a choice of several ('tags'), which revision 2025-06-18 cannot",
        ),
        ("2025-06-18", "pay", "this call has to ask, and the client has not declared elicitation.url"),
        ("2025-03-26", "order", "this call has to ask, and the client has not declared elicitation.form"),
        ("2024-11-05", "order", "this call has to ask, and the client has not declared elicitation.form"),
    ],
)
async def test_what_a_revision_cannot_ask_is_an_error_for_the_model(revision: str, tool: str, said: str) -> None:
    async with line(forms()) as client:
        await client.greet(revision)
        told = await client.older(tool)
        assert told["result"]["isError"] is True
        assert text_of(told) == f"client: {said}"


async def test_older_models_are_asked_without_tools_and_an_error_says_so() -> None:
    async with line(World().server) as client:
        await client.greet("2025-06-18")
        assert "has not declared sampling.tools" in text_of(await client.older("tools"))


async def test_a_prompt_that_cannot_ask_is_an_error_of_the_era() -> None:
    async with line(World().server, capabilities={}) as client:
        await client.greet()
        client.send(id=5, method="prompts/get", params={"name": "ask_first"})
        told = await client.hear()
        assert told["error"]["code"] == -32603
        assert "has not declared elicitation.form" in told["error"]["message"]


async def test_a_question_of_a_batch_is_asked_beside_its_answers() -> None:
    async with line(World().server) as client:
        await client.greet("2025-03-26")
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "in_one", "arguments": {}}}
        client.link.send(json.dumps([call]).encode())
        asked = [await client.hear(), await client.hear()]
        answers = {"sampling/createMessage": SAID, "roots/list": ROOTS}
        replies = [{"jsonrpc": "2.0", "id": one["id"], "result": answers[one["method"]]} for one in asked]
        client.link.send(json.dumps(replies).encode())
        (told,) = await client.hear()
        assert told["result"]["content"][0]["text"] == "m 1"


def test_a_form_that_no_client_can_draw_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="cannot be asked for: field 'a' must be a string"):
        Elicit("?", {"type": "object", "properties": {"a": {"type": "object"}}})
