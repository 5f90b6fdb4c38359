"""A function that asks in mid-call: the newest revision's rounds, and what no caller can do with them."""

import asyncio
import concurrent.futures
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from peers import BOUND_S, Json

from douane.protocol.call import Principal
from douane.sdk import Ask, CannotAsk, Client, Context, Elicit, ElicitUrl, ListRoots, Sample, Server, ServerError

from .asked import EVERYTHING, Line, accepted, asks_of, line, state_of, text_of

SAID: Json = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Paris"}}
ROOTS: Json = {"roots": [{"uri": "file:///home", "name": "Home"}]}


@dataclass
class Name:
    name: str


class World:
    """A server whose tools ask, and what became of them."""

    def __init__(self, **options: Any) -> None:
        self.server = Server("asks", **options)
        self.began: list[str] = []
        self.ended: list[str] = []
        self.all_ended, self.enough = asyncio.Event(), asyncio.Event()
        server = self.server

        @server.tool()
        async def greet(ctx: Context, greeting: str = "Hello") -> str:
            """Asks for a name."""
            self.began.append(ctx.call_id)
            try:
                answer = await ctx.elicit("Who are you?", Name, key="name")
            finally:
                self.ended.append(ctx.call_id)
                self.all_ended.set()
            return f"{greeting}, {answer.content.name}" if answer.content else f"{answer.action}: no greeting"

        @server.tool()
        def greet_plainly(ctx: Context) -> str:
            """Asks for a name, from a thread."""
            try:
                answer = ctx.wait(ctx.elicit("Who are you?", Name, key="name"))
            except concurrent.futures.CancelledError:
                self.ended.append("cancelled")
                raise
            return answer.content.name if answer.content else answer.action

        @server.tool()
        async def interview(ctx: Context) -> list[str]:
            """Asks three things at once, then one more."""
            name, said, roots = await asyncio.gather(
                ctx.elicit("Who?", Name, key="name"),
                ctx.sample("Capital of France?", max_tokens=9, key="capital"),
                ctx.roots(key="roots"),
            )
            ctx.progress(1)
            seen = await ctx.elicit_url("See this", "https://example.com/", key="page")
            assert name.content is not None
            return [name.content.name, said.text, roots[0].uri, seen]

        @server.tool()
        async def without_keys(ctx: Context) -> str:
            """Gives its questions no keys."""
            answers = [await ctx.elicit("Who?", Name) for _ in range(2)]
            return ",".join(answer.content.name for answer in answers if answer.content)

        @server.tool()
        async def in_one(ctx: Context) -> str:
            """Asks by values."""
            said = await ctx.ask({"words": Sample("Hi", max_tokens=5), "places": ListRoots()})
            return f"{said['words'].model} {len(said['places'])}"

        @server.tool()
        async def holds_nothing(ctx: Context, step: int = 1) -> str | Ask:
            """Asks without waiting."""
            question = Elicit("Who?", Name)
            self.began.append(ctx.request_state or "")
            answer = ctx.answer("name", question)
            if answer is None or answer.content is None:
                return Ask({"name": question}, f"step {step}")
            return f"{answer.content.name} after {ctx.request_state}"

        @server.tool()
        async def gives_up(ctx: Context) -> str:
            """Asks, and waits for something else."""
            asked = asyncio.ensure_future(ctx.elicit("Who?", Name, key="name"))
            await self.enough.wait()
            asked.cancel()
            self.all_ended.set()
            return "nobody"

        @server.tool()
        async def falls_back(ctx: Context) -> str:
            """Knows what to do when nobody can be asked."""
            try:
                await ctx.roots()
            except CannotAsk as exc:
                return f"went on without: {exc.missing}"
            return "asked"

        @server.tool()
        async def tools(ctx: Context) -> str:
            """Lets the model call tools."""
            said = await ctx.sample(
                ["Hi"], max_tokens=5, tools=[{"name": "t", "inputSchema": {"type": "object"}}], tool_choice="required"
            )
            return said.tool_uses[0]["name"]

        @server.prompt()
        async def ask_first(ctx: Context) -> str:
            """Asks."""
            return str(await ctx.elicit("Who?", Name, key="name"))

        @server.resource("place://here")
        async def here(ctx: Context) -> str:
            """Asks."""
            return (await ctx.roots(key="roots"))[0].uri


