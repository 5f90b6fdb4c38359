"""A control that asks the caller, and a server that asks as well: each hears its own answers, and no others.

T12 of PROTOCOL §2.4.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import enveloped, head, http, post, request, tool
from gateway_world import witness
from http_upstream import Heard, Hook, HttpUpstream, http_upstream
from several_callers import Caller, Callers, several

from douane.flow.asking import RESERVED, asks_first
from douane.flow.chain import Interceptor, Stage
from douane.protocol.call import JSON, Call
from douane.protocol.outcome import Refused
from douane.wire.codes import POLICY_DENIED

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
FORM = {"elicitation": {"form": {}}}
YES = {"action": "accept", "content": {"ok": True}}
ANNA = {"action": "accept", "content": {"name": "anna"}}
MAY = {
    "method": "elicitation/create",
    "params": {"mode": "form", "message": "may it?", "requestedSchema": {"type": "object", "properties": {"ok": {"type": "boolean"}}}},
}  # fmt: skip
KEY = f"{RESERVED}approve"


def approving() -> Interceptor:
    def question(call: Call) -> JSON | None:
        return MAY if call.method == "tools/call" else None

    def verdict(call: Call, answer: Any) -> Refused | None:
        if answer == YES:
            return None
        return Refused(POLICY_DENIED, f"policy: {call.principal.subject} has not agreed (call {call.id})")

    return asks_first("approve", Stage.APPROVE, question, verdict)


async def call(caller: Caller, name: str, arguments: Any, asked: Any = None, answers: Any = None, **more: Any) -> Any:
    params = tool(name, arguments) | more
    if asked is not None:
        params |= {"requestState": asked["requestState"]}
    if answers is not None:
        params |= {"inputResponses": answers}
    message = request("tools/call", enveloped(params, **{CAPABILITIES: FORM}))
    answer = (await post(caller, message, head(caller.token, message))).message
    return answer.get("result", answer.get("error"))


def heard(seen: Path) -> list[Any]:
    frames = [json.loads(line) for line in seen.read_bytes().splitlines()]
    return [frame for frame in frames if frame.get("method") == "tools/call" or "result" in frame]


async def test_the_gateways_question_and_the_servers_are_rounds_of_one_call(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with several(tmp_path, {"w": witness(seen, "ask")}, also=[approving()]) as at:
        arguments = {"kinds": ["elicitation"]}
        first = await call(at.owner, "w_ask", arguments)
        assert list(first["inputRequests"]) == [KEY]
        assert heard(seen) == [], "the server has not seen it yet"
        # What is answered beside it is for nobody.
        second = await call(at.owner, "w_ask", arguments, first, {KEY: YES, "elicitation-1": ANNA, f"{RESERVED}x": YES})
        (theirs,) = second["inputRequests"]
        assert theirs.startswith("elicitation")
        third = await call(at.owner, "w_ask", arguments, second, {theirs: ANNA, KEY: {"action": "decline"}})
        assert json.loads(third["content"][0]["text"]) == [ANNA]
        frames = heard(seen)
        assert [("arguments" in frame.get("params", {}), frame.get("result")) for frame in frames] == [
            (True, None),
            (False, ANNA),
        ]
        assert RESERVED not in seen.read_text()


@pytest.mark.parametrize("answer", [{"action": "decline"}, {"action": "accept", "content": {"ok": False}}, [], "yes"])
async def test_who_does_not_agree_is_refused_and_the_server_hears_nothing(tmp_path: Path, answer: Any) -> None:
    seen = tmp_path / "seen"
    async with several(tmp_path, {"w": witness(seen, "ask")}, also=[approving()]) as at:
        asked = await call(at.owner, "w_echo", {"text": "a"})
        refused = await call(at.owner, "w_echo", {"text": "a"}, asked, {KEY: answer})
        assert "has not agreed" in refused["message"] or "inputResponses" in refused["message"]
        assert heard(seen) == []


async def test_nothing_but_its_own_state_stands_for_an_agreement(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with several(tmp_path, {"w": witness(seen, "ask")}, also=[approving()]) as at:
        asked = await call(at.owner, "w_echo", {"text": "a"})
        # Answers without a state are a fresh call.
        assert KEY in (await call(at.owner, "w_echo", {"text": "a"}, None, {KEY: YES}))["inputRequests"]
        for refused in (
            await call(at.owner, "w_echo", {"text": "b"}, asked, {KEY: YES}),
            await call(at.anna, "w_echo", {"text": "a"}, asked, {KEY: YES}),
            await call(at.owner, "w_echo", {"text": "a"}, {"requestState": f"{KEY}!"}, {KEY: YES}),
        ):
            assert refused["code"] == -32602, refused
        assert heard(seen) == []
        assert (await call(at.owner, "w_echo", {"text": "a"}, asked, {KEY: YES}))["content"][0]["text"] == "a"


async def test_an_older_caller_is_asked_both_on_its_own_stream(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with several(tmp_path, {"w": witness(seen, "ask")}, also=[approving()]) as at, http(at.owner) as client:
        await client.greet(capabilities={"elicitation": {"form": {}}})
        await client.begin("tools/call", tool("w_ask", {"kinds": ["elicitation"]}))
        said: list[Any] = []
        async for message in client.messages():
            said.append(message)
            if "method" in message and "id" in message:
                answer = YES if message["params"]["message"] == "may it?" else ANNA
                await post(
                    at.owner,
                    json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer}).encode(),
                    client.headers(),
                )
        assert [message.get("method") for message in said] == ["elicitation/create", "elicitation/create", None]
        assert json.loads(said[-1]["result"]["content"][0]["text"]) == [ANNA]


@asynccontextmanager
async def behind(tmp_path: Path, asks: Hook) -> AsyncIterator[tuple[Callers, HttpUpstream]]:
    """A newest server that asks in this way."""
    async with (
        http_upstream("stateless", tools__call=asks) as upstream,
        several(tmp_path, {"s": upstream.config}, also=[approving()]) as at,
    ):
        yield at, upstream


async def test_a_server_that_asks_under_a_key_of_the_gateway_is_at_fault(tmp_path: Path) -> None:
    def asks(heard: Heard) -> None:
        heard.answer({"resultType": "input_required", "inputRequests": {KEY: MAY}, "requestState": "s"})

    async with behind(tmp_path, asks) as (at, upstream):
        asked = await call(at.owner, "s_echo", {})
        refused = await call(at.owner, "s_echo", {}, asked, {KEY: YES})
        assert "kept for the gateway's own questions" in refused["message"]
        assert upstream.methods().count("tools/call") == 1


async def test_the_state_of_a_newest_server_comes_back_to_it_as_it_was(tmp_path: Path) -> None:
    def asks(heard: Heard) -> None:
        if "requestState" not in heard.params:
            heard.answer({"resultType": "input_required", "inputRequests": {"who": MAY}, "requestState": f"{KEY}?+s"})
        else:
            text = json.dumps([heard.params["requestState"], heard.params["inputResponses"]])
            heard.answer({"resultType": "complete", "content": [{"type": "text", "text": text}]})

    async with behind(tmp_path, asks) as (at, _):
        first = await call(at.owner, "s_echo", {})
        second = await call(at.owner, "s_echo", {}, first, {KEY: YES})
        third = await call(at.owner, "s_echo", {}, second, {"who": YES, KEY: YES})
        assert json.loads(third["content"][0]["text"]) == [f"{KEY}?+s", {"who": YES}]


async def test_a_server_cannot_say_in_its_state_that_somebody_has_agreed(tmp_path: Path) -> None:
    def asks(heard: Heard) -> None:
        heard.answer({"resultType": "input_required", "inputRequests": {"who": MAY}, "requestState": f"{KEY}!"})

    seldom = iter([None, MAY])
    gate = asks_first("approve", Stage.APPROVE, lambda call: next(seldom), lambda call, answer: None)
    async with (
        http_upstream("stateless", tools__call=asks) as upstream,
        several(tmp_path, {"s": upstream.config}, also=[gate]) as at,
    ):
        first = await call(at.owner, "s_echo", {})
        assert list(first["inputRequests"]) == ["who"]
        second = await call(at.owner, "s_echo", {}, first, {"who": YES})
        assert list(second["inputRequests"]) == [KEY]
        assert upstream.methods().count("tools/call") == 1
