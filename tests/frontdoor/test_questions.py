"""A server of the handshake era that asks in mid-call, and callers of both eras: what is refused, what is told twice, and
that nothing is left of what nobody answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import (
    HttpClient,
    enveloped,
    head,
    http,
    post,
    request,
    tool,
    until_ready,
    wire,
)
from gateway_world import Gateway, gateway, until, witness
from raw_http import Peer, events

from douane.audit.entry import Outcome

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
ALL = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}
YES = {"action": "accept", "content": {"name": "anna"}}
MODEL = {"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"}
ROOTS = {"roots": [{"uri": "file:///srv"}]}
ANSWERS = {"elicitation": YES, "sampling": MODEL, "roots": ROOTS}
ASKS = ["elicitation", "sampling", "roots"]


@asynccontextmanager
async def asking(tmp_path: Path, *modes: str, limits: Any = None, **settings: Any) -> AsyncIterator["Asking"]:
    """A gateway in front of a witness that asks."""
    seen = tmp_path / "seen"
    upstreams = {"w": witness(seen, "ask", *modes, **{"asks": ASKS, **settings})}
    async with gateway(tmp_path, upstreams, limits=limits or {}) as running:
        await until_ready(running)
        yield Asking(running, seen)


class Asking:
    def __init__(self, running: Gateway, seen: Path) -> None:
        self.gateway, self.seen = running, seen

    def frames(self, method: str | None = None) -> list[Any]:
        """What reached the server: requests and notifications of that method, or answers."""
        frames = [json.loads(line) for line in self.seen.read_bytes().splitlines()]
        return [frame for frame in frames if frame.get("method") == method]

    async def call(
        self, *kinds: str, offers: Any = ALL, state: str | None = None, answers: Any = None, **more: Any
    ) -> Any:
        """One request of the stateless era; the message that answers it."""
        params: Any = tool("w_ask", {"kinds": list(kinds)}) | more
        if state is not None:
            params["requestState"] = state
        if answers is not None:
            params["inputResponses"] = answers
        message = request("tools/call", enveloped(params, **{CAPABILITIES: offers}))
        return (await post(self.gateway, message, head(self.gateway.token, message))).message

    async def asked(self, *kinds: str, **more: Any) -> Any:
        """The result of a call that is asked something."""
        message = await self.call(*kinds, **more)
        assert message["result"]["resultType"] == "input_required", message
        return message["result"]

    def leaves(self) -> list[Outcome]:
        return [entry.leaf for entry in self.gateway.world.audit() if isinstance(entry.leaf, Outcome)]


def text(message: Any) -> Any:
    return json.loads(message["result"]["content"][0]["text"])


def answered(result: Any) -> Any:
    """An answer to each question of a round."""
    return {key: ANSWERS[key.partition("-")[0]] for key in result["inputRequests"]}


async def test_each_kind_of_question_is_a_round_with_a_new_state(tmp_path: Path) -> None:
    # T1, T28: the ids of the questions are that of the call.
    async with asking(tmp_path) as at:
        states: set[str] = set()
        message = await at.call(*ASKS)
        for kind in ("elicitation", "sampling", "roots"):
            (key,) = message["result"]["inputRequests"]
            assert key.startswith(kind)
            states.add(message["result"]["requestState"])
            message = await at.call(*ASKS, state=message["result"]["requestState"], answers=answered(message["result"]))
        assert text(message) == [YES, MODEL, ROOTS]
        assert len(states) == 3
        assert len(at.frames("tools/call")) == 1


async def test_the_same_retry_twice_is_told_the_same_twice_and_runs_once(tmp_path: Path) -> None:
    # T4
    async with asking(tmp_path) as at:
        asked = await at.asked("elicitation")
        first, second = await asyncio.gather(
            *(at.call("elicitation", state=asked["requestState"], answers=answered(asked)) for _ in range(2))
        )
        third = await at.call("elicitation", state=asked["requestState"], answers=answered(asked))
        assert text(first) == text(second) == text(third) == [YES]
        assert len(at.frames("tools/call")) == 1
        assert len(at.frames(None)) == 1


async def test_a_retry_with_other_arguments_or_a_changed_state_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    # T6
    async with asking(tmp_path) as at:
        asked = await at.asked("elicitation")
        state, answers = asked["requestState"], answered(asked)
        for kinds, given in ((("roots",), state), (("elicitation",), state[:-2] + "xx"), (("elicitation",), "")):
            refused = await at.call(*kinds, state=given, answers=answers)
            assert refused["error"]["code"] == -32602
        assert text(await at.call("elicitation", state=state, answers=answers)) == [YES]
        assert len(at.frames("tools/call")) == 1


async def test_a_state_is_lost_with_the_process_that_gave_it_and_the_call_is_not_made_again(tmp_path: Path) -> None:
    # T5
    async with asking(tmp_path) as at:
        asked = await at.asked("elicitation")
    async with asking(tmp_path) as at:
        refused = await at.call("elicitation", state=asked["requestState"], answers=answered(asked))
        assert refused["error"]["code"] == -32602
        assert "start the call again" in refused["error"]["message"]
        assert len(at.frames("tools/call")) == 1


async def test_answers_to_nothing_are_a_fresh_call_that_may_ask_again(tmp_path: Path) -> None:
    # T8
    async with asking(tmp_path) as at:
        message = await at.call("elicitation", answers={"elicitation-1": YES})
        assert message["result"]["resultType"] == "input_required"


async def test_answers_that_are_missing_or_none_are_asked_for_again_and_nothing_is_lost(tmp_path: Path) -> None:
    # T9
    async with asking(tmp_path) as at:
        asked = await at.asked("elicitation")
        again = await at.asked("elicitation", state=asked["requestState"], answers={"other": YES})
        assert again["inputRequests"] == asked["inputRequests"]
        key = next(iter(asked["inputRequests"]))
        for wrong in (7, None, {}, {"action": "maybe"}, {"action": "accept", "content": {"name": 7}}):
            refused = await at.call("elicitation", state=again["requestState"], answers={key: wrong})
            assert refused["error"]["code"] == -32602
        done = await at.call("elicitation", state=again["requestState"], answers={key: YES})
        assert text(done) == [YES]
        assert len(at.frames("tools/call")) == 1


async def test_who_comes_back_without_the_capability_is_told_so_and_the_call_is_ended(tmp_path: Path) -> None:
    # T10
    async with asking(tmp_path) as at:
        asked = await at.asked("elicitation")
        message = await at.call("elicitation", state=asked["requestState"], answers={}, offers={"sampling": {}})
        assert message["error"]["code"] == -32021
        assert message["error"]["data"]["requiredCapabilities"] == {"elicitation": {"form": {}}}
        assert await until(lambda: len(at.frames(None)) == 1)
        assert at.frames(None)[0]["result"] == {"action": "cancel"}


async def test_what_a_caller_offers_no_longer_when_it_comes_back_is_not_asked_of_it(tmp_path: Path) -> None:
    # T10
    async with asking(tmp_path) as at:
        asked = await at.asked("elicitation", "sampling")
        state, offers = asked["requestState"], {"elicitation": {}}
        done = await at.call("elicitation", "sampling", state=state, answers=answered(asked), offers=offers)
        assert text(done)[0] == YES
        assert text(done)[1]["code"] == -32601


async def test_a_call_that_waits_for_a_person_does_not_hold_up_the_next(tmp_path: Path) -> None:
    async with asking(tmp_path) as at:
        first = await at.asked("elicitation")
        second = await at.asked("elicitation")
        assert text(await at.call()) == []
        for asked in (second, first):
            done = await at.call("elicitation", state=asked["requestState"], answers=answered(asked))
            assert text(done) == [YES]


@pytest.mark.parametrize("offers", [{}, {"elicitation": {"url": {}}}, {"sampling": {}}])
async def test_what_the_caller_does_not_offer_the_server_is_refused(tmp_path: Path, offers: Any) -> None:
    async with asking(tmp_path) as at:
        told = text(await at.call("elicitation", offers=offers))
        assert told[0]["code"] == -32601


async def test_a_question_that_nobody_is_asked_is_written_down_with_its_call_where_that_is_known(
    tmp_path: Path,
) -> None:
    # T2
    async with asking(tmp_path) as at:
        await at.call("sampling", offers={})
        await at.call("sampling", offers={"elicitation": {"form": {}}})

        def refused() -> list[Outcome]:
            return [leaf for leaf in at.leaves() if leaf.cause == "question"]

        assert await until(lambda: len(refused()) == 2)
        shared, leased = refused()
        for leaf in (shared, leased):
            said = (leaf.status, leaf.code, leaf.server, leaf.method, leaf.sent)
            assert said == ("refused", -32601, "w", "sampling/createMessage", "no")
        assert (shared.root, shared.tool, shared.actor) == ("", "", "")
        calls = [recorded.intents[0].leaf for recorded in at.gateway.world.calls().values() if recorded.intents]
        assert (leased.root, leased.tool, leased.actor) == (calls[1].call, "ask", calls[1].actor)  # type: ignore[union-attr]


async def test_what_the_operator_does_not_allow_the_server_is_refused(tmp_path: Path) -> None:
    async with asking(tmp_path, asks=["roots"]) as at:
        assert text(await at.call("elicitation"))[0]["code"] == -32601
        (hello, *more) = [frame["params"]["capabilities"] for frame in at.frames("initialize")]
        extensions = hello["extensions"]
        assert hello == {"extensions": extensions}
        assert all(offer == {"roots": {}, "extensions": extensions} for offer in more)


async def test_without_a_word_from_the_operator_only_people_are_asked(tmp_path: Path) -> None:
    async with asking(tmp_path, asks=None) as at:
        assert text(await at.call("sampling"))[0]["code"] == -32601
        assert (await at.asked("elicitation"))["inputRequests"]


async def test_a_form_that_asks_for_a_secret_is_shown_to_nobody(tmp_path: Path) -> None:
    # T30
    async with asking(tmp_path) as at:
        message = await at.call("secret")
        assert message["error"]["code"] == 1403
        assert "api_key" in message["error"]["message"]
        assert await until(lambda: bool(at.frames("notifications/cancelled") or at.frames(None)))


async def test_the_operators_roots_are_answered_to_who_asks_outside_of_a_call(tmp_path: Path) -> None:
    async with asking(tmp_path, asks=[], roots=["/srv"]) as at:
        assert text(await at.call("roots", offers={})) == [ROOTS]


async def test_a_caller_of_the_newest_revision_that_hangs_up_has_cancelled_its_call(tmp_path: Path) -> None:
    async with asking(tmp_path) as at:
        message = request("tools/call", enveloped(tool("w_wait"), **{CAPABILITIES: ALL}))
        async with wire(at.gateway) as line:
            await line.send("POST", head(at.gateway.token, message), json.dumps(message).encode())
            assert await until(lambda: bool(at.frames("tools/call")))
        assert await until(lambda: bool(at.frames("notifications/cancelled")))


async def test_when_nobody_answers_the_server_is_told_its_process_ends_and_it_is_in_the_audit(tmp_path: Path) -> None:
    # T3
    async with asking(tmp_path, limits={"answer_within_s": 0.3}, asks=None) as at:
        processes = len(at.gateway.world.processes())
        asked = await at.asked("elicitation")
        assert await until(lambda: bool(at.frames(None)))
        assert at.frames(None)[0]["result"] == {"action": "cancel"}
        assert await until(lambda: len(at.gateway.world.processes()) == processes)
        late = await at.call("elicitation", state=asked["requestState"], answers=answered(asked))
        assert late["error"]["code"] == -32602
        abandoned = [leaf for leaf in at.leaves() if leaf.cause == "abandoned"]
        first = next(leaf for leaf in at.leaves() if leaf.cause == "asks")
        assert [(leaf.status, leaf.root, leaf.tool) for leaf in abandoned] == [("cancelled", first.call, "ask")]
    assert (await at.gateway.world.verified())["ok"]


async def test_an_older_caller_is_asked_on_its_own_stream_and_each_round_is_a_call_in_the_audit(tmp_path: Path) -> None:
    async with asking(tmp_path) as at, http(at.gateway) as client:
        await client.greet(capabilities=ALL)
        await client.begin("tools/call", tool("w_ask", {"kinds": ASKS}))
        heard = [message async for message in _answering(client)]
        assert text(heard[-1]) == [YES, MODEL, ROOTS]
        assert [message["method"] for message in heard[:-1]] == [
            "elicitation/create",
            "sampling/createMessage",
            "roots/list",
        ]
        rounds = [recorded for recorded in at.gateway.world.calls().values() if recorded.intents]
        assert len(rounds) == 4
        roots = {recorded.intents[0].leaf.root for recorded in rounds[1:]}  # type: ignore[union-attr]
        assert len(roots) == 1


async def _answering(client: HttpClient) -> AsyncIterator[Any]:
    async for message in client.messages():
        yield message
        if "method" in message and "id" in message:
            kind = message["method"].partition("/")[0]
            said = {"jsonrpc": "2.0", "id": message["id"], "result": ANSWERS[kind]}
            assert (await post(client.gateway, said, client.headers())).status == 202


async def test_a_question_whose_caller_has_gone_for_good_is_given_up_in_time(tmp_path: Path) -> None:
    # T16
    async with asking(tmp_path, limits={"answer_within_s": 0.3}) as at:
        peer = Peer(at.gateway.port, at.gateway.token)
        await peer.greet(capabilities=ALL)
        async with peer.wire() as line:
            await peer.begin(line, "tools/call", tool("w_ask", {"kinds": ["elicitation"]}), 7)
            assert (await line.status())[0] == 200
            stream = events(line)
            while (said := await anext(stream)).message is None:
                pass
            assert said.message["method"] == "elicitation/create"
            assert at.frames(None) == []
        assert await until(lambda: [frame["result"] for frame in at.frames(None)] == [{"action": "cancel"}])


async def test_an_older_caller_that_offers_nothing_is_asked_nothing(tmp_path: Path) -> None:
    async with asking(tmp_path) as at, http(at.gateway) as client:
        await client.greet()
        told = text(await client.call("w_ask", kinds=["elicitation"]))
        assert told[0]["code"] == -32601


@pytest.mark.slow
async def test_many_questions_that_nobody_answers_leave_nothing(tmp_path: Path) -> None:
    async with asking(tmp_path, limits={"answer_within_s": 0.5}, asks=None, processes=2) as at:
        world = at.gateway.world
        processes = len(world.processes())
        for _ in range(4):
            await asyncio.gather(*(at.asked("elicitation") for _ in range(8)))
        assert await until(lambda: len(world.processes()) == processes, 30.0)
        assert await until(lambda: sum(leaf.cause == "abandoned" for leaf in at.leaves()) == 32)
    assert await world.empty()