# --- rounds ---


async def test_a_question_is_the_answer_and_its_answer_resumes_the_function() -> None:
    world = World()
    async with line(world.server) as client:
        asked = await client.modern("greet")
        assert asks_of(asked) == {
            "name": {
                "method": "elicitation/create",
                "params": {
                    "mode": "form",
                    "message": "Who are you?",
                    "requestedSchema": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}},
                        "required": ["name"],
                    },
                },
            }
        }
        told = await client.modern("greet", answers={"name": accepted(name="Anna")}, state=state_of(asked))
        assert text_of(told) == "Hello, Anna"
    assert len(world.began) == 1


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_who_declines_has_answered(action: str) -> None:
    async with line(World().server) as client:
        asked = await client.modern("greet")
        told = await client.modern("greet", answers={"name": {"action": action}}, state=state_of(asked))
        assert text_of(told) == f"{action}: no greeting"


async def test_what_is_asked_at_once_is_one_round_and_the_retry_hears_its_progress() -> None:
    async with line(World().server) as client:
        first = await client.modern("interview")
        assert {key: ask["method"] for key, ask in asks_of(first).items()} == {
            "name": "elicitation/create",
            "capital": "sampling/createMessage",
            "roots": "roots/list",
        }
        answers = {"name": accepted(name="Anna"), "capital": SAID, "roots": ROOTS}
        second = await client.modern("interview", answers=answers, state=state_of(first))
        page = {"mode": "url", "message": "See this", "url": "https://example.com/"}
        assert asks_of(second) == {"page": {"method": "elicitation/create", "params": page}}
        assert state_of(first) != state_of(second)
        third = await client.modern("interview", answers={"page": {"action": "accept"}}, state=state_of(second))
        assert third["result"]["structuredContent"]["result"] == ["Anna", "Paris", "file:///home", "accept"]


async def test_a_plain_function_asks_from_its_thread() -> None:
    async with line(World().server) as client:
        asked = await client.modern("greet_plainly")
        told = await client.modern("greet_plainly", answers={"name": accepted(name="Anna")}, state=state_of(asked))
        assert text_of(told) == "Anna"


async def test_plain_functions_that_wait_for_people_do_not_keep_others_waiting() -> None:
    world = World(max_threads=1)

    @world.server.tool()
    def now() -> str:
        """Needs a thread."""
        return "now"

    async with line(world.server) as client:
        for _ in range(3):
            asks_of(await client.modern("greet_plainly"))
        assert text_of(await client.modern("now")) == "now"


async def test_questions_without_keys_have_some() -> None:
    async with line(World().server) as client:
        first = await client.modern("without_keys")
        assert list(asks_of(first)) == ["elicit_1"]
        second = await client.modern("without_keys", answers={"elicit_1": accepted(name="Anna")}, state=state_of(first))
        third = await client.modern("without_keys", answers={"elicit_2": accepted(name="Bert")}, state=state_of(second))
        assert text_of(third) == "Anna,Bert"


async def test_questions_are_values_too() -> None:
    async with line(World().server) as client:
        asked = await client.modern("in_one")
        told = await client.modern("in_one", answers={"words": SAID, "places": ROOTS}, state=state_of(asked))
        assert text_of(told) == "m 1"


@pytest.mark.parametrize(
    ("method", "of", "answers", "member"),
    [
        ("prompts/get", "ask_first", {"name": accepted(name="Anna")}, "messages"),
        ("resources/read", "place://here", {"roots": ROOTS}, "contents"),
    ],
)
async def test_prompts_and_resources_ask_too(method: str, of: str, answers: Json, member: str) -> None:
    async with line(World().server) as client:
        asked = await client.modern(of, method=method)
        assert asks_of(asked).keys() == answers.keys()
        told = await client.modern(of, method=method, answers=answers, state=state_of(asked))
        assert told["result"][member]


async def test_a_function_that_waits_no_longer_has_said_its_last_when_the_answer_comes() -> None:  # T11
    world = World()
    async with line(world.server) as client:
        asked = await client.modern("gives_up")
        world.enough.set()
        await asyncio.wait_for(world.all_ended.wait(), BOUND_S)
        told = await client.modern("gives_up", answers={"name": accepted(name="Anna")}, state=state_of(asked))
        assert text_of(told) == "nobody"


