"""Questions that nobody answers: of none of them is anything left in the gateway, and each has an end in the audit."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
from frontdoor.test_questions import CAPABILITIES, asking
from gateway_clients import (
    HttpClient,
    enveloped,
    head,
    holding,
    http,
    post,
    request,
    session,
    text_of,
    tool,
    until_ready,
    wire,
)
from gateway_world import SOON_S, Gateway, gateway, until
from http_upstream import Heard, http_upstream

WAVE = 8
COUNT = 50
MANY = 5_000
"""Twice."""
PER_CALLER = 32
"""The sessions one caller may have at a server by URL, for calls that may be asked something."""
AT_ONCE = 48
"""More than that: the others wait for their turn, or are told that there is none."""
ABANDONED_S = 0.25
OFFERS = {"elicitation": {"form": {}}}
ASK = tool("w_ask")

End = Literal["asked", "refused"]


def descriptors(running: Gateway) -> int:
    return psutil.Process(running.process.pid).num_fds()


def pooled(running: Gateway) -> int:
    """Of these, connections kept for a minute for the next call to a server."""
    found = psutil.Process(running.process.pid).net_connections("tcp")
    return sum(bool(one.raddr) and one.laddr.port != running.port for one in found)


async def test_fifty_questions_abandoned_on_lines_leave_nothing(tmp_path: Path) -> None:
    async with asking(tmp_path, limits={"answer_within_s": 0.5}, asks=None, processes=WAVE) as at:
        world = at.gateway.world
        processes, open_before = len(world.processes()), descriptors(at.gateway)
        for begun in range(0, COUNT, WAVE):
            await asyncio.gather(*(at.asked("elicitation") for _ in range(min(WAVE, COUNT - begun))))
        assert await until(lambda: len(world.processes()) == processes, 30.0)
        assert await until(lambda: sum(leaf.cause == "abandoned" for leaf in at.leaves()) == COUNT)
        assert await until(lambda: descriptors(at.gateway) <= open_before), (descriptors(at.gateway), open_before)
        assert all(call.outcomes for call in world.calls().values())
    assert await world.empty()


async def test_as_many_questions_as_may_wait_at_one_url_hold_up_no_answer_and_no_other_call(tmp_path: Path) -> None:
    async with asked_by_url(tmp_path, answer_within_s=60.0) as running, http(running) as client:
        message = request("tools/call", enveloped(ASK, **{CAPABILITIES: OFFERS}))
        asked = await asyncio.gather(*(post(running, message, head(running.token, message)) for _ in range(PER_CALLER)))
        async with asyncio.timeout(SOON_S):
            assert text_of(await client.call("w_echo", a=1)) == '{"a": 1}'
            for result in (answer.message["result"] for answer in asked):
                (key,) = result["inputRequests"]
                answers = {"requestState": result["requestState"], "inputResponses": {key: {"action": "decline"}}}
                done = await client.ask("tools/call", {**ASK, **answers}, **{CAPABILITIES: OFFERS})
                assert done["result"]["content"] == []


async def test_who_asks_for_more_than_may_wait_at_one_url_is_refused_in_time_and_in_the_audit(tmp_path: Path) -> None:
    async with asked_by_url(tmp_path, answer_within_s=60.0, deadline_s=1.0) as running:
        ends = Counter(await asyncio.gather(*(never_again(running) for _ in range(PER_CALLER + 8))))
        assert ends == {"asked": PER_CALLER, "refused": 8}
        causes = Counter(leaf.cause for call in running.world.calls().values() for leaf in call.outcomes)
        assert (causes["asks"], sum(causes.values())) == (PER_CALLER, PER_CALLER + 8)


@pytest.mark.long
@pytest.mark.timeout(540)
async def test_ten_thousand_questions_abandoned_over_http_leave_nothing(tmp_path: Path) -> None:
    """Of callers of the newest revision that do not come back, of older ones that end their session, and of older ones
    that are simply gone."""
    async with asked_by_url(tmp_path) as running:
        ends: Counter[End] = Counter()
        await abandon(running, 3 * AT_ONCE, ends)
        before, open_before = await settled(running), descriptors(running) - pooled(running)
        megabytes: list[float] = []
        for _ in range(2):
            await abandon(running, MANY, ends)
            assert await settled(running) == before
            assert await until(lambda: descriptors(running) - pooled(running) <= open_before)
            megabytes.append(psutil.Process(running.process.pid).memory_info().rss / 1e6)
        print(f"{dict(ends)}; resident after each half: {megabytes[0]:.1f} MB, {megabytes[1]:.1f} MB")
        # Seen: 0.1 MB. A record of 1 KB kept of each would be 5.
        assert megabytes[1] - megabytes[0] < 3.0, megabytes
        calls = await asyncio.to_thread(running.world.calls)
        assert all(call.outcomes for call in calls.values())
        causes = Counter(outcome.cause for call in calls.values() for outcome in call.outcomes)
        assert causes["asks"] == causes["abandoned"] == ends["asked"] == 3 * AT_ONCE + 2 * MANY


@asynccontextmanager
async def asked_by_url(
    tmp_path: Path, answer_within_s: float = ABANDONED_S, deadline_s: float = 5.0
) -> AsyncIterator[Gateway]:
    """A gateway in front of a server of the handshake era, by URL, whose tool `ask` asks in every call."""
    asking: dict[str, Heard] = {}

    def called(heard: Heard) -> None:
        if heard.params["name"] == "echo":
            heard.answer({"content": [{"type": "text", "text": json.dumps(heard.params["arguments"])}]})
            return
        heard.listen()
        form = {"message": "who?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}
        heard.say(event({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": form}))
        asking[heard.session] = heard

    def over(heard: Heard) -> None:
        """It was answered, or its call was cancelled."""
        heard.reply.send(202, [])
        call = asking.pop(heard.session, None)
        if call is not None and call.open:
            call.say(event({"jsonrpc": "2.0", "id": call.id, "result": {"content": []}}))
            call.end()

    def forgotten(heard: Heard) -> None:
        heard.reply.send(200, [])
        # Nobody looks at what ten thousand sessions have said.
        heard.server.heard.clear()

    hooks = {"tools__call": called, "POST": over, "notifications__cancelled": over, "DELETE": forgotten}
    async with http_upstream(**hooks) as upstream:
        upstream.tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("ask", "echo")]
        limits = {"answer_within_s": answer_within_s, "session_idle_s": 2.0}
        upstreams = {"w": {**upstream.config, "reach": "loopback", "deadline_s": deadline_s}}
        async with gateway(tmp_path / "home", upstreams, limits=limits) as running:
            await until_ready(running)
            yield running
        assert asking == {}


def event(message: Any) -> bytes:
    return b"data: " + json.dumps(message).encode() + b"\n\n"


async def abandon(running: Gateway, count: int, ends: Counter[End]) -> None:
    """Have so many questions asked, and answer none. Refusals are told in `ends`, and do not count."""
    left = iter(range(count))
    ways: list[Callable[[Gateway], Awaitable[End]]] = [never_again, deleted, gone]

    async def caller() -> None:
        for number in left:
            while (end := await ways[number % len(ways)](running)) == "refused":
                ends[end] += 1
            ends[end] += 1

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))


async def never_again(running: Gateway) -> End:
    message = request("tools/call", enveloped(ASK, **{CAPABILITIES: OFFERS}))
    return end_of((await post(running, message, head(running.token, message))).message)


async def deleted(running: Gateway) -> End:
    async with http(running) as client:
        end = await asked_on_its_stream(client)
        async with wire(running) as line:
            await line.send("DELETE", client.headers())
            assert (await line.answer()).status == 204
        return end


async def gone(running: Gateway) -> End:
    async with http(running) as client:
        return await asked_on_its_stream(client)


async def asked_on_its_stream(client: HttpClient) -> End:
    await client.greet(capabilities=OFFERS)
    await client.begin("tools/call", ASK)
    return end_of(await anext(client.messages()))


def end_of(message: Any) -> End:
    if message.get("method") == "elicitation/create" or message.get("result", {}).get("inputRequests"):
        return "asked"
    assert message["error"]["code"] == 1502, message
    assert "in use" in message["error"]["message"]
    return "refused"


async def settled(running: Gateway) -> dict[str, Any]:
    """All that is held once it has come to rest, in numbers."""

    async def rests() -> dict[str, Any]:
        # Who is gone without a word is looked for when somebody comes.
        async with session(running) as client, wire(running) as line:
            await line.send("DELETE", client.headers())
            assert (await line.answer()).status == 204
        return await holding(running)

    held = await rests()
    async with asyncio.timeout(30.0):
        while held["sessions"] or held["upstreams"]["w"]["sessions_in_use"] or held["calls"]:
            await asyncio.sleep(0.05)
            held = await rests()
    return held | {"processes": len(running.world.processes())}
