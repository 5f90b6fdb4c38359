"""A server made of functions, as a client in the same process meets it: on a line, in the newest era."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any

import pytest

from douane.sdk import (
    Client,
    Context,
    DefinitionError,
    Embedded,
    Image,
    Link,
    Message,
    Result,
    Server,
    ServerError,
    Text,
    ToolError,
)

BOUND_S = 5.0
HERE = __file__


@dataclass
class Sum:
    total: int


def sums() -> Server:
    server = Server("sums", "1.2", title="Sums", instructions="Add things.")

    @server.tool(reads=True)
    def add(a: int, b: Annotated[int, "What to add"] = 1) -> Sum:
        """Add two numbers.

        More words.

        Args:
            a: The first
        """
        return Sum(a + b)

    return server


async def test_a_tool_is_shown_with_what_its_function_says() -> None:
    async with Client(sums()) as client:
        assert (client.server, client.instructions) == (
            {"name": "sums", "title": "Sums", "version": "1.2"},
            "Add things.",
        )
        assert await client.tools() == [
            {
                "name": "add",
                "description": "Add two numbers.",
                "annotations": {"readOnlyHint": True},
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "a": {"type": "integer", "description": "The first"},
                        "b": {"type": "integer", "description": "What to add", "default": 1},
                    },
                    "required": ["a"],
                    "additionalProperties": False,
                },
                "outputSchema": {
                    "title": "Sum",
                    "type": "object",
                    "properties": {"total": {"type": "integer"}},
                    "required": ["total"],
                },
            }
        ]
        assert (await client.resources(), await client.templates(), await client.prompts()) == ([], [], [])


async def test_a_result_is_text_for_the_model_and_data_for_programs() -> None:
    async with Client(sums()) as client:
        answer = await client.call("add", {"a": 2, "b": 3})
        assert (answer.text, answer.structured, answer.is_error) == ('{"total":5}', {"total": 5}, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "client: argument 'a' is missing"),
        ({"a": "2"}, "client: argument 'a': expected int, got str"),
        ({"a": 1, "c": 1}, "client: there is no argument 'c'; there are: a, b"),
        ({"a": 1.5}, "client: argument 'a': expected int, got float"),
    ],
)
async def test_arguments_that_do_not_fit_are_told_to_the_model(arguments: dict[str, Any], said: str) -> None:
    async with Client(sums()) as client:
        answer = await client.call("add", arguments)
        assert (answer.is_error, answer.text, answer.structured) == (True, said, None)


async def test_an_integer_written_as_a_float_is_an_integer() -> None:
    async with Client(sums()) as client:
        assert (await client.call("add", {"a": 2.0})).structured == {"total": 3}


async def test_an_unknown_tool_is_an_error_of_the_protocol() -> None:
    async with Client(sums()) as client:
        with pytest.raises(ServerError, match="there is no tool 'sub'") as told:
            await client.call("sub")
        assert told.value.code == -32602


async def test_plain_functions_run_in_threads_side_by_side_and_coroutines_on_the_loop() -> None:
    server, barrier = Server("s"), threading.Barrier(3, timeout=BOUND_S)

    @server.tool()
    def meet() -> str:
        barrier.wait()
        return threading.current_thread().name

    @server.tool()
    async def here() -> str:
        return threading.current_thread().name

    async with Client(server) as client:
        met = await asyncio.gather(*(client.call("meet") for _ in range(3)))
        assert len({answer.text for answer in met}) == 3
        assert (await client.call("here")).text == threading.current_thread().name


async def test_more_plain_functions_than_threads_wait_their_turn() -> None:
    server = Server("s", max_threads=2)

    @server.tool()
    def number(n: int) -> int:
        return n

    async with Client(server) as client:
        answers = await asyncio.gather(*(client.call("number", {"n": n}) for n in range(20)))
        assert [answer.structured["result"] for answer in answers] == list(range(20))


async def test_progress_and_logs_arrive_in_order_before_the_answer_from_threads_and_coroutines() -> None:
    server = Server("s")

    @server.tool()
    def plain(context: Context) -> str:
        context.progress(1, 2, "half")
        context.progress(1, 2, "not more")
        context.progress(2, 2)
        context.debug("unheard")
        context.warning({"a": 1})
        return "done"

    @server.tool()
    async def waits(context: Context) -> str:
        context.progress(1, 2, "half")
        context.progress(2, 2)
        context.warning({"a": 1})
        return "done"

    heard: list[Any] = []
    async with Client(server) as client:
        for tool in ("plain", "waits"):
            heard.clear()
            await client.call(
                tool, on_progress=lambda *said: heard.append(said), on_log=lambda *said: heard.append(said)
            )
            assert heard == [(1, 2, "half"), (2, 2, None), ("warning", {"a": 1})]
        assert "context" not in (await client.tools())[0]["inputSchema"]["properties"]


async def test_a_cancelled_call_interrupts_a_coroutine_and_tells_a_thread() -> None:
    server, begun, ended = Server("s"), asyncio.Event(), asyncio.Event()
    loop, seen = asyncio.get_running_loop(), threading.Event()

    @server.tool()
    async def waits() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    @server.tool()
    def plain(context: Context) -> None:
        loop.call_soon_threadsafe(begun.set)
        while not context.cancelled and not seen.wait(0.01):
            pass
        seen.set()
        loop.call_soon_threadsafe(ended.set)

    async with Client(server) as client:
        for tool in ("waits", "plain"):
            begun.clear()
            ended.clear()
            call = asyncio.create_task(client.call(tool))
            await asyncio.wait_for(begun.wait(), BOUND_S)
            call.cancel()
            await asyncio.wait_for(ended.wait(), BOUND_S)


async def test_a_deadline_ends_a_call() -> None:
    server = Server("s")

    @server.tool()
    async def waits() -> None:
        await asyncio.Event().wait()

    async with Client(server) as client:
        with pytest.raises(ServerError, match="no answer within"):
            await client.call("waits", deadline_s=0.05)


async def test_a_tool_error_is_told_and_every_other_fault_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    server = Server("s")

    @server.tool()
    def told() -> str:
        raise ToolError("no such city")

    @server.tool()
    def broken() -> str:
        raise ValueError("secret")

    @server.tool()
    def leaves() -> str:
        raise SystemExit(3)

    @server.tool()
    async def leaves_the_loop() -> str:
        raise SystemExit(3)

    @server.tool()
    async def awaits_what_was_cancelled() -> str:
        other = asyncio.ensure_future(asyncio.sleep(60))
        other.cancel()
        await other
        return "never"

    async with Client(server) as client:
        assert ((await client.call("told")).text, (await client.call("told")).is_error) == ("no such city", True)
        for tool in ("broken", "leaves", "leaves_the_loop", "awaits_what_was_cancelled"):
            answer = await client.call(tool)
            assert answer.is_error
            assert f"server: tool {tool!r} failed" in answer.text
            assert "secret" not in answer.text
    assert HERE in caplog.text
    assert "secret" in caplog.text


async def test_what_cannot_be_sent_is_blamed_on_its_function(caplog: pytest.LogCaptureFixture) -> None:
    server = Server("s")

    @server.tool()
    def thing() -> Any:
        return object()

    @server.tool()
    def nan() -> float:
        return float("nan")

    @server.tool()
    def lies() -> Sum:
        return "no sum"  # type: ignore[return-value]

    async with Client(server) as client:
        for tool in ("thing", "nan", "lies"):
            assert (await client.call(tool)).is_error
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [HERE in line for line in said] == [True] * 3
    assert "object cannot be written as JSON" in said[0]
    assert "nan is not a number in JSON" in said[1]
    assert "does not promise: Expected `object`, got `str`" in said[2]


HALF = os.fsdecode(b"caf\xe9")
RETURNED: list[Any] = [
    HALF,
    Text(HALF),
    Link("file:///x", HALF),
    Embedded("file:///x", HALF),
    Result(["x"], structured={"name": HALF}),
    [Text("x", annotations={HALF: 1})],
    {"name": [HALF]},
    {HALF: "name"},
]


@pytest.mark.parametrize("returned", RETURNED)
async def test_text_that_is_none_is_blamed_on_its_tool(returned: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = Server("s")

    @server.tool()
    def thing() -> Any:
        return returned

    async with Client(server) as client:
        answer = await client.call("thing")
    assert (answer.is_error, "server: tool 'thing' failed; its log says why" in answer.text) == (True, True)
    (said,) = (record.getMessage() for record in caplog.records if record.levelno == logging.ERROR)
    assert HERE in said
    assert "tool 'thing' returned text with '\\udce9', which is half of a pair and no character" in said


async def test_text_that_is_none_is_blamed_on_whatever_returned_it(caplog: pytest.LogCaptureFixture) -> None:
    server = Server("s")

    @server.tool()
    def exact() -> str:
        return HALF

    @server.tool()
    def told() -> str:
        raise ToolError(f"there is no {HALF}")

    @server.resource("x://{name}")
    def page(name: str) -> str:
        return HALF

    @server.prompt()
    def words() -> str:
        return HALF

    @server.completion("x://{name}", "name")
    def names(value: str) -> list[str]:
        return [HALF]

    async with Client(server) as client:
        assert (await client.call("exact")).is_error
        assert (await client.call("told")).text == "there is no caf\\udce9"
        for asked in (client.read("x://1"), client.prompt("words"), client.complete("x://{name}", "name", "")):
            with pytest.raises(ServerError, match="failed; its log says why"):
                await asked
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert ["half of a pair" in line for line in said] == [True] * 4


async def test_content_and_results_made_by_hand_pass_as_they_are() -> None:
    server = Server("s")

    @server.tool()
    def picture() -> list[Text | Image]:
        return [Text("a dot"), Image(b"\x89PNG", "image/png")]

    @server.tool()
    def file() -> Embedded:
        return Embedded("file:///a", b"\x00", "application/x")

    @server.tool()
    def whole() -> Result:
        return Result(["bad"], structured={"n": 1}, is_error=True)

    async with Client(server) as client:
        assert [tool.get("outputSchema") for tool in await client.tools()] == [None] * 3
        assert (await client.call("picture")).content == (
            {"type": "text", "text": "a dot"},
            {"type": "image", "data": "iVBORw==", "mimeType": "image/png"},
        )
        assert (await client.call("file")).content == (
            {"type": "resource", "resource": {"uri": "file:///a", "mimeType": "application/x", "blob": "AA=="}},
        )
        answer = await client.call("whole")
        assert (answer.text, answer.structured, answer.is_error) == ("bad", {"n": 1}, True)


def library() -> Server:
    server = Server("library")

    @server.resource("config://cities", ttl_s=60)
    def cities() -> dict[str, str]:
        """Cities."""
        return {"Paris": "FR"}

    @server.resource("db://schema/{table}/{version}")
    async def schema(table: str, version: int) -> str:
        if table == "none":
            raise ToolError("there is no such table")
        return f"{table} {version + 1}"

    @server.resource("files://{+path}", mime="application/octet-stream")
    def file(path: str) -> bytes:
        return path.encode()

    @server.prompt()
    def report(city: str, days: int = 1) -> list[str | Message]:
        """A report.

        Args:
            city: Which city
        """
        return [f"Report on {city} for {days} days", Message("Gladly.", "assistant")]

    @server.completion("report", "city")
    def complete_city(typed: str, others: dict[str, str]) -> list[str]:
        return [f"{typed}{n}{others.get('days', '')}" for n in range(150)]

    @server.completion("db://schema/{table}/{version}", "table")
    async def complete_table(typed: str) -> list[str]:
        return [typed + "s"]

    return server


async def test_resources_and_templates_are_listed_and_read() -> None:
    async with Client(library()) as client:
        assert await client.resources() == [
            {"name": "cities", "uri": "config://cities", "description": "Cities.", "mimeType": "application/json"}
        ]
        templates = [template["uriTemplate"] for template in await client.templates()]
        assert templates == ["db://schema/{table}/{version}", "files://{+path}"]
        assert await client.read("config://cities") == [
            {"uri": "config://cities", "mimeType": "application/json", "text": '{"Paris":"FR"}'}
        ]
        assert (await client.read("db://schema/city%20names/2"))[0]["text"] == "city names 3"
        assert (await client.read("files://a/b"))[0]["blob"] == "YS9i"


@pytest.mark.parametrize(
    "uri",
    [
        "config://citie",
        "db://schema/a/b/1",
        "db://schema/a%2Fb/1",
        "db://schema//1",
        "files://a/../b",
        "files://a/%2e%2e/b",
        "files://a%00",
        "db://schema/none/1",
        "db://schema/a/one",
    ],
)
async def test_a_uri_that_nothing_serves_is_an_error_with_the_uri(uri: str) -> None:
    async with Client(library()) as client:
        with pytest.raises(ServerError) as told:
            await client.read(uri)
        assert (told.value.code, told.value.data) == (-32602, {"uri": uri})


async def test_prompts_are_listed_and_made() -> None:
    async with Client(library()) as client:
        assert await client.prompts() == [
            {
                "name": "report",
                "description": "A report.",
                "arguments": [
                    {"name": "city", "description": "Which city", "required": True},
                    {"name": "days", "required": False},
                ],
            }
        ]
        assert await client.prompt("report", {"city": "Oslo", "days": "2"}) == [
            {"role": "user", "content": {"type": "text", "text": "Report on Oslo for 2 days"}},
            {"role": "assistant", "content": {"type": "text", "text": "Gladly."}},
        ]
        with pytest.raises(ServerError, match="argument 'city' is missing"):
            await client.prompt("report")
        with pytest.raises(ServerError, match="there is no prompt 'nope'"):
            await client.prompt("nope")


async def test_arguments_of_prompts_and_templates_are_completed() -> None:
    async with Client(library()) as client:
        values = await client.complete("report", "city", "O", {"days": "!"})
        assert (len(values), values[0]) == (100, "O0!")
        assert await client.complete("report", "days", "") == []
        assert await client.complete("db://schema/{table}/{version}", "table", "cat") == ["cats"]
        with pytest.raises(ServerError, match="there is no prompt 'nope'"):
            await client.complete("nope", "city", "")


async def test_lists_come_in_pages_in_the_order_of_definition_and_a_changed_list_says_so() -> None:
    server = Server("many", page_items=3)
    names = [f"tool_{n}" for n in (5, 3, 4, 1, 2, 0, 9)]
    for name in names:
        server.tool(name)(_nothing)
    notes: list[str] = []
    async with Client(server, on_note=lambda method, params: notes.append(method)) as client:
        assert [tool["name"] for tool in await client.tools()] == names
        page = await client.request("tools/list", {})
        server.remove("tools", "tool_1")
        with pytest.raises(ServerError, match="the list changed"):
            await client.request("tools/list", {"cursor": page["nextCursor"]})
        assert [tool["name"] for tool in await client.tools()] == [n for n in names if n != "tool_1"]


def _nothing() -> None: ...


async def test_what_the_lifespan_opens_is_open_as_long_as_anybody_is_there() -> None:
    states: list[str] = []

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncGenerator[dict[str, str]]:
        states.append(f"open {server.name}")
        yield {"db": "there"}
        states.append("closed")

    server = Server("s", lifespan=lifespan)

    @server.tool()
    async def look(context: Context) -> str:
        return context.state["db"]

    async with Client(server) as one:
        async with Client(server) as two:
            assert [(await client.call("look")).text for client in (one, two)] == ["there", "there"]
        assert states == ["open s"]
    assert states == ["open s", "closed"]


async def test_a_lifespan_that_fails_is_told_to_who_opens_and_leaves_nothing() -> None:
    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncGenerator[None]:
        raise OSError("no database")
        yield

    with pytest.raises(OSError, match="no database"):
        async with Client(Server("s", lifespan=lifespan)):
            pass


async def test_a_lifespan_that_fails_at_its_end_is_told_to_the_last_who_leaves() -> None:
    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncGenerator[None]:
        yield
        raise OSError("cannot be closed")

    with pytest.raises(OSError, match="cannot be closed"):
        async with Client(Server("s", lifespan=lifespan)) as client:
            assert await client.tools() == []


def test_decorated_functions_stay_what_they_were() -> None:
    server = Server("s")

    @server.tool("double")
    def twice(n: int) -> int:
        return 2 * n

    assert twice(4) == 8


def test_what_cannot_be_served_is_refused_where_it_is_written() -> None:
    server = Server("s")

    def unhinted(x) -> str: ...  # type: ignore[no-untyped-def]

    def odd(x: complex) -> str: ...

    def returns() -> complex: ...

    def flat(*x: int) -> str: ...

    def extra(table: str, other: str) -> str: ...

    def good(table: str) -> str: ...

    server.tool()(good)
    server.prompt()(good)
    line = good.__code__.co_firstlineno
    for add, function, said in (
        (server.tool(), unhinted, "argument 'x' has no type hint; write for example `x: str`"),
        (server.tool(), odd, "has no JSON form; take a dataclass"),
        (server.tool(), returns, "what it returns cannot be described"),
        (server.tool(), flat, "name each argument"),
        (server.tool(), good, f"'good' is defined twice, first at {HERE}:{line}; rename one with `name=`"),
        (server.tool("no blanks"), good, "the name 'no blanks' is not 1 to 128 of"),
        (server.resource("db://{table}"), extra, "takes 'other', which is not in 'db://{table}'"),
        (server.resource("db://{table}/{x}"), good, "has a variable 'x' that the function does not take"),
        (server.resource("db://{table}{x}"), good, "two variables need a literal between them"),
        (server.resource("db://{table"), good, "a brace is not closed"),
        (server.resource("table"), good, "is no absolute URI; begin with a scheme"),
        (server.completion("nope", "x"), good, "there is no prompt or template 'nope' (yet); define it above"),
        (server.completion("good", "x"), good, "'good' has no argument 'x'"),
        (server.completion("good", "table"), flat, "name each argument"),
        (server.completion("good", "table"), _nothing, "a completion takes what was typed"),
    ):
        with pytest.raises(DefinitionError) as told:
            add(function)
        assert f"{HERE}:{function.__code__.co_firstlineno}: " in str(told.value)
        assert said in str(told.value)
    assert list(server.toolbox.tools) == ["good"]


def test_a_decorator_without_its_parentheses_says_so() -> None:
    server = Server("s")
    for decorator in (server.tool, server.prompt, server.resource):
        with pytest.raises(DefinitionError, match="with parentheses") as told:
            decorator(_nothing)  # type: ignore[arg-type]
        assert f"{HERE}:{_nothing.__code__.co_firstlineno}: " in str(told.value)


async def test_wrapped_functions_are_called_as_they_are_wrapped() -> None:
    server = Server("s")

    def shouted(function: Any) -> Any:
        @wraps(function)
        async def shout(*args: Any, **kwargs: Any) -> str:
            return function(*args, **kwargs).upper()

        return shout

    @server.tool()
    @shouted
    def say(word: str) -> str:
        return word

    async with Client(server) as client:
        assert (await client.call("say", {"word": "a"})).text == "A"


async def test_no_thread_is_left_when_the_last_client_has_gone_and_the_next_one_has_new_ones() -> None:
    server = Server("s")

    ours: list[threading.Thread] = []

    @server.tool()
    def thread() -> str:
        # By itself: those of other servers of this process have the same name, and may be at work still.
        ours.append(threading.current_thread())
        return ours[-1].name

    for _ in range(2):
        async with Client(server) as client:
            assert (await client.call("thread")).text == "douane-tool-1"
        ours[-1].join(BOUND_S)
        assert not ours[-1].is_alive()
    assert len(set(ours)) == 2