# --- answers that are none ---


async def test_answers_that_come_before_they_are_asked_for_are_taken_by_their_keys() -> None:  # T8
    async with line(World().server) as client:
        brought = {"name": accepted(name="Anna"), "shoes": accepted(size=40)}
        assert text_of(await client.modern("greet", answers=brought)) == "Hello, Anna"
        for wrong in ({"nome": accepted(name="Anna")}, {"name": None}, {"name": 7}, {"name": accepted()}):
            assert list(asks_of(await client.modern("greet", answers=wrong))) == ["name"]


async def test_what_is_left_out_is_asked_again_of_the_same_function() -> None:  # T9
    async with line(World().server) as client:
        first = await client.modern("interview")
        some = {"roots": ROOTS, "unasked": 1, "capital": SAID}
        second = await client.modern("interview", answers=some, state=state_of(first))
        assert list(asks_of(second)) == ["name"]
        third = await client.modern("interview", answers={"name": accepted(name="A")}, state=state_of(second))
        assert list(asks_of(third)) == ["page"]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "must be an object"),
        (7, "must be an object"),
        ({}, "needs an action: accept, decline or cancel"),
        ({"action": "maybe"}, "needs an action: accept, decline or cancel"),
        ({"action": "accept"}, "leaves out 'name'"),
        (accepted(name=7), "has a 'name' that is no text"),
        (accepted(name=None), "has a 'name' that is no text"),
    ],
)
async def test_an_answer_that_does_not_fit_is_an_error_and_a_better_one_is_taken(answer: Any, fault: str) -> None:
    async with line(World().server) as client:
        asked = await client.modern("greet")
        told = await client.modern("greet", answers={"name": answer}, state=state_of(asked))
        assert told["error"] == {"code": -32602, "message": f"client: the answer to 'name' {fault}"}
        better = await client.modern("greet", answers={"name": accepted(name="Anna")}, state=state_of(asked))
        assert text_of(better) == "Hello, Anna"


# --- states that are not what they were ---


async def test_the_same_answers_again_are_told_the_same_and_nothing_runs_twice() -> None:  # T4
    world = World()
    async with line(world.server) as client:
        asked = await client.modern("greet")
        retry = {"answers": {"name": accepted(name="Anna")}, "state": state_of(asked)}
        first, second = await client.modern("greet", **retry), await client.modern("greet", **retry)
        assert first["result"] == second["result"]
        assert first["id"] != second["id"]
    assert len(world.began) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda state: state + "-TAMPERED", "is not of this server, or not as it was given"),
        (lambda state: "B" + state[1:], "is not of this server, or not as it was given"),
        (lambda state: "", "is not of this server, or not as it was given"),
    ],
)
async def test_a_state_that_was_changed_ends_the_interaction_and_runs_nothing(change: Any, why: str) -> None:
    world = World()
    async with line(world.server) as client:
        asked = await client.modern("greet")
        told = await client.modern("greet", answers={"name": accepted(name="A")}, state=change(state_of(asked)))
        said = f"client: this requestState {why}; the interaction is lost: start the call again"
        assert told["error"] == {"code": -32602, "message": said}
    assert len(world.began) == 1


async def test_a_state_is_good_for_its_own_call_only() -> None:  # T6
    world = World()
    async with line(world.server) as client:
        state = state_of(await client.modern("greet"))
        answers = {"name": accepted(name="Anna")}
        for tool, arguments in (("greet", {"greeting": "Hey"}), ("greet_plainly", {})):
            told = await client.modern(tool, arguments, answers=answers, state=state)
            assert "given for another call, or for other arguments" in told["error"]["message"]
        assert text_of(await client.modern("greet", answers=answers, state=state)) == "Hello, Anna"
    assert len(world.began) == 1


async def test_a_state_is_good_for_its_own_caller_only() -> None:  # T7
    world = World()
    answers = {"name": accepted(name="Anna")}
    async with line(world.server, principal=Principal("anna")) as anna:
        state = state_of(await anna.modern("greet"))
        mallory = Line(world.server, Principal("mallory"), EVERYTHING)
        told = await mallory.modern("greet", answers=answers, state=state)
        assert told["error"]["code"] == -32602
        assert "was given to somebody else" in told["error"]["message"]
        await mallory.door.aclose()
        assert text_of(await anna.modern("greet", answers=answers, state=state)) == "Hello, Anna"


