"""What callers may not do, line by line: how it is answered, that it is written down as theirs, and that no server hears
of it. Two people call; the server asks in mid-call."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from gateway_clients import (
    OLDER,
    Answer,
    HttpClient,
    enveloped,
    get,
    head,
    http,
    post,
    request,
    sse,
    text_of,
    tool,
    wire,
)
from gateway_world import until, witness
from several_callers import Caller, Callers, several

from douane.audit.entry import Denied, Intent, Outcome

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
OFFERS = {"elicitation": {"form": {}}}
YES = {"action": "accept", "content": {"name": "anna"}}
WITHIN_S = 0.3
SERVERS = {"some": {"select": {"w": {"tools": ["*"]}}}}


class At:
    """A gateway where Anna has been asked something, and has not answered yet."""

    def __init__(self, callers: Callers, seen: Path) -> None:
        self.callers, self._seen = callers, seen
        self.anna, self.mallory = callers.anna, callers.mallory
        self.asked: Any = None
        self.sent = 0
        """How many calls it was sent that it should be."""

    def calls(self) -> int:
        """How many calls the server has been sent."""
        return sum(frame.get("method") == "tools/call" for frame in self._frames())

    def told(self) -> list[Any]:
        """How its questions were answered."""
        return [frame.get("result", frame.get("error")) for frame in self._frames() if "method" not in frame]

    def roots(self) -> set[str]:
        """The interactions that calls were sent in, or were to be."""
        intents = [recorded.intents[0].leaf for recorded in self.callers.world.calls().values() if recorded.intents]
        return {leaf.root or leaf.call for leaf in intents if isinstance(leaf, Intent)}

    def outcomes(self) -> list[Outcome]:
        """What the audit says of how the calls of tools ended, as far as it is written."""
        leaves = [leaf for leaf in self.callers.leaves() if isinstance(leaf, Outcome)]
        return [leaf for leaf in leaves if leaf.method in ("", "tools/call")]

    def _frames(self) -> list[Any]:
        return [json.loads(line) for line in self._seen.read_bytes().splitlines()]

    def message(self, offers: Any = OFFERS, **more: Any) -> Any:
        return request(
            "tools/call", enveloped(tool("w_ask", {"kinds": ["elicitation"]}) | more, **{CAPABILITIES: offers})
        )

    async def say(self, message: Any, of: Caller, path: str = "/mcp", **headers: str | None) -> Answer:
        """`message`, with the headers that mirror it but for `headers`; None leaves one out."""
        mirrored: dict[str, Any] = head(of.token, message) | {n.replace("_", "-"): v for n, v in headers.items()}
        return await post(of, message, {n: v for n, v in mirrored.items() if v is not None}, path)

    async def answer(self, of: Caller | None = None, state: Any = None, path: str = "/mcp", **more: Any) -> Answer:
        """The call that brings the answers to what Anna was asked."""
        state = self.asked["requestState"] if state is None else state
        answers = dict.fromkeys(self.asked["inputRequests"], YES)
        message = self.message(**{"requestState": state, "inputResponses": answers} | more)
        return await self.say(message, of or self.anna, path)

    @asynccontextmanager
    async def session(self, of: Caller) -> AsyncIterator[HttpClient]:
        async with http(of) as client:
            await client.greet(capabilities=OFFERS)
            yield client


async def _tampered(at: At) -> Answer:
    state = at.asked["requestState"]
    return await at.answer(state=("B" if state[0] == "A" else "A") + state[1:])


async def _expired(at: At) -> Answer:
    over_s = time.time() + WITHIN_S
    assert await until(lambda: time.time() > over_s)
    return await at.answer()


async def _not_ours(at: At) -> Answer:
    return await at.answer(state="AAAA")


async def _of_another(at: At) -> Answer:
    return await at.answer(at.mallory)


async def _elsewhere(at: At) -> Answer:
    return await at.answer(path="/mcp/some")


async def _other_arguments(at: At) -> Answer:
    return await at.answer(arguments={"kinds": ["roots"]})


async def _undeclared(at: At) -> Answer:
    return await at.answer(offers={}, inputResponses={})


async def _no_method(at: At) -> Answer:
    return await at.say(at.message(), at.mallory, mcp_method=None)


async def _no_name(at: At) -> Answer:
    return await at.say(at.message(), at.mallory, mcp_name=None)


async def _other_name(at: At) -> Answer:
    return await at.say(at.message(), at.mallory, mcp_name="w_echo")


async def _no_version(at: At) -> Answer:
    return await at.say(at.message(), at.mallory, mcp_protocol_version=None)


async def _other_version(at: At) -> Answer:
    return await at.say(at.message(), at.mallory, mcp_protocol_version=OLDER)


async def _unknown_revision(at: At) -> Answer:
    message = request("tools/call", enveloped(tool("w_echo"), revision="2099-01-01"))
    return await at.say(message, at.mallory, mcp_protocol_version="2099-01-01")


async def _no_capabilities(at: At) -> Answer:
    return await at.say(at.message(offers=7), at.mallory)


async def _no_tool(at: At) -> Answer:
    return await at.say(request("tools/call", enveloped(tool("w_nothing"))), at.mallory)


async def _no_task(at: At) -> Answer:
    offers = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    return await at.say(request("tasks/get", enveloped({"taskId": "1"}, **{CAPABILITIES: offers})), at.mallory)


async def _an_extension_undeclared(at: At) -> Answer:
    return await at.say(request("tasks/get", enveloped({"taskId": "1"})), at.mallory)


async def _no_id(at: At) -> Answer:
    return await at.say(at.message() | {"id": None}, at.mallory)


async def _a_posted_answer(at: At) -> Answer:
    headers = head(at.mallory.token) | {"mcp-protocol-version": "2026-07-28"}
    return await post(at.mallory, {"jsonrpc": "2.0", "id": 1, "result": YES}, headers)


async def _an_answer_to_nothing(at: At) -> Answer:
    async with at.session(at.mallory) as client:
        return await post(client.gateway, {"jsonrpc": "2.0", "id": 1, "result": YES}, client.headers())


async def _one_id_twice(at: At) -> Answer:
    async with at.session(at.mallory) as client, wire(client.gateway) as other:
        waits = json.dumps(request("tools/call", tool("w_wait"), 7)).encode()
        before = at.calls()
        await client.line.send("POST", client.headers(), waits)
        assert await until(lambda: at.calls() > before)
        at.sent = at.calls()
        await other.send("POST", client.headers(), json.dumps(request("tools/call", tool("w_echo"), 7)).encode())
        return await other.answer()


async def _session(at: At, method: str) -> Answer:
    """Mallory comes with the session of Anna."""
    async with at.session(at.anna) as client, wire(client.gateway) as line:
        headers = client.headers() | {"authorization": f"Bearer {at.mallory.token}", "accept": "text/event-stream"}
        body = json.dumps(request("tools/call", tool("w_echo"))).encode() if method == "POST" else b""
        await line.send(method, headers, body)
        return await line.answer()


async def _an_event_of_another(at: At) -> Answer:
    async with at.session(at.anna) as anna, at.session(at.mallory) as mallory, wire(anna.gateway) as line:
        await line.send("GET", anna.headers() | {"accept": "text/event-stream"})
        _, headers = await line.status()
        first = await anext(line.chunks(headers))
        event = first.split(b"id: ")[1].split(b"\n")[0].decode()
        again = mallory.headers() | {"accept": "text/event-stream", "last-event-id": event}
        return await get(mallory.gateway, "/mcp", again)


async def _a_session_of_none(at: At) -> Answer:
    headers = head(at.mallory.token) | {"mcp-session-id": "guessed", "mcp-protocol-version": OLDER}
    return await post(at.mallory, request("ping"), headers)


async def _no_session(at: At) -> Answer:
    return await post(at.mallory, request("ping"), head(at.mallory.token))


async def _an_unknown_version_in_a_session(at: At) -> Answer:
    async with at.session(at.mallory) as client:
        return await post(client.gateway, request("ping"), client.headers() | {"mcp-protocol-version": "2099-01-01"})


async def _a_line_of_another(at: At) -> Answer:
    async with sse(at.anna) as anna:
        return await post(at.mallory, request("tools/call", tool("w_echo")), head(at.mallory.token), anna.endpoint)


class Line(NamedTuple):
    does: Callable[[At], Awaitable[Answer]]
    status: int
    code: int | None
    """Of the JSON-RPC error; None where there is none."""
    written: Literal["call", "no call"]
    said: str
    who: str = "mallory"
    at: str = ""
    """The endpoint."""


LINES = {
    "a changed state": Line(_tampered, 200, -32602, "call", "not as it was given", "anna"),
    "an expired state": Line(_expired, 200, -32602, "call", "expired", "anna"),
    "a state that is not ours": Line(_not_ours, 200, -32602, "call", "not of this server", "anna"),
    "a state of another caller": Line(_of_another, 200, -32602, "call", "given to somebody else"),
    "a state of another endpoint": Line(_elsewhere, 200, -32602, "call", "for another call", "anna", "some"),
    "a state of other arguments": Line(_other_arguments, 200, -32602, "call", "other arguments", "anna"),
    "a capability that is not declared": Line(_undeclared, 400, -32021, "call", "has not declared", "anna"),
    "an extension that is not declared": Line(_an_extension_undeclared, 400, -32021, "call", "declare the extension"),
    "no Mcp-Method": Line(_no_method, 400, -32020, "call", "Mcp-Method"),
    "no Mcp-Name": Line(_no_name, 400, -32020, "call", "Mcp-Name"),
    "another Mcp-Name": Line(_other_name, 400, -32020, "call", "Mcp-Name"),
    "no MCP-Protocol-Version": Line(_no_version, 400, -32020, "call", "MCP-Protocol-Version"),
    "another MCP-Protocol-Version": Line(_other_version, 400, -32020, "call", "MCP-Protocol-Version"),
    "a revision that is not spoken": Line(_unknown_revision, 400, -32022, "no call", "not spoken here"),
    "capabilities that are none": Line(_no_capabilities, 400, -32602, "no call", "clientCapabilities"),
    "a tool that is not there": Line(_no_tool, 200, -32602, "call", "w_nothing"),
    "a task that is not there": Line(_no_task, 200, -32602, "call", "task"),
    "no id": Line(_no_id, 400, -32600, "no call", "id"),
    "an answer where none are posted": Line(_a_posted_answer, 400, -32600, "no call", "not posted any more"),
    "an answer to what nobody asked": Line(_an_answer_to_nothing, 400, None, "no call", "nobody has asked"),
    "an id that is in use": Line(_one_id_twice, 200, -32600, "no call", "still open"),
    "a session of another caller": Line(lambda at: _session(at, "POST"), 404, None, "no call", "no such session"),
    "the stream of another caller": Line(lambda at: _session(at, "GET"), 404, None, "no call", "no such session"),
    "the end of another's session": Line(lambda at: _session(at, "DELETE"), 404, None, "no call", "no such session"),
    "an event of another caller": Line(_an_event_of_another, 400, None, "no call", "no event of this session"),
    "a session that is none": Line(_a_session_of_none, 404, None, "no call", "no such session"),
    "no session": Line(_no_session, 400, None, "no call", "Mcp-Session-Id is missing"),
    "an unknown version in a session": Line(
        _an_unknown_version_in_a_session, 400, None, "no call", "MCP-Protocol-Version must be one of"
    ),
    "a line of another caller": Line(_a_line_of_another, 404, None, "no call", "no such session"),
}


@asynccontextmanager
async def asked_anna(tmp_path: Path, within_s: float = 60.0) -> AsyncIterator[At]:
    seen = tmp_path / "seen"
    limits = {"answer_within_s": within_s}
    async with several(tmp_path, {"w": witness(seen, "ask")}, limits=limits, servers=SERVERS) as callers:
        at = At(callers, seen)
        at.asked = (await at.say(at.message(), at.anna)).message["result"]
        assert at.asked["resultType"] == "input_required"
        at.sent = at.calls()
        yield at


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
async def test_what_may_not_be_is_answered_so_written_down_and_sent_to_nobody(tmp_path: Path, line: Line) -> None:
    async with asked_anna(tmp_path, WITHIN_S if line.does is _expired else 60.0) as at:
        written = len(at.callers.leaves())
        answer = await line.does(at)
        assert answer.status == line.status, answer.body
        if line.code is not None:
            assert answer.code == line.code
        assert line.said in answer.body.decode()
        assert at.calls() == at.sent

        def refusals() -> list[Outcome | Denied]:
            return [leaf for leaf in at.callers.leaves()[written:] if _is_refusal(leaf)]

        assert await until(refusals)
        (leaf,) = refusals()
        assert isinstance(leaf, Outcome if line.written == "call" else Denied)
        assert leaf.code == (line.status if line.code is None else line.code)
        assert (leaf.actor, leaf.endpoint) == (at.callers.actor(line.who), line.at)


def _is_refusal(leaf: Outcome | Denied) -> bool:
    return isinstance(leaf, Denied) or leaf.status == "refused"


async def test_answers_that_come_again_are_told_the_same_written_down_as_theirs_and_sent_to_nobody(
    tmp_path: Path,
) -> None:
    # T4, T7: told again to whom they were told, and to nobody else.
    async with asked_anna(tmp_path) as at:
        first, again = await at.answer(), await at.answer()
        assert (first.status, first.message) == (again.status, again.message)
        stranger = await at.answer(at.mallory)
        assert (stranger.status, stranger.code) == (200, -32602)
        assert (at.calls(), at.told()) == (1, [YES])
        assert await until(lambda: [leaf.status for leaf in at.outcomes()] == ["ok", "ok", "ok", "refused"])
        assert len(at.roots()) == 1


async def test_a_state_of_the_process_before_is_refused_written_down_and_sent_to_nobody(tmp_path: Path) -> None:
    # T5
    async with asked_anna(tmp_path) as before:
        pass
    async with several(tmp_path, {"w": witness(tmp_path / "seen", "ask")}) as callers:
        at = At(callers, tmp_path / "seen")
        at.asked = before.asked
        answer = await at.answer()
        assert (answer.status, answer.code) == (200, -32602)
        assert "start the call again" in answer.message["error"]["message"]
        assert at.calls() == 1
        assert await until(lambda: at.outcomes()[-1].status == "refused")
        assert len(at.roots()) == 1


async def test_who_takes_no_stream_is_told_that_it_cannot_be_asked_and_the_call_is_given_up(tmp_path: Path) -> None:
    # T15: there is no back channel, and the error names the need.
    async with asked_anna(tmp_path) as at, at.session(at.mallory) as client:
        call = request("tools/call", tool("w_ask", {"kinds": ["elicitation"]}))
        answer = await post(client.gateway, call, client.headers() | {"accept": "application/json"})
        assert (answer.status, answer.message["result"]["isError"]) == (200, True)
        assert "send `Accept: application/json, text/event-stream`" in text_of(answer.message)
        assert await until(lambda: at.told() == [{"action": "cancel"}])
        assert await until(lambda: [leaf.code for leaf in at.outcomes() if leaf.status == "refused"] == [-32021])
        (refused,) = [leaf for leaf in at.outcomes() if leaf.status == "refused"]
        assert (refused.actor, refused.tool) == (at.callers.actor("mallory"), "w_ask")
        assert refused.root in at.callers.world.calls()
