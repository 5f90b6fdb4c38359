"""A client of the handshake era that loses an event stream takes it up where it was, and misses nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from raw_http import OLDER, Peer, Said, events, served

from douane.sdk import Context, Server

CALL = {"name": "walk", "arguments": {}, "_meta": {"progressToken": "p"}}


class Walk:
    """A server whose one tool takes steps when it is told to, and says each."""

    def __init__(self) -> None:
        self.server = Server("walk")
        self.steps: asyncio.Queue[str] = asyncio.Queue()
        self.elsewhere: asyncio.Queue[str] = asyncio.Queue()
        self.cancelled = asyncio.Event()
        self.server.tool()(self.walk)

    async def walk(self, ctx: Context, elsewhere: bool = False) -> str:
        """Step by step, until told `stop`."""
        done, steps = 0, self.elsewhere if elsewhere else self.steps
        try:
            while (step := await steps.get()) != "stop":
                if step == "close":
                    ctx.close_stream(0.05)
                else:
                    done += 1
                    ctx.progress(done, message=step)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return f"{done} steps"


@asynccontextmanager
async def walk(revision: str = OLDER) -> AsyncIterator[tuple[Walk, Peer]]:
    at = Walk()
    async with served(at.server) as peer:
        await peer.greet(revision)
        yield at, peer


def steps(said: list[Said]) -> list[str]:
    return [one.message["params"]["message"] for one in said if one.message and "params" in one.message]


def result(said: Said) -> str:
    assert said.message is not None
    return said.message["result"]["content"][0]["text"]


async def take(stream: AsyncIterator[Said], count: int) -> list[Said]:
    return [await anext(stream) for _ in range(count)]


async def test_a_stream_begins_with_an_id_and_says_when_to_come_again() -> None:
    async with walk() as (at, peer), peer.wire() as line:
        await peer.begin(line, "tools/call", CALL)
        at.steps.put_nowait("one")
        assert (await line.status())[0] == 200
        first, second = await take(events(line), 2)
        assert (first.message, bool(first.id), first.retry) == (None, True, "1000")
        assert steps([second]) == ["one"]
        assert second.id not in ("", first.id)


@pytest.mark.parametrize("revision", ["2025-03-26", "2025-06-18"])
async def test_older_revisions_have_ids_and_no_event_without_data(revision: str) -> None:
    async with walk(revision) as (at, peer), peer.wire() as line:
        await peer.begin(line, "tools/call", CALL)
        at.steps.put_nowait("one")
        at.steps.put_nowait("close")
        at.steps.put_nowait("stop")
        await line.status()
        step, last = [said async for said in events(line)]
        assert (steps([step]), bool(step.id), step.retry, result(last)) == (["one"], True, "", "1 steps")


async def test_a_call_answered_at_once_is_answered_as_json() -> None:
    async with walk() as (at, peer):
        at.steps.put_nowait("stop")
        answer = await peer.post("tools/call", CALL)
        assert answer.headers["content-type"] == "application/json"
        assert answer.message["result"]["content"][0]["text"] == "0 steps"


async def test_a_lost_stream_goes_on_where_it_was_until_its_answer() -> None:
    async with walk() as (at, peer):
        async with peer.wire() as line:
            await peer.begin(line, "tools/call", CALL)
            at.steps.put_nowait("one")
            await line.status()
            heard = await take(events(line), 2)
        at.steps.put_nowait("two")
        async with peer.wire() as line:
            assert await peer.listen(line, heard[-1].id) == 200
            stream = events(line)
            assert steps(await take(stream, 1)) == ["two"]
            at.steps.put_nowait("three")
            at.steps.put_nowait("stop")
            three, answer = [said async for said in stream]
            assert (steps([three]), result(answer)) == (["three"], "3 steps")
        assert not at.cancelled.is_set()
        # Once more, from the beginning: exactly what came after it, and the end.
        async with peer.wire() as line:
            assert await peer.listen(line, heard[0].id) == 200
            again = [said async for said in events(line)]
            assert (steps(again), result(again[-1])) == (["one", "two", "three"], "3 steps")


async def test_an_answer_given_while_the_client_was_away_waits_for_it() -> None:
    async with walk() as (at, peer):
        async with peer.wire() as line:
            await peer.begin(line, "tools/call", CALL)
            at.steps.put_nowait("one")
            await line.status()
            heard = await take(events(line), 2)
        at.steps.put_nowait("stop")
        # Answered behind it.
        at.steps.put_nowait("stop")
        await peer.post("tools/call", CALL)
        async with peer.wire() as line:
            assert await peer.listen(line, heard[-1].id) == 200
            assert [result(said) async for said in events(line)] == ["1 steps"]


async def test_only_the_stream_that_was_lost_is_told_again() -> None:
    async with walk() as (at, peer), peer.wire() as one, peer.wire() as other:
        heard: list[list[Said]] = []
        for line, told in ((one, at.steps), (other, at.elsewhere)):
            arguments = {"elsewhere": told is at.elsewhere}
            await peer.begin(line, "tools/call", {**CALL, "arguments": arguments})
            told.put_nowait("a step")
            await line.status()
            heard.append(await take(events(line), 2))
            told.put_nowait("stop")
        async with peer.wire() as line:
            assert await peer.listen(line, heard[0][0].id) == 200
            again = [said async for said in events(line)]
        assert again[0] == heard[0][1]
        assert len({said.id for said in (*heard[0], *heard[1], *again)}) == 5


async def test_the_server_can_close_a_stream_and_the_client_comes_again() -> None:
    async with walk() as (at, peer):
        async with peer.wire() as line:
            await peer.begin(line, "tools/call", CALL)
            at.steps.put_nowait("close")
            await line.status()
            heard = [said async for said in events(line)]
        assert [(said.message, said.retry) for said in heard] == [(None, "1000"), (None, "50")]
        at.steps.put_nowait("one")
        at.steps.put_nowait("stop")
        async with peer.wire() as line:
            assert await peer.listen(line, heard[-1].id) == 200
            step, answer = [said async for said in events(line)]
            assert (steps([step]), result(answer)) == (["one"], "1 steps")


async def test_an_id_that_is_unknown_or_of_another_session_is_refused_clearly() -> None:
    async with walk() as (at, peer):
        other = Peer(peer.port)
        await other.greet()
        at.steps.put_nowait("one")
        async with other.wire() as line:
            await other.begin(line, "tools/call", CALL)
            await line.status()
            foreign = (await take(events(line), 2))[-1].id
        tag, stream, _ = foreign.split("-")
        for unknown in (foreign, "x", "1", f"{tag}-{stream}-999999", "-1", "a-b-c", "0-0-0", "9" * 5000):
            answer = await peer.get(unknown)
            assert (answer.status, b"Last-Event-ID" in answer.body) == (400, True), unknown
        assert (await other.get(f"{tag}-{stream}-99")).status == 400
        at.steps.put_nowait("stop")


async def test_a_session_of_another_principal_does_not_exist() -> None:
    async with served(Walk().server, token="a" * 40) as peer:
        await peer.greet()
        async with peer.wire() as line:
            assert await peer.listen(line) == 200
            primed = await anext(events(line))
        stranger = Peer(peer.port)
        stranger.session = peer.session
        assert (await stranger.get(primed.id)).status == 401


async def test_the_end_of_a_session_ends_its_streams_and_forgets_them() -> None:
    async with walk() as (at, peer), peer.wire() as line:
        await peer.begin(line, "tools/call", CALL)
        at.steps.put_nowait("one")
        await line.status()
        stream = events(line)
        heard = await take(stream, 2)
        async with peer.wire() as other:
            await other.send("DELETE", peer.headers({}))
            assert (await other.answer()).status == 204
        assert [said async for said in stream] == []
        await asyncio.wait_for(at.cancelled.wait(), 5)
        assert (await peer.get(heard[0].id)).status == 404


async def test_what_is_told_to_nobody_in_particular_is_told_again_to_who_comes_back() -> None:
    async with walk() as (at, peer):
        async with peer.wire() as line:
            assert await peer.listen(line) == 200
            primed = await anext(events(line))
        at.server.tool("another")(at.walk)
        async with peer.wire() as line:
            assert await peer.listen(line, primed.id) == 200
            changed = await anext(events(line))
            assert changed.message is not None
            assert changed.message["method"] == "notifications/tools/list_changed"


async def test_a_question_outlives_the_stream_it_was_asked_on() -> None:
    """T16: who goes away in the middle of a question comes back, answers, and hears how it ended."""
    server = Server("asks")

    @server.tool()
    async def name(ctx: Context) -> str:
        """Ask for a name."""
        ctx.progress(1)
        form = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        said = await ctx.elicit("Who are you?", form)
        return f"{said.action}: {said.content}"

    async with served(server) as peer:
        await peer.greet(capabilities={"elicitation": {"form": {}}})
        async with peer.wire() as line:
            await peer.begin(line, "tools/call", {**CALL, "name": "name"})
            await line.status()
            primed, progress = await take(events(line), 2)
        assert primed.message is None
        async with peer.wire() as line:
            assert await peer.listen(line, progress.id) == 200
            stream = events(line)
            asked = (await anext(stream)).message
            assert asked is not None
            assert asked["method"] == "elicitation/create"
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"name": "Anna"}}}
        assert await peer.reply(answer) == 202
        async with peer.wire() as line:
            assert await peer.listen(line, progress.id) == 200
            again, last = [said async for said in events(line)]
            assert again.message == asked
            assert result(last) == "accept: {'name': 'Anna'}"