async def test_a_state_of_another_process_is_lost_and_the_call_is_not_run_again() -> None:  # T5
    key = b"k" * 32
    worlds = [World(seal_keys=[key]), World(seal_keys=[key]), World()]
    states: list[str] = []
    for world in worlds:
        async with line(world.server) as client:
            for state in states:
                told = await client.modern("greet", answers={"name": accepted(name="A")}, state=state)
                assert told["error"]["code"] == -32602
                assert "start the call again" in told["error"]["message"]
            assert world.began == []
            states.append(state_of(await client.modern("greet")))


async def test_a_state_expires_and_what_waited_is_ended() -> None:  # T3
    # What is parked stays five seconds longer than its state is good.
    world = World(answer_within_s=-4.99)
    async with line(world.server) as client:
        asked = await client.modern("greet")
        await asyncio.wait_for(world.all_ended.wait(), BOUND_S)
        told = await client.modern("greet", answers={"name": accepted(name="A")}, state=state_of(asked))
        assert "has expired" in told["error"]["message"]
    assert len(world.began) == 1


# --- who cannot be asked ---


@pytest.mark.parametrize(
    ("tool", "capabilities", "missing"),
    [
        ("greet", {}, {"elicitation": {"form": {}}}),
        ("greet", {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
        ("greet_plainly", {"roots": {}}, {"elicitation": {"form": {}}}),
        ("in_one", {"elicitation": {}}, {"sampling": {}, "roots": {}}),
        ("tools", {"sampling": {}}, {"sampling": {"tools": {}}}),
        ("holds_nothing", {}, {"elicitation": {"form": {}}}),
    ],
)
async def test_who_has_not_declared_it_is_not_asked(tool: str, capabilities: Json, missing: Json) -> None:
    async with line(World().server, capabilities=capabilities) as client:
        told = await client.modern(tool)
        assert (told["error"]["code"], told["error"]["data"]) == (-32021, {"requiredCapabilities": missing})


async def test_an_empty_elicitation_means_forms() -> None:
    async with line(World().server, capabilities={"elicitation": {}}) as client:
        assert list(asks_of(await client.modern("greet"))) == ["name"]


async def test_what_a_retry_declares_counts() -> None:  # T10
    async with line(World().server) as client:
        first = await client.modern("interview")
        client.capabilities = {"elicitation": {}}
        answers = {"name": accepted(name="Anna"), "capital": SAID, "roots": ROOTS}
        told = await client.modern("interview", answers=answers, state=state_of(first))
        assert told["error"]["data"] == {"requiredCapabilities": {"elicitation": {"url": {}}}}


async def test_what_a_retry_no_longer_declares_is_not_asked_again() -> None:  # T10
    async with line(World().server) as client:
        first = await client.modern("interview")
        client.capabilities = {"elicitation": {"form": {}, "url": {}}}
        told = await client.modern("interview", answers={"name": accepted(name="A")}, state=state_of(first))
        assert told["error"]["data"] == {"requiredCapabilities": {"sampling": {}, "roots": {}}}


async def test_a_function_may_know_what_to_do_when_nobody_can_be_asked() -> None:
    async with line(World().server, capabilities={"elicitation": {}}) as client:
        assert text_of(await client.modern("falls_back")) == "went on without: {'roots': {}}"


async def test_a_model_may_want_tools() -> None:
    use = {"type": "tool_use", "id": "1", "name": "t", "input": {}}
    async with line(World().server) as client:
        asked = await client.modern("tools")
        (question,) = asks_of(asked).values()
        assert question["params"]["toolChoice"] == {"mode": "required"}
        answers = {"sample_1": {"role": "assistant", "model": "m", "content": [use], "stopReason": "toolUse"}}
        assert text_of(await client.modern("tools", answers=answers, state=state_of(asked))) == "t"


# --- without a coroutine that waits ---


async def test_a_function_that_returns_its_questions_finds_its_state_again() -> None:
    world = World()
    async with line(world.server) as client:
        asked = await client.modern("holds_nothing", {"step": 2})
        assert len(world.server.toolbox.parking) == 0
        state = state_of(asked)
        assert "step" not in state
        again = await client.modern("holds_nothing", {"step": 2}, answers={}, state=state)
        told = await client.modern(
            "holds_nothing", {"step": 2}, answers={"name": accepted(name="Anna")}, state=state_of(again)
        )
        assert text_of(told) == "Anna after step 2"
        wrong = await client.modern("holds_nothing", {"step": 2}, answers={"name": 7}, state=state)
        assert wrong["error"] == {"code": -32602, "message": "client: the answer to 'name' must be an object"}
    assert world.began == ["", "step 2", "step 2", "step 2"]


async def test_processes_that_share_a_key_go_on_where_another_has_asked() -> None:
    one, two = (World(seal_keys=[b"k" * 32]) for _ in range(2))
    async with line(one.server) as client:
        state = state_of(await client.modern("holds_nothing"))
    async with line(two.server) as client:
        told = await client.modern("holds_nothing", answers={"name": accepted(name="Anna")}, state=state)
        assert text_of(told) == "Anna after step 1"


async def test_a_result_that_may_be_a_question_is_described_without_it() -> None:
    async with Client(World().server) as client:
        (tool,) = [tool for tool in await client.tools() if tool["name"] == "holds_nothing"]
        assert tool["outputSchema"]["properties"] == {"result": {"type": "string"}}


async def test_who_never_stops_asking_is_stopped() -> None:
    async with line(World().server) as client:
        asked = await client.modern("holds_nothing")
        for _ in range(31):
            asked = await client.modern("holds_nothing", answers={}, state=state_of(asked))
        told = await client.modern("holds_nothing", answers={}, state=state_of(asked))
        assert told["error"] == {"code": -32603, "message": "server: still asking after 32 rounds"}


# --- ends ---


async def test_the_end_of_a_server_ends_what_waits_in_coroutines_and_in_threads() -> None:
    world = World()
    async with line(world.server) as client:
        others = [Line(world.server, Principal(name), EVERYTHING) for name in ("anna", "bert")]
        for one in (client, *others):
            for _ in range(100):
                asks_of(await one.modern("greet"))
        asks_of(await client.modern("greet_plainly"))
        assert len(world.server.toolbox.parking) == 301
        for other in others:
            await other.door.aclose()
    assert len(world.ended) >= 300
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("douane-tool")]:
        thread.join(BOUND_S)
    assert "cancelled" in world.ended


async def test_a_caller_who_leaves_too_many_questions_open_gets_no_more() -> None:
    world = World()
    async with line(world.server) as client:
        for _ in range(128):
            asks_of(await client.modern("greet"))
        told = await client.modern("greet")
        assert told["error"]["message"] == "server: too many calls wait for input; try again later"


async def test_a_retry_that_is_cancelled_ends_the_function() -> None:
    server = Server("s")
    reached, ended = asyncio.Event(), asyncio.Event()

    @server.tool()
    async def slow(ctx: Context) -> str:
        """Asks, then takes for ever."""
        await ctx.roots(key="roots")
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    async with line(server) as client:
        asked = await client.modern("slow")
        retry = asyncio.ensure_future(client.modern("slow", answers={"roots": ROOTS}, state=state_of(asked)))
        await asyncio.wait_for(reached.wait(), BOUND_S)
        client.send(method="notifications/cancelled", params={"requestId": 2})
        await asyncio.wait_for(ended.wait(), BOUND_S)
        retry.cancel()


async def test_after_the_call_nobody_can_be_asked() -> None:
    server = Server("s")
    kept: list[Context] = []

    @server.tool()
    async def keep(ctx: Context) -> str:
        """Keeps its context."""
        kept.append(ctx)
        return ""

    async with line(server) as client:
        await client.modern("keep")
    with pytest.raises(RuntimeError, match="has ended"):
        await kept[0].roots()


async def test_an_answer_is_for_the_question_that_was_shown_and_not_for_a_later_one_of_its_key() -> None:
    server = Server("s")
    enough, later = asyncio.Event(), asyncio.Event()

    @server.tool()
    async def delete(ctx: Context) -> str:
        """Asks to delete one thing; after a while, another."""
        first = asyncio.ensure_future(ctx.elicit("Delete A?", Name, key="sure"))
        await enough.wait()
        first.cancel()
        await asyncio.wait({first})
        later.set()
        return f"B: {(await ctx.elicit('Delete B?', Name, key='sure')).action}"

    async with line(server) as client:
        asked = await client.modern("delete")
        enough.set()
        await asyncio.wait_for(later.wait(), BOUND_S)
        again = await client.modern("delete", answers={"sure": accepted(name="yes")}, state=state_of(asked))
        assert asks_of(again)["sure"]["params"]["message"] == "Delete B?"
        told = await client.modern("delete", answers={"sure": {"action": "decline"}}, state=state_of(again))
        assert text_of(told) == "B: decline"


async def test_a_function_that_is_ended_cannot_ask_once_more() -> None:
    server = Server("s")
    ended: list[str] = []

    @server.tool()
    async def undo(ctx: Context) -> str:
        """Asks what to do about it, when it is ended."""
        try:
            await ctx.roots(key="first")
        finally:
            try:
                await ctx.roots(key="undo")
            except RuntimeError as exc:
                ended.append(str(exc))
        return ""

    async with line(server) as client:
        asks_of(await client.modern("undo"))
    assert ended == ["the call has ended; nobody can be asked any more"]


async def test_two_questions_of_one_key_at_once_are_a_fault_of_the_author() -> None:
    server = Server("s")

    @server.tool()
    async def twice(ctx: Context) -> str:
        """Asks twice with one key."""
        await asyncio.gather(ctx.roots(key="r"), ctx.roots(key="r"))
        return ""

    async with line(server) as client:
        told = await client.modern("twice")
        assert told["result"]["isError"] is True


async def test_waiting_is_for_threads() -> None:
    server = Server("s")

    @server.tool()
    async def wrong(ctx: Context) -> str:
        """Waits where it must not."""
        asked = ctx.roots()
        try:
            ctx.wait(asked)
        except RuntimeError as exc:
            asked.close()
            return str(exc)
        return ""

    async with line(server) as client:
        assert "write `await`" in text_of(await client.modern("wrong"))


async def test_a_client_of_ours_that_cannot_answer_is_told_what_was_needed() -> None:
    async with Client(World().server) as client:
        with pytest.raises(ServerError, match=r"has not declared elicitation\.form"):
            await client.call("greet")


async def test_what_is_said_while_nobody_listens_is_heard_by_the_retry() -> None:
    server = Server("s")
    alone, said = asyncio.Event(), asyncio.Event()

    @server.tool()
    async def works_on(ctx: Context) -> str:
        """Asks, and works meanwhile."""
        ctx.progress(1)
        asked = asyncio.ensure_future(ctx.roots(key="roots"))
        await alone.wait()
        for done in range(2, 300):
            ctx.progress(done)
        said.set()
        await asked
        ctx.progress(1000)
        return "done"

    async with line(server) as client:
        envelope = {"progressToken": "first"}
        client.send(id=1, method="tools/call", params=client.params("works_on", envelope))
        first = await client.hear()
        assert (first["params"]["progressToken"], first["params"]["progress"]) == ("first", 1)
        asked = await client.hear()
        alone.set()
        await asyncio.wait_for(said.wait(), BOUND_S)
        retry = client.params("works_on", {"progressToken": "second"})
        retry |= {"inputResponses": {"roots": ROOTS}, "requestState": state_of(asked)}
        client.send(id=2, method="tools/call", params=retry)
        heard = [await client.hear() for _ in range(102)]
        assert [one["params"]["progress"] for one in heard[:-1]] == [*range(2, 102), 1000]
        assert {one["params"]["progressToken"] for one in heard[:-1]} == {"second"}
        assert text_of(heard[-1]) == "done"


async def test_a_resource_that_may_ask_is_still_text() -> None:
    server = Server("s")

    @server.resource("place://text")
    async def text(ctx: Context) -> str | Ask:
        """Text, or a question."""
        return "text"

    async with Client(server) as client:
        assert "mimeType" not in (await client.resources())[0]


def test_a_page_to_visit_is_one_of_the_web() -> None:
    with pytest.raises(ValueError, match="no page of the web"):
        ElicitUrl("See", "javascript:alert(1)")
